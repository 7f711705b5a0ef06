// Questions to the ledger: spend by every dimension, and the records of requests.

import test, { type ExecutionContext } from "ava";
import { type RecordsQuestion, record, records, type SumsQuestion, sums } from "../../src/ledger/queries.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import type { DecisionRow, EndingRow, Write } from "../../src/ledger/store.ts";
import { DAY, durationUs, EPOCH, FOREVER, later, seconds } from "../../src/metering/time.ts";
import { entry, facts, ledgerFolder } from "../support/ledger.ts";
import { TEN, usd } from "../support/policies.ts";

function ledger(t: ExecutionContext) {
  const database = openLedger(ledgerFolder(t));
  t.teardown(() => database.close());
  const writer = new SqliteWriter(database);
  return { database, put: (write: Partial<Write>) => writer.put({ at: TEN, wall: TEN, ...write }) };
}

function spend(t: ExecutionContext, over: Partial<SumsQuestion>) {
  const { database, put } = ledger(t);
  const one = (user: string, model: string, amount: string, days = 0) =>
    entry({
      at: later(TEN, durationUs(days * DAY)),
      amount: usd(amount),
      facts: facts({ user, model, session: user === "bob" ? undefined : "s-1", tag: model, gpu_tier: "t4" }),
    });
  put({
    entries: [
      one("alice", "flux", "0.01"),
      one("alice", "sdxl", "0.02"),
      one("bob", "flux", "0.04"),
      one("bob", "flux", "0.08", 1),
    ],
  });
  const question = { from: EPOCH, to: FOREVER, by: "total", where: {}, ...over };
  return sums(database, question).map(({ value, amount, requests }) => ({ value, amount, requests }));
}

function row(value: string, amount: string, requests: number) {
  return { value, amount: usd(amount), requests };
}

test("all spend is one row", (t) => {
  t.deepEqual(spend(t, {}), [row("", "0.15", 4)]);
});

test("spend by a dimension is dearest first", (t) => {
  t.deepEqual(spend(t, { by: "user" }), [row("bob", "0.12", 2), row("alice", "0.03", 2)]);
  t.deepEqual(spend(t, { by: "model" }), [row("flux", "0.13", 3), row("sdxl", "0.02", 1)]);
  t.deepEqual(spend(t, { by: "provider" }), [row("aws", "0.15", 4)]);
  t.deepEqual(spend(t, { by: "upstream" }), [row("flux-aws", "0.15", 4)]);
});

test("a dimension that is not rolled up is counted from the entries", (t) => {
  t.deepEqual(spend(t, { by: "session" }), [row("", "0.12", 2), row("s-1", "0.03", 2)]);
  t.deepEqual(spend(t, { by: "tag" }), [row("flux", "0.13", 3), row("sdxl", "0.02", 1)]);
  t.deepEqual(spend(t, { by: "gpu_tier" }), [row("t4", "0.15", 4)]);
  t.deepEqual(spend(t, { by: "machine" }), [row("flux-aws", "0.15", 4)]);
});

test("a window begins with its first instant and ends before its last", (t) => {
  const tomorrow = later(TEN, DAY);
  t.deepEqual(spend(t, { to: tomorrow }), [row("", "0.07", 3)]);
  t.deepEqual(spend(t, { from: tomorrow }), [row("", "0.08", 1)]);
  t.deepEqual(spend(t, { to: tomorrow, where: { provider: "aws" } }), [row("", "0.07", 3)]);
  t.deepEqual(spend(t, { from: tomorrow, where: { provider: "aws" } }), [row("", "0.08", 1)]);
});

test("filters hold together, and one that is not said filters nothing", (t) => {
  t.deepEqual(spend(t, { where: { user: "bob", model: "flux" } }), [row("", "0.12", 2)]);
  t.deepEqual(spend(t, { where: { user: "bob", model: "sdxl" } }), []);
  t.deepEqual(spend(t, { by: "model", where: { user: "alice", model: undefined } }), [
    row("sdxl", "0.02", 1),
    row("flux", "0.01", 1),
  ]);
});

test("a filter is a value and never SQL", (t) => {
  t.deepEqual(spend(t, { where: { user: "bob' OR '1'='1" } }), []);
  t.throws(() => spend(t, { by: "amount; DROP TABLE entries" }), { message: /no column for/ });
});

