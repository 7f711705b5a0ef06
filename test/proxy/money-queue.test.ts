// Who waits for money, for how long, and who is next: every sentence of MONEY §6, through the real exchange, room and
// accounts.

import test from "ava";
import { type DurationUs, HOUR, type Instant, MINUTE, seconds } from "../../src/metering/time.ts";
import { factsOf } from "../../src/policy/match.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import { MoneyRig } from "../support/money-rig.ts";
import {
  type BudgetSketch,
  budget,
  model,
  perHour,
  perRequest,
  policy,
  TEN,
  task,
  upstream,
  usd,
} from "../support/policies.ts";

const cent = upstream("cent", { price: perRequest("0.01") });
const dime = upstream("dime", { price: perRequest("0.10") });

const queue = (id: string, over: Partial<BudgetSketch> = {}) =>
  budget(id, { limit_usd: "0.01", onLimit: "queue", ...over });

/** Each model has one upstream; requests of `flux-dev` cost a cent, those of `sdxl` a dime. */
function of(budgets: readonly Budget[], over: Pick<Partial<Policy>, "limits"> = {}): Policy {
  const models = [model("flux-dev", ["cent"]), model("sdxl", ["dime"])];
  return policy({ upstreams: [cent, dime], models, budgets, ...over });
}

const waiting = (most: number) => ({
  limits: { connections: 1024, body: 64_000_000, waiting: most, labelValues: 200 },
});

/** A price by time: what is given back when it ends is what it did not use. */
const hourly = upstream("hourly", { price: perHour("3.6") });
const timed = (budgets: readonly Budget[], over = {}) =>
  policy({ upstreams: [hourly], models: [model("flux-dev", ["hourly"], over)], budgets });

test("who waits for money runs once holds end and leave enough, in the order of arrival", async (t) => {
  // 12 s are held for each; 16 s fit.
  const rig = new MoneyRig(timed([queue("day", { limit_usd: "0.016" })]));
  const first = rig.ask("a");
  const second = rig.ask("b");
  rig.ask("c");
  await rig.settle();
  t.deepEqual(rig.served, ["a@hourly"]);
  t.is(rig.room.size, 2);
  await rig.pass(2);
  first.end();
  await rig.settle();
  t.deepEqual(rig.served, ["a@hourly", "b@hourly"], "2 s are used, 12 s fit again");
  t.is(second.attempt?.headers.find(([name]) => name === "X-BudgetGuard-Waited-Seconds")?.[1], "2.000");
});

test("an amount that is set aside by hand does not pass who waits", async (t) => {
  const rig = new MoneyRig(of([queue("day", { limit_usd: "0.105" })]));
  rig.ask("a");
  await rig.settle();
  rig.ask("b", "b", "sdxl");
  await rig.settle();
  const { allocations } = rig.accounts;
  const facts = factsOf(task({ labels: { user: "ops" } }), cent);
  const until = (TEN + HOUR) as Instant;
  const asked = { id: "a-1", facts, amount: usd("0.005"), until, by: "ops", reason: "a trial" };
  const seen = rig.room.seenByNewcomer(rig.accounts.view());
  t.is((await allocations.allocate(asked, seen)).kind, "breach", "b has a claim to all of it");
  t.is((await allocations.allocate(asked, rig.accounts.view())).kind, "allocated", "it would have fitted");
});

test("a newcomer in the tick in which money is freed does not pass, nor one that asks for less", async (t) => {
  const rig = new MoneyRig(of([queue("day", { limit_usd: "0.105" })]));
  const first = rig.ask("a");
  await rig.settle();
  rig.ask("b", "b", "sdxl");
  await rig.settle();
  rig.ask("c");
  await rig.settle();
  // A cent is free; but b, which came earlier, has a claim to it.
  t.deepEqual(rig.served, ["a@cent"]);
  first.leave();
  first.cancel();
  rig.ask("d");
  await rig.settle();
  t.deepEqual(rig.served, ["a@cent"], "a cancelled request by the piece is charged: b is parked now");
});

test("one that is parked blocks nobody: newcomers run on", async (t) => {
  const rig = new MoneyRig(of([queue("day", { limit_usd: "0.105" })]));
  rig.ask("a").end();
  await rig.settle();
  const done = rig.ask("a2");
  await rig.settle();
  done.end();
  await rig.settle();
  rig.ask("b", "b", "sdxl");
  await rig.settle();
  rig.ask("c");
  await rig.settle();
  t.true(rig.served.includes("c@cent"));
  t.is(rig.room.size, 1);
});

