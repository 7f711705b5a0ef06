// Whatever is asked, the answer is never a 5xx, always JSON, and nothing is changed without a token.

import test from "ava";
import fc from "fast-check";
import { Problem } from "../../src/sdk/problem.ts";
import { houseOf, openAdmin } from "./house-of-functions.ts";

const RUNS = 300;
const JSON_TYPE = { "content-type": "application/json" };

const paths = fc.constantFrom(
  "/api/v1/status",
  "/api/v1/spend",
  "/api/v1/usage",
  "/api/v1/requests",
  "/api/v1/requests/r-1",
  "/api/v1/mode",
  "/api/v1/policy",
  "/readyz",
);
const words = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom(
    "0",
    "-1",
    "1e9",
    "NaN",
    "Infinity",
    "0x10",
    "today",
    "total",
    "alice",
    "__proto__",
    "",
    "\u0000",
  ),
);
const keys = fc.constantFrom(
  "limit",
  "before",
  "period",
  "by",
  "user",
  "model",
  "provider",
  "outcome",
  "x",
  "__proto__",
);
const queries = fc.array(fc.tuple(keys, words), { maxLength: 4 });

test("no query brings a 5xx", async (t) => {
  const { admin, baseUrl, bugs } = await openAdmin(houseOf());
  t.teardown(() => admin.close());
  const property = fc.asyncProperty(paths, queries, async (path, query) => {
    const reply = await fetch(`${baseUrl}${path}?${new URLSearchParams(query)}`);
    await isOrderly(reply);
  });
  await fc.assert(property, { numRuns: RUNS });
  t.deepEqual(bugs, []);
});

test("no path brings a 5xx", async (t) => {
  const { admin, baseUrl, bugs } = await openAdmin(houseOf());
  t.teardown(() => admin.close());
  const property = fc.asyncProperty(words, fc.boolean(), async (word, isEncoded) => {
    const tail = isEncoded ? encodeURIComponent(word.toWellFormed()) : word.toWellFormed();
    await isOrderly(await fetch(`${baseUrl}/api/v1/requests/${tail}`));
  });
  await fc.assert(property, { numRuns: RUNS });
  t.deepEqual(bugs, []);
});

const writes = fc.constantFrom(
  ["PUT", "/api/v1/mode"],
  ["POST", "/api/v1/estimate"],
  ["POST", "/api/v1/policy/check"],
  ["POST", "/api/v1/tokens"],
  ["POST", "/api/v1/requests/r-3/cancel"],
);
const likely = fc.record(
  {
    model: fc.oneof(fc.constant("flux-dev"), fc.anything()),
    width: fc.oneof(fc.double(), fc.integer()),
    images: fc.oneof(fc.double(), fc.integer()),
    mode: fc.anything(),
    text: fc.anything(),
    id: fc.anything(),
    role: fc.anything(),
  },
  { requiredKeys: [] },
);
const bodies = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.json(),
  likely.map((value) =>
    JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? String(one) : one)),
  ),
  fc.constant("[".repeat(50_000)),
);

test("no body brings a 5xx, and without a token none changes anything", async (t) => {
  const house = houseOf();
  const { admin, baseUrl, bugs } = await openAdmin(house);
  t.teardown(() => admin.close());
  const property = fc.asyncProperty(writes, bodies, async ([method, path], text) => {
    const body = text ?? "";
    const target = `${baseUrl}${path}`;
    await isOrderly(await fetch(target, { method: method ?? "POST", headers: JSON_TYPE, body }));
    if (house.heard.modes.length + house.heard.tokens.length + house.heard.cancelled.length > 0) {
      throw new Error("something was changed without a token");
    }
  });
  await fc.assert(property, { numRuns: RUNS });
  t.deepEqual(bugs, []);
});

test("no body of an admin brings a 5xx", async (t) => {
  const { admin, baseUrl, bugs } = await openAdmin(houseOf());
  t.teardown(() => admin.close());
  const headers = { ...JSON_TYPE, authorization: "Bearer admin-token" };
  const property = fc.asyncProperty(writes, bodies, async ([method, path], text) => {
    const body = text ?? "";
    await isOrderly(await fetch(`${baseUrl}${path}`, { method: method ?? "POST", headers, body }));
  });
  await fc.assert(property, { numRuns: RUNS });
  t.deepEqual(bugs, []);
});

async function isOrderly(reply: Response): Promise<void> {
  const text = await reply.text();
  if (reply.status >= 500) throw new Error(`${reply.status}: ${text}`);
  const json: unknown = JSON.parse(text);
  if (reply.status >= 400) Problem.parse(json);
}