function decided(request: string, over: Partial<DecisionRow> = {}): DecisionRow {
  return {
    ...{ request, at: TEN, clientRequestId: undefined, facts: facts(), outcome: undefined },
    ...{ estimate: usd("0.01"), hold: usd("0.02"), actions: [] },
    explanation: {
      ...{ at: TEN, mode: "local", policy: "d", candidates: [], alternatives: [] },
      ...{ chosen: "flux-aws", rule: "r" },
    },
    ...over,
  } as DecisionRow;
}

function ending(request: string, over: Partial<EndingRow> = {}): EndingRow {
  return {
    ...{ request, endedAt: later(TEN, seconds(10)), outcome: "relayed", status: 200 },
    ...{ charged: usd("0.01"), elapsed: seconds(10), after: [], actions: [] },
    ...over,
  };
}

function book(t: ExecutionContext) {
  const { database, put } = ledger(t);
  for (let index = 1; index <= 5; index += 1) {
    const user = index % 2 === 0 ? "bob" : "alice";
    put({ decision: decided(`r-${index}`, { facts: facts({ user }), clientRequestId: `c-${index % 3}` }) });
  }
  put({ ending: ending("r-1") });
  put({ ending: ending("r-4", { outcome: "failed", status: undefined }) });
  const ids = (over: Partial<RecordsQuestion>) =>
    records(database, { limit: 50, before: undefined, where: {}, ...over }).map(({ id }) => id);
  return { database, put, ids };
}

test("records are newest first, one more than asked for when older ones follow", (t) => {
  const { ids } = book(t);
  t.deepEqual(ids({}), ["r-5", "r-4", "r-3", "r-2", "r-1"]);
  t.deepEqual(ids({ limit: 2 }), ["r-5", "r-4", "r-3"]);
  t.deepEqual(ids({ limit: 2, before: "r-4" }), ["r-3", "r-2", "r-1"]);
  t.deepEqual(ids({ limit: 2, before: "r-2" }), ["r-1"]);
});

test("pages are stable while new requests come in", (t) => {
  const { ids, put } = book(t);
  put({ decision: decided("r-6") });
  t.deepEqual(ids({ limit: 2, before: "r-4" }), ["r-3", "r-2", "r-1"]);
});

test("a page before a request that nobody knows is empty", (t) => {
  t.deepEqual(book(t).ids({ before: "r-99" }), []);
});

test("running requests are those without an outcome", (t) => {
  const { ids } = book(t);
  t.deepEqual(ids({ where: { outcome: "running" } }), ["r-5", "r-3", "r-2"]);
  t.deepEqual(ids({ where: { outcome: "failed" } }), ["r-4"]);
  t.deepEqual(ids({ where: { outcome: "running", user: "bob" } }), ["r-2"]);
});

test("a record is found by our id, or as the newest with a client's id", (t) => {
  const { database, put } = book(t);
  t.is(record(database, "r-2")?.clientRequestId, "c-2");
  t.is(record(database, "c-2")?.id, "r-5");
  t.is(record(database, "nobody"), undefined);
  put({ decision: decided("r-7", { clientRequestId: "r-2" }) });
  t.is(record(database, "r-2")?.id, "r-2");
});

test("a record tells how the request ended, exactly", (t) => {
  const { database } = book(t);
  const found = record(database, "r-1");
  t.is(found?.charged, usd("0.01"));
  t.is(found?.hold, usd("0.02"));
  t.is(found?.elapsed, seconds(10));
  t.is(found?.endedAt, later(TEN, seconds(10)));
  t.is(found?.status, 200);
  t.is(found?.explanation.rule, "r");
  const running = record(database, "r-2");
  t.is(running?.charged, undefined);
  t.is(running?.endedAt, undefined);
});

test("an attempt elsewhere is the same record, running again", (t) => {
  const { database, put } = book(t);
  put({ ending: ending("r-2", { outcome: "unsent" }) });
  put({ decision: decided("r-2", { facts: facts({ upstream: "flux-gcp" }) }) });
  t.is(record(database, "r-2")?.outcome, undefined);
  t.is(record(database, "r-2")?.facts.upstream, "flux-gcp");
});

test("the ending of an earlier attempt that a full disk kept back does not cover that of the later one", (t) => {
  const { database, put } = book(t);
  put({ ending: ending("r-2", { endedAt: later(TEN, seconds(20)) }) });
  put({ ending: ending("r-2", { outcome: "unsent", endedAt: later(TEN, seconds(1)), charged: usd("0") }) });
  t.is(record(database, "r-2")?.outcome, "relayed");
  t.is(record(database, "r-2")?.charged, usd("0.01"));
});