test("a period that turns lets the parked run, without anybody saying so, and they come before newcomers", async (t) => {
  const atTurn = (TEN + 14 * HOUR - 3_000_000) as Instant;
  const rig = new MoneyRig(of([queue("day")]), atTurn);
  const first = rig.ask("a");
  await rig.settle();
  first.end();
  await rig.settle();
  rig.ask("b");
  await rig.settle();
  t.is(rig.room.size, 1);
  await rig.pass(2.9);
  t.deepEqual(rig.served, ["a@cent"]);
  rig.world.after(100_000 as DurationUs, () => void rig.ask("c"));
  await rig.pass(0.2);
  t.deepEqual(rig.served, ["a@cent", "b@cent"]);
});

test("nor does a newcomer pass in the first tick of a new period, before any timer has rung", async (t) => {
  const atTurn = (TEN + 14 * HOUR - 3_000_000) as Instant;
  const rig = new MoneyRig(of([queue("day")]), atTurn);
  rig.world.after(3_000_000 as DurationUs, () => void rig.ask("c"));
  const first = rig.ask("a");
  await rig.settle();
  first.end();
  await rig.settle();
  rig.ask("b");
  await rig.pass(4);
  t.deepEqual(rig.served, ["a@cent", "b@cent"]);
});

test("a limit that is raised by a reload lets the parked run in their order; who waits decides anew under it", async (t) => {
  const rig = new MoneyRig(of([queue("day")]));
  const first = rig.ask("a");
  await rig.settle();
  first.end();
  for (const name of ["b", "c", "d"]) rig.ask(name);
  await rig.settle();
  await rig.reload(of([queue("day", { limit_usd: "0.03" })]));
  rig.ask("e");
  await rig.settle();
  t.deepEqual(rig.served, ["a@cent", "b@cent", "c@cent"]);
  const refused = rig.ask("f");
  await rig.reload(of([queue("day", { limit_usd: "0.03", onLimit: "block" })]));
  await rig.settle();
  t.like(refused.exchanged, { kind: "refused", breach: { action: "block" } });
  t.is(rig.room.size, 0);
});

test("those who share no budget are independent", async (t) => {
  const rig = new MoneyRig(of([queue("each", { per: "user" })]));
  rig.ask("a1", "a");
  rig.ask("a2", "a");
  rig.ask("b1", "b");
  await rig.settle();
  t.deepEqual(rig.served, ["a1@cent", "b1@cent"]);
  t.is(rig.room.size, 1);
});

test("what asks nothing of a budget passes everybody who waits for it", async (t) => {
  const free = upstream("cent", { price: perRequest("0"), provider: "local" });
  const rig = new MoneyRig(of([queue("day", { limit_usd: "0.10" })]));
  rig.ask("a", "a", "sdxl");
  rig.ask("b", "b", "sdxl");
  await rig.settle();
  const upstreams = new Map([
    ["cent", free],
    ["dime", dime],
  ]);
  await rig.reload({ ...rig.policy, mode: "manual", upstreams });
  rig.ask("c");
  await rig.settle();
  t.deepEqual(rig.served, ["a@dime", "c@cent"]);
});

test("the highest priority among its budgets goes first, then age; an eighth of max_wait is worth a step", async (t) => {
  const budgets = [
    queue("day", { limit_usd: "0.02", maxWait: (80 * MINUTE) as DurationUs }),
    queue("vip", { limit_usd: "9", when: { user: "vip" }, priority: 7 }),
  ];
  const line = async (head: number) => {
    const rig = new MoneyRig(of(budgets));
    const running = [rig.ask("x"), rig.ask("y")];
    await rig.settle();
    rig.ask("old");
    await rig.settle();
    await rig.pass(head * 60);
    rig.ask("vip");
    rig.ask("new");
    await rig.settle();
    for (const one of running) one.end();
    await rig.reload(
      of([queue("day", { limit_usd: "0.03", maxWait: (80 * MINUTE) as DurationUs }), ...budgets.slice(1)]),
    );
    await rig.settle();
    return rig.served.slice(2);
  };
  t.deepEqual(await line(19), ["vip@cent"]);
  // Two steps of ten minutes and the same priority: the older one is first.
  t.deepEqual(await line(20), ["old@cent"]);
});

test("after max_wait it is refused, with the balance of that moment and how long it waited", async (t) => {
  const rig = new MoneyRig(of([queue("day", { maxWait: seconds(90) })]));
  const first = rig.ask("a");
  await rig.settle();
  const second = rig.ask("b");
  await rig.pass(89);
  first.end();
  await rig.pass(0.5);
  t.is(second.exchanged, undefined);
  await rig.pass(1);
  const why = "it waited 1 min 30 s, its max_wait";
  const breach = { budget: "day", settled: 10_000_000n, held: 0n, waited: 90_000_000 };
  t.like(second.exchanged, { kind: "refused", breach });
  t.is(rig.room.size, 0);
  const record = rig.disk.decisions.get("b");
  t.like(record, { outcome: "refused", actions: [{ action: "queue", budget: "day" }] });
  t.true(record?.explanation.rule.endsWith(why), record?.explanation.rule);
});

