// A tunnel is posted by slice and settled at close (MONEY §7): what it has used moves from held to settled
// while it is open, once, and a crash or a disk that refuses changes nothing about the sum.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { HOUR, type Instant, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import { container } from "../support/containers.ts";
import {
  begun,
  charges,
  HandClock,
  type House,
  houseOf,
  onDisk,
  permit,
  RELAYED,
  restarted,
  rows,
  stored,
} from "../support/ledger.ts";
import { budget, model, perHour, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

// 1 s costs 0.001 USD; the first hold is 12 s, each slice 5 s.
const models = [model("flux-dev", ["box"], { estimate: seconds(12) })];
const rules = policy({
  upstreams: [upstream("box", { price: perHour("3.6") })],
  models,
  budgets: [budget("day", { limit_usd: "1" })],
});

async function opened(house: House, user = "alice") {
  const one = await begun(house, task({ labels: { user } }));
  one.bySlice();
  return one;
}

function day(house: House, part = "usd|daily") {
  return stored(house.folder, part).map(({ settled, held }) => [settled, held]);
}

function inMemory(house: House) {
  return [...house.accounts.book.all()].map(({ balance }) => [balance.settled, balance.held]);
}

function sound(t: ExecutionContext, house: House) {
  t.deepEqual(
    onDisk(house.folder, verify).checks.flatMap(({ findings }) => findings),
    [],
  );
}

test("what it has used is posted with each slice, and the rest when it closes", async (t) => {
  const house = await houseOf(t, rules);
  const one = await opened(house);
  house.clock.pass(9 * SECOND);
  t.is(await one.extend(), "extended");
  t.deepEqual(day(house), [[usd("0.009"), usd("0.008")]]);
  t.deepEqual(inMemory(house), day(house));
  sound(t, house);
  house.clock.pass(5 * SECOND);
  t.is(await one.extend(), "extended");
  t.deepEqual(day(house), [[usd("0.014"), usd("0.008")]]);
  house.clock.pass(2 * SECOND);
  t.like(await one.settle(RELAYED), { charged: usd("0.016"), elapsed: seconds(16) });
  t.deepEqual(day(house), [[usd("0.016"), 0n]]);
  t.deepEqual(
    rows(house.folder, "SELECT at, amount, elapsed, is_last, outcome FROM entries WHERE kind = 'settled'"),
    [
      { at: 0n, amount: usd("0.009"), elapsed: 9n, is_last: 0n, outcome: null },
      { at: 9n, amount: usd("0.005"), elapsed: 5n, is_last: 0n, outcome: null },
      { at: 14n, amount: usd("0.002"), elapsed: 2n, is_last: 1n, outcome: "relayed" },
    ].map((row) => ({
      ...row,
      at: BigInt(TEN) + row.at * BigInt(SECOND),
      elapsed: row.elapsed * BigInt(SECOND),
    })),
  );
  sound(t, house);
});

test("a request that is no tunnel is posted when it ends", async (t) => {
  const house = await houseOf(t, rules);
  const one = await begun(house, task());
  house.clock.pass(9 * SECOND);
  await one.extend();
  t.deepEqual(day(house), [[0n, usd("0.017")]]);
});

test("it counts as one request, in the period of its admission", async (t) => {
  const clock = new HandClock((TEN + 14 * HOUR - 5 * SECOND) as Instant);
  const counting = budget("count", { limits: { requests: 5 }, per: "user" });
  const house = await houseOf(t, { ...rules, budgets: [...rules.budgets, counting] }, clock);
  const one = await opened(house);
  clock.pass(9 * SECOND);
  await one.extend();
  t.deepEqual(day(house), [
    [usd("0.005"), 0n],
    [usd("0.004"), usd("0.008")],
  ]);
  t.deepEqual(day(house, "requests|"), [[0n, 1n]]);
  sound(t, house);
  await one.settle(RELAYED);
  t.deepEqual(day(house), [
    [usd("0.005"), 0n],
    [usd("0.004"), 0n],
  ]);
  t.deepEqual(day(house, "requests|"), [[1n, 0n]]);
  sound(t, house);
});

test("a slice that the disk refuses is posted nowhere, and goes with the next one", async (t) => {
  const house = await houseOf(t, rules);
  const one = await opened(house);
  const other = await opened(house, "bob");
  house.clock.pass(8 * SECOND);
  house.disk.refuses = () => true;
  t.is(await one.extend(), "unavailable");
  house.disk.refuses = () => false;
  t.deepEqual(inMemory(house), [[0n, usd("0.024")]]);
  t.deepEqual(day(house), inMemory(house));
  t.is(await one.extend(), "extended");
  t.deepEqual(day(house), [[usd("0.004"), usd("0.025")]]);
  sound(t, house);
  // Nobody has forgotten with whom it shares.
  house.clock.pass(SECOND);
  t.is((await one.settle(RELAYED)).charged, usd("0.0045"));
  t.is((await other.settle(RELAYED)).charged, usd("0.0045"));
  sound(t, house);
});

test("a crash settles what was not posted yet, also of one whose sharers were never told to the disk", async (t) => {
  const house = await houseOf(t, rules);
  const [one, other] = [permit(await house.admit(task())), permit(await house.admit(task()))];
  house.clock.pass(SECOND);
  one.begin();
  one.bySlice();
  house.clock.pass(4 * SECOND);
  other.begin();
  house.clock.pass(4 * SECOND);
  // No heartbeat came: this write is all that the disk knows.
  t.is(await one.extend(), "extended");
  t.deepEqual(day(house), [[usd("0.006"), usd("0.023")]]);
  const next = await restarted(t, house, 500_000);
  t.is(next.recovered, 2);
  t.deepEqual(day(next), [[usd("0.0085"), 0n]]);
  t.deepEqual(
    rows(next.folder, "SELECT request, charged FROM decisions ORDER BY seq").map(({ charged }) => charged),
    [usd("0.00625"), usd("0.00225")],
  );
  t.deepEqual(
    charges(next.folder).map(({ request, amount }) => [request === one.task.id, amount]),
    [
      [true, usd("0.006")],
      [false, usd("0.00225")],
      [true, usd("0.00025")],
    ],
  );
  sound(t, next);
});

test("with whom it shares is not forgotten by a slice that the disk refused", async (t) => {
  const house = await houseOf(t, rules);
  const [one, other] = [permit(await house.admit(task())), permit(await house.admit(task()))];
  one.begin();
  one.bySlice();
  house.clock.pass(4 * SECOND);
  other.begin();
  house.clock.pass(2 * SECOND);
  house.disk.refuses = () => true;
  t.is(await one.extend(), "unavailable");
  house.disk.refuses = () => false;
  house.clock.pass(2 * SECOND);
  t.is(await one.extend(), "extended");
  const next = await restarted(t, house, 1000);
  t.deepEqual(day(next), [[usd("0.008001"), 0n]]);
  sound(t, next);
});

test("a budget that comes while it is open counts what was posted, and holds what is left", async (t) => {
  const house = await houseOf(t, rules);
  const one = await opened(house);
  house.clock.pass(9 * SECOND);
  await one.extend();
  const newcomer = budget("alice", { limit_usd: "1", when: { user: "alice" } });
  await house.adopt({ ...rules, budgets: [...rules.budgets, newcomer] });
  await house.accounts.outbox.settled();
  t.deepEqual(day(house), [
    [usd("0.009"), usd("0.008")],
    [usd("0.009"), usd("0.008")],
  ]);
  house.clock.pass(2 * SECOND);
  await one.settle(RELAYED);
  t.deepEqual(day(house), [
    [usd("0.011"), 0n],
    [usd("0.011"), 0n],
  ]);
  sound(t, house);
});

test("a rebased hold holds what its share leaves, less what was posted", async (t) => {
  const house = await houseOf(t, rules);
  const one = await opened(house);
  const other = await begun(house, task());
  house.clock.pass(5 * SECOND);
  await one.extend();
  // Its 17 s and the other's 12 s, of which 5 s were shared: 2.5 posted; 2.5 of the other, 7 and 12 to come.
  t.deepEqual(day(house), [[usd("0.0025"), usd("0.0265")]]);
  house.clock.pass(1000);
  await house.accounts.heartbeat();
  const held = stored(house.folder, "usd|daily")[0]?.held ?? 0n;
  t.true(held >= usd("0.0214") && held <= usd("0.021501"), `${held}`);
  sound(t, house);
  await other.settle(RELAYED);
  await one.settle(RELAYED);
  t.deepEqual(day(house), [[usd("0.005001"), 0n]]);
  sound(t, house);
});

test("a budget of seconds counts those of a tunnel by slice, and its price once", async (t) => {
  const house = await houseOf(
    t,
    policy({
      upstreams: [upstream("box", { price: perRequest("0.02") })],
      models,
      budgets: [budget("day", { limit_usd: "1" }), budget("time", { limits: { seconds: 100 } })],
    }),
  );
  const one = await opened(house);
  house.clock.pass(9 * SECOND);
  await one.extend();
  t.deepEqual(day(house), [[0n, usd("0.02")]]);
  t.deepEqual(day(house, "seconds|"), [[quantityOf(9 * SECOND), quantityOf(8 * SECOND)]]);
  house.clock.pass(SECOND);
  await one.settle(RELAYED);
  t.deepEqual(day(house), [[usd("0.02"), 0n]]);
  t.deepEqual(day(house, "seconds|"), [[quantityOf(10 * SECOND), 0n]]);
  sound(t, house);
});

test("of a container, the lease on disk knows what was posted of it", async (t) => {
  const upstreams = [upstream("box", { price: perHour("3.6"), hasContainer: true })];
  const house = await houseOf(t, { ...rules, upstreams: new Map(upstreams.map((one) => [one.id, one])) });
  const about = container({ machine: "box", price: perHour("3.6") as never });
  house.accounts.containers.seen(about);
  house.clock.pass(3 * SECOND);
  await house.accounts.heartbeat();
  const one = await opened(house);
  house.clock.pass(9 * SECOND);
  const other = permit(await house.admit(task()));
  other.begin();
  house.clock.pass(MINUTE);
  t.is(await one.extend(), "extended");
  sound(t, house);
  const next = await restarted(t, house, 3 * SECOND);
  next.accounts.containers.seen(about);
  next.clock.pass(SECOND);
  await next.accounts.heartbeat();
  sound(t, next);
});

test("a slice that comes late, in a quarter-hour that nothing was held for, posts no empty entry there", async (t) => {
  const house = await houseOf(t, rules, new HandClock((TEN + 15 * MINUTE - 13 * SECOND) as Instant));
  const one = await opened(house);
  house.clock.pass(14 * SECOND);
  t.is(await one.extend(), "extended");
  t.deepEqual(
    charges(house.folder).map(({ amount }) => amount),
    [usd("0.012")],
  );
  house.clock.pass(SECOND);
  await one.settle(RELAYED);
  t.is(
    charges(house.folder).reduce((sum, { amount }) => sum + amount, 0n),
    usd("0.015"),
  );
  sound(t, house);
});

test("what runs on in a budget that lets it finish takes no more from what is held than is held there", async (t) => {
  const tight = policy({
    upstreams: [...rules.upstreams.values()],
    models,
    budgets: [budget("day", { limit_usd: "0.012" })],
  });
  const house = await houseOf(t, tight);
  const one = await opened(house);
  for (let slice = 0; slice < 4; slice += 1) {
    house.clock.pass(5 * SECOND);
    t.is(await one.extend(), "extended");
  }
  t.deepEqual(day(house), [[usd("0.02"), 0n]]);
  t.deepEqual(inMemory(house), day(house));
  sound(t, house);
  await one.settle(RELAYED);
  t.deepEqual(day(house), [[usd("0.02"), 0n]]);
});
