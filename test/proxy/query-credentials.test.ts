// A token is found in a query under whatever name and however it is written, and nothing else is taken for one.

import { createHash } from "node:crypto";
import test from "ava";
import type { Client } from "../../src/policy/policy.ts";
import { MOST_PARAMETERS, queryFault } from "../../src/proxy/query-credentials.ts";

const TOKEN = "ab+c/d=e%20f g;h";
const STORED = `bg-${"5".repeat(48)}`;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const carol = { id: "carol", tokenSha256: sha256(TOKEN), role: "use" } as Client;
const plain = { id: "dave", tokenSha256: sha256("plain"), role: "use" } as Client;
const CLIENTS = new Map([carol, plain].map((one) => [one.id, one]));

function look(query: string) {
  let hashes = 0;
  const fault = queryFault(`/v1/infer${query}`, CLIENTS, (hash) => {
    hashes += 1;
    return hash === sha256("in the ledger") ? { id: "erin", role: "use" } : undefined;
  });
  return { fault, hashes };
}

for (const [what, query] of [
  ["under each of the names that clients use", "?api_key=plain"],
  ["under any other name", "?x=1&whatever=plain&y=2"],
  ["behind a semicolon", "?x=1;token=plain"],
  ["without a name", "?plain"],
  ["as a name", "?plain="],
  ["with spaces around it", "?key=%20plain%20"],
  ["as Bearer would say it", "?authorization=Bearer%20plain"],
  ["as Bearer would say it, with a plus", "?authorization=bearer+plain"],
  ["as Basic would say it", `?auth=Basic%20${encodeURIComponent(btoa("dave:plain"))}`],
  [
    "with each byte in per cent",
    `?key=${[..."plain"].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("")}`,
  ],
  ["with its odd characters in per cent", `?key=${encodeURIComponent(TOKEN)}`],
  ["as the ledger has it", "?key=in+the+ledger"],
  ["as the gateway made it, be it revoked or another port's", `?key=${STORED}`],
  ["as the administrator's", `?key=bg-${"a".repeat(64)}`],
] as const) {
  test(`a token is found ${what}`, (t) => {
    t.is(look(query).fault, "token", query);
  });
}

test("a token of odd characters is found as it stands", (t) => {
  const odd = "a+b/c=d";
  const clients = new Map([["frank", { id: "frank", tokenSha256: sha256(odd), role: "use" } as Client]]);
  t.is(
    queryFault(`/v1/infer?key=${odd}`, clients, () => undefined),
    "token",
  );
});

test("what is nobody's passes: other keys, halves of a token, an undecodable value, nothing", (t) => {
  for (const query of [
    "",
    "?",
    "?model=flux",
    "?key=plai",
    "?key=plainer",
    "?key=%zz",
    "?a=&b",
    "?key=bg-12",
  ])
    t.is(look(query).fault, undefined, query);
});

test("nothing is computed where there is no query", (t) => {
  t.is(look("").hashes, 0);
  t.true(look("?a=b").hashes > 0);
});

test("more parameters than are looked at are refused, so that none goes by unseen", (t) => {
  const query = (count: number) => `?${Array.from({ length: count }, (_, at) => `p${at}=${at}`).join("&")}`;
  t.is(look(query(MOST_PARAMETERS)).fault, undefined);
  t.is(look(`${query(MOST_PARAMETERS)}&key=plain`).fault, "too_many");
  t.is(look(`${query(MOST_PARAMETERS - 1)}&key=plain`).fault, "token");
});