test("a reload does not give the wait anew", async (t) => {
  const rig = new MoneyRig(of([queue("day", { maxWait: seconds(90) })]));
  rig.ask("a");
  await rig.settle();
  const second = rig.ask("b");
  await rig.pass(60);
  await rig.reload(of([queue("day", { maxWait: seconds(90) })]));
  await rig.pass(31);
  t.like(second.exchanged, { kind: "refused", breach: { waited: 90_000_000 } });
});

test("a full room refuses whoever would wait for money, and a room of none everybody", async (t) => {
  const rig = new MoneyRig(of([queue("day")], waiting(1)));
  rig.ask("a");
  rig.ask("b");
  const third = rig.ask("c");
  await rig.settle();
  t.like(third.exchanged, {
    kind: "refused",
    breach: { waited: undefined },
    why: "1 requests wait already (limits.waiting)",
  });
  const none = new MoneyRig(of([queue("day")], waiting(0)));
  none.ask("a");
  const second = none.ask("b");
  await none.settle();
  t.like(second.exchanged, { kind: "refused", why: "limits.waiting is 0: nobody waits" });
});

for (const how of ["leave", "cancel"] as const) {
  test(`one that is told to ${how} while it waits for money gives up its place, and the next one runs`, async (t) => {
    const rig = new MoneyRig(of([queue("day", { limit_usd: "0.105" })]));
    rig.ask("a");
    await rig.settle();
    const second = rig.ask("b", "b", "sdxl");
    await rig.settle();
    rig.ask("c");
    await rig.settle();
    second[how]();
    await rig.settle();
    const why = how === "leave" ? "client_gone" : "cancelled";
    t.like(second.exchanged, { kind: "unsent", why, upstream: "dime" });
    t.deepEqual(rig.served, ["a@cent", "c@cent"]);
    t.is(rig.room.size, 0);
  });
}

test("a running request that was refused a slice takes what is freed before anybody who waits", async (t) => {
  // 12 s are held for each, and slices are 5 s.
  const cut = { limit_usd: "0.025", overrun: "cut" } as const;
  const rig = new MoneyRig(timed([queue("day", cut)]));
  const first = rig.ask("a");
  const second = rig.ask("b");
  rig.ask("c");
  await rig.pass(9.8);
  t.deepEqual(rig.served, ["a@hourly", "b@hourly"]);
  t.is(rig.room.size, 1);
  first.end();
  await rig.settle();
  // 4.9 s used and 7.1 s back, that is 8.1 s with the one that was left: b's slice of 5 s, and nothing for c.
  t.deepEqual(rig.served, ["a@hourly", "b@hourly"]);
  await rig.pass(4);
  t.not(second.attempt, undefined, "b was cut, though there was money for it");
});

test("it takes money and slot together, and keeps its place in the budget while the slot is missing", async (t) => {
  const one = upstream("one", { price: perRequest("0.01"), concurrency: 1 });
  const two = upstream("two", { price: perRequest("0.01") });
  const models = [model("flux-dev", ["one"]), model("sdxl", ["two"])];
  const given = (limit: string) =>
    policy({
      upstreams: [one, two],
      models,
      budgets: [queue("paid", { limit_usd: limit, when: { user: ["a", "b", "c"] } })],
    });
  const rig = new MoneyRig(given("0.01"));
  const first = rig.ask("a");
  await rig.settle();
  rig.ask("b");
  await rig.settle();
  const free = rig.ask("x");
  first.end();
  await rig.settle();
  t.deepEqual(rig.served, ["a@one", "x@one"], "who waits for money alone keeps no slot from anybody");
  await rig.reload(given("0.02"));
  await rig.settle();
  rig.ask("c", "c", "sdxl");
  await rig.settle();
  t.deepEqual(rig.served, ["a@one", "x@one"], "the cent is b's, who waits for the slot now");
  free.end();
  await rig.settle();
  t.deepEqual(rig.served, ["a@one", "x@one", "b@one"]);
});

test("where it stands is told while it waits, and not afterwards", async (t) => {
  const rig = new MoneyRig(of([queue("day")]));
  rig.ask("a");
  for (const name of ["b", "c"]) rig.ask(name);
  await rig.pass(5);
  t.deepEqual(rig.room.placeOf("c"), { position: 2, waited: 5_000_000 as DurationUs });
  t.is(rig.room.placeOf("a"), undefined);
  t.regex(
    rig.disk.decisions.get("c")?.explanation.rule ?? "",
    /on_limit is queue: it waits .*number 2 in line/,
  );
});

test("a gateway that stops sends away who waits for money: ask again once it is back", async (t) => {
  const rig = new MoneyRig(of([queue("day")]));
  rig.ask("a");
  const second = rig.ask("b");
  await rig.settle();
  rig.room.close();
  await rig.settle();
  t.like(second.exchanged, { kind: "too_busy" });
});
