// The bytes of every answer that is not an upstream's: programs and people rely on them.

import { createServer, type ServerResponse } from "node:http";
import test, { type ExecutionContext } from "ava";
import { nanoUsd, parseUsd } from "../../src/metering/money.ts";
import type { Instant } from "../../src/metering/time.ts";
import type { Breach } from "../../src/policy/decision.ts";
import { Interrupted } from "../../src/proxy/interruption.ts";
import { reply, type Unserved } from "../../src/proxy/reply.ts";
import { owing } from "../../src/proxy/wakes.ts";
import { listen, portOf, rawClient } from "../support/sockets.ts";

async function said(t: ExecutionContext, answer: (response: ServerResponse) => void, method = "GET") {
  const server = createServer((_request, response) => answer(response));
  await listen(server);
  t.teardown(() => server.close());
  const client = await rawClient(
    portOf(server),
    `${method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  );
  const how = await client.closed;
  const [head = "", ...rest] = client.bytes().toString("utf8").split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  const [status = "", ...headers] = head.split("\r\n");
  return { how, status, headers, body };
}

function usd(text: string) {
  return parseUsd(text) ?? nanoUsd(-1n);
}

const MIDNIGHT = (Date.parse("2026-11-22T23:00:00Z") * 1000) as Instant;
const BREACH: Breach = {
  budget: "studio-day",
  action: "block",
  unit: "usd",
  limit: usd("20"),
  settled: usd("19.5"),
  held: usd("0.5"),
  needed: usd("0.05"),
  resets: MIDNIGHT,
  timezone: "Europe/Berlin",
  alternatives: [{ upstream: "flux-local", provider: "local", estimate: usd("0") }],
};

const AT_ONCE = { kind: "refused" } as const;

test("a refusal is the 402 that the design fixes, byte for byte", async (t) => {
  const got = await said(t, (response) => reply(response, { ...AT_ONCE, breach: BREACH }));
  const message = "budget studio-day is spent (20.00 of 20.00 USD), resets 2026-11-23 00:00 Europe/Berlin";
  t.is(got.status, `HTTP/1.1 402 BudgetGuard: ${message}`);
  t.true(got.headers.includes("x-should-retry: false"));
  t.true(got.headers.includes("Content-Type: application/json"));
  t.deepEqual(JSON.parse(got.body), {
    status: 402,
    title: "Budget exceeded",
    detail: message,
    error: { message, type: "budget_error", code: "budget_exceeded", param: null },
    budgetguard: {
      budget: "studio-day",
      limit_usd: "20.00",
      settled_usd: "19.50",
      held_usd: "0.50",
      needed_usd: "0.05",
      resets_at: "2026-11-22T23:00:00.000000Z",
      alternatives: [{ upstream: "flux-local", provider: "local", estimate_usd: "0.00" }],
    },
  });
});

const phrases: [changes: Partial<Breach>, phrase: string][] = [
  [
    { settled: usd("19.99"), held: usd("0") },
    "studio-day has 0.01 of 20.00 USD left, this needs about 0.05, resets",
  ],
  [
    { settled: usd("0"), held: usd("0"), needed: usd("20.001") },
    "has 20.00 of 20.00 USD left, this needs about 20.01,",
  ],
  [
    { settled: usd("19.9506"), held: usd("0"), needed: usd("0.0495") },
    "has 0.049 of 20.00 USD left, this needs about 0.05,",
  ],
  [
    { unit: "usd", limit: usd("0.001"), settled: usd("0.001"), held: usd("0") },
    "is spent (0.001 of 0.001 USD)",
  ],
  [{ settled: usd("20.13"), held: usd("0") }, "is spent (20.13 of 20.00 USD)"],
  [{ unit: "usd", limit: usd("0"), settled: usd("0"), held: usd("0") }, "is spent (0.00 of 0.00 USD)"],
];

test("the figures of a refusal never contradict it", async (t) => {
  for (const [changes, phrase] of phrases) {
    const got = await said(t, (response) =>
      reply(response, { ...AT_ONCE, breach: { ...BREACH, ...changes } }),
    );
    t.true(got.status.includes(phrase), got.status);
  }
});

test("a budget that never turns has no reset to name", async (t) => {
  const got = await said(t, (r) => reply(r, { ...AT_ONCE, breach: { ...BREACH, resets: undefined } }));
  t.true(got.status.endsWith("(20.00 of 20.00 USD)"));
  t.is(JSON.parse(got.body).budgetguard.resets_at, null);
});

const others: [Unserved, status: number, retries: boolean][] = [
  [{ kind: "no_upstream", reason: "no upstream is up", cause: "upstreams" }, 503, true],
  [{ kind: "ledger_unavailable" }, 503, true],
  [{ kind: "unsent", upstream: "u", why: "unreachable", cause: new Error("ECONNREFUSED") }, 502, true],
  [{ kind: "unsent", upstream: "u", why: "cut", cause: new Error("spent") }, 402, false],
  [{ kind: "fault", upstream: "u", fault: { kind: "cancelled", reason: "by hand" } }, 499, false],
  [{ kind: "fault", upstream: "u", fault: { kind: "broken", reason: "broke" } }, 502, false],
  [{ kind: "fault", upstream: "u", fault: { kind: "timeout", reason: "late" } }, 504, false],
  [{ kind: "fault", upstream: "u", fault: { kind: "cut", reason: "spent" } }, 402, false],
  [{ kind: "problem", status: 404, code: "unknown_path", message: "no such path" }, 404, true],
  [{ kind: "bug" }, 500, true],
];

test("every answer is JSON in both shapes, and its reason phrase carries the message", async (t) => {
  for (const [unserved, status, retries] of others) {
    const got = await said(t, (response) => reply(response, unserved));
    const body = JSON.parse(got.body);
    t.is(got.status, `HTTP/1.1 ${status} BudgetGuard: ${body.detail}`);
    t.is(body.error.message, body.detail);
    t.is(typeof body.error.code, "string");
    t.is(typeof body.budgetguard, "object");
    t.is(!got.headers.includes("x-should-retry: false"), retries, unserved.kind);
  }
});

test("a cut names its budget, whenever it came: before anything was sent, in a start-up, or after", async (t) => {
  const fault = { kind: "cut", budget: "day", reason: "budget day has no money for more time" } as const;
  const cause = new Interrupted(fault);
  const relayed = owing({ kind: "unsent", why: "cut", replayable: false, cause });
  const woken = relayed.kind === "ended" ? relayed.fault : undefined;
  t.deepEqual(woken, fault);
  for (const unserved of [
    { kind: "unsent", upstream: "up", why: "cut", cause },
    { kind: "fault", upstream: "up", fault },
  ] as const) {
    const got = await said(t, (r) => reply(r, unserved));
    t.regex(got.status, /^HTTP\/1.1 402 .*budget day has no money for more time; .*ask for a raise/);
    t.deepEqual(JSON.parse(got.body).budgetguard, { upstream: "up", budget: "day" });
  }
});

test("who has shared a start-up and was cut before anything was sent is told by which budget", (t) => {
  const cut = { kind: "cut", budget: "day", reason: "budget day has no money for more time" } as const;
  const relayed = owing({ kind: "unsent", why: "cut", replayable: false, cause: new Interrupted(cut) });
  t.like(relayed, { kind: "ended", ending: { outcome: "cut" }, fault: cut });
});

test("a reason phrase is printable ASCII of at most 200 bytes, whatever the message", async (t) => {
  const message = `line\r\nSet-Cookie: a=b \u{1f4b8} ${"x".repeat(500)}`;
  const got = await said(t, (r) => reply(r, { kind: "no_upstream", reason: message, cause: "upstreams" }));
  t.regex(got.status, /^HTTP\/1.1 503 [ -~]{200}$/);
  t.false(got.headers.some((header) => header.startsWith("Set-Cookie")));
  t.is(JSON.parse(got.body).detail, message);
});

test("HEAD has no body, and an answer that has begun is broken off", async (t) => {
  const head = await said(t, (r) => reply(r, { kind: "bug" }), "HEAD");
  t.is(head.body, "");
  t.regex(head.status, /500/);
  const begun = await said(t, (response) => {
    response.writeHead(200);
    response.write("half", () => reply(response, { kind: "bug" }));
  });
  t.is(begun.how, "reset");
});

test("headers that are added cannot break out of their line", async (t) => {
  const added = [["X-BudgetGuard-Warning", "a\r\nX: b\u20ac"]] as const;
  const got = await said(t, (response) => reply(response, { kind: "bug" }, added));
  t.true(got.headers.includes("X-BudgetGuard-Warning: a??X: b?"));
});
