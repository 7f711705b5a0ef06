// Holding on while a request runs (MONEY §3): slices that add up, a cut that costs nothing beyond the hold,
// a finish that is passed over, and a disk that says no.

import test, { type ExecutionContext } from "ava";
import { costCeil, hourlyRate } from "../../src/metering/money.ts";
import { between, type Instant, later, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import type { Budget } from "../../src/policy/policy.ts";
import {
  begun,
  HandClock,
  type House,
  houseOf,
  permit,
  RELAYED,
  rows,
  stored,
  writesOf,
} from "../support/ledger.ts";
import { budget, model, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

/** 0.001 USD a second, 12 s expected: slices of 5 s, 0.005 USD each. */
function paid(...budgets: readonly Budget[]) {
  return policy({ upstreams: [upstream("aws")], budgets });
}

function cutting(limit: string, over: Partial<Budget> = {}): Budget {
  return { ...budget("cutting", { limit_usd: limit, overrun: "cut" }), ...over };
}

function held(house: House, part = ""): bigint {
  return stored(house.folder, part).reduce((sum, balance) => sum + balance.held, 0n);
}

async function check(t: ExecutionContext, given: House, expected: { held: string; horizon: number }) {
  t.is(held(given), usd(expected.held));
  const [hold] = given.accounts.openHolds();
  t.is(hold === undefined ? undefined : between(TEN, hold.horizon), seconds(expected.horizon));
}

test("a slice is a quarter of what was expected, at least five seconds and at most sixty", async (t) => {
  for (const [expected, slice] of [
    [12, 5],
    [80, 20],
    [900, 60],
  ] as const) {
    const models = [model("flux-dev", ["aws"], { estimate: seconds(expected) })];
    const house = await houseOf(t, policy({ upstreams: [upstream("aws")], models }));
    const reservation = await begun(house, task());
    t.is(await reservation.extend(), "extended");
    t.is(between(TEN, reservation.horizon), seconds(expected + slice));
  }
});

test("a slice is on disk before it counts", async (t) => {
  const house = await houseOf(t, paid(cutting("1")));
  const reservation = await begun(house, task());
  house.disk.shut();
  const extended = reservation.extend();
  await check(t, house, { held: "0.012", horizon: 12 });
  await house.disk.open();
  t.is(await extended, "extended");
  await check(t, house, { held: "0.017", horizon: 17 });
  const kinds = rows(house.folder, "SELECT kind, amount FROM entries ORDER BY seq");
  t.deepEqual(kinds.at(-1), { kind: "extended", amount: usd("0.005") });
});

test("slices add up to the whole, to the nano-dollar", async (t) => {
  const rate = hourlyRate(usd("1.234567891"));
  const price = { kind: "hour", rate, source: { kind: "policy" } } as const;
  const house = await houseOf(
    t,
    policy({ upstreams: [upstream("odd", { price })], budgets: [cutting("9")] }),
  );
  const reservation = await begun(house, task());
  for (let slice = 0; slice < 30; slice += 1) t.is(await reservation.extend(), "extended");
  const whole = costCeil(rate, seconds(12 + 30 * 5));
  t.is(house.accounts.openHolds()[0]?.amount, whole);
  // What lies in the balances is rounded up slice by slice, never down.
  t.true(held(house) >= whole && held(house) <= whole + 30n);
  const entries = rows(house.folder, "SELECT amount FROM entries WHERE kind IN ('reserved', 'extended')");
  t.is(
    entries.reduce((sum, { amount }) => sum + (amount as bigint), 0n),
    whole,
  );
});

test("a slice that is being written is held already", async (t) => {
  const house = await houseOf(t, paid(cutting("0.028")));
  const reservation = await begun(house, task());
  house.disk.shut();
  const extended = reservation.extend();
  t.is((await house.admit(task())).kind, "refuse");
  await house.disk.open();
  t.is(await extended, "extended");
});

test("a budget that cuts refuses the slice that it has no money for, and nothing is held", async (t) => {
  const house = await houseOf(t, paid(cutting("0.021")));
  const reservation = await begun(house, task());
  t.is(await reservation.extend(), "extended");
  t.true(reservation.cuts);
  t.is(await reservation.extend(), "refused");
  await check(t, house, { held: "0.017", horizon: 17 });
});

test("under a budget that cuts, a request is charged at most its hold", async (t) => {
  const house = await houseOf(t, paid(cutting("0.012")));
  const reservation = await begun(house, task());
  house.clock.pass(MINUTE);
  t.is((await reservation.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.012"));
  t.deepEqual(stored(house.folder), [{ settled: usd("0.012"), held: usd("0") }]);
});

test("a budget that finishes is passed over: the work goes on and is charged in full", async (t) => {
  const house = await houseOf(t, paid(budget("finishing", { limit_usd: "0.012" })));
  const reservation = await begun(house, task());
  t.false(reservation.cuts);
  t.is(await reservation.extend(), "extended");
  await check(t, house, { held: "0.012", horizon: 17 });
  house.clock.pass(MINUTE);
  t.is((await reservation.settle(RELAYED)).charged, usd("0.06"));
});

test("a budget that is passed over takes nothing from the others", async (t) => {
  const finishing = budget("finishing", { limit_usd: "0.012", when: { user: "alice" } });
  const house = await houseOf(t, paid(finishing, cutting("1")));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  t.is(await reservation.extend(), "extended");
  t.is(held(house, 'user:["alice"]'), usd("0.012"));
  t.is(held(house), usd("0.029"));
});

test("one budget that cuts refuses for all, and none of them holds the slice", async (t) => {
  const watching = budget("watching", { limit_usd: "9", when: { user: "alice" } });
  const house = await houseOf(t, paid(watching, cutting("0.012")));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  t.is(await reservation.extend(), "refused");
  t.is(held(house, 'user:["alice"]'), usd("0.012"));
});

test("a budget that only warns is held in and never refuses", async (t) => {
  const house = await houseOf(t, paid(cutting("0.001", { onLimit: "warn" })));
  const reservation = await begun(house, task());
  t.is(await reservation.extend(), "extended");
  await check(t, house, { held: "0.017", horizon: 17 });
});

test("a slice that the disk refuses is no slice: nothing is held, and it may be asked for again", async (t) => {
  const house = await houseOf(t, paid(cutting("1")));
  const reservation = await begun(house, task());
  house.disk.refuses = writesOf("rehold");
  t.is(await reservation.extend(), "unavailable");
  await check(t, house, { held: "0.012", horizon: 12 });
  const live = [...house.accounts.book.all()].map(({ balance }) => balance.held);
  t.deepEqual(live, [usd("0.012")]);
  house.disk.refuses = () => false;
  t.is(await reservation.extend(), "extended");
  await check(t, house, { held: "0.017", horizon: 17 });
});

test("a slice over midnight lies in the days that its seconds lie in", async (t) => {
  const midnight = later(TEN, seconds(14 * 3600));
  const house = await houseOf(t, paid(cutting("1")), new HandClock((midnight - 14 * SECOND) as Instant));
  const reservation = await begun(house, task());
  t.is(await reservation.extend(), "extended");
  t.deepEqual(
    stored(house.folder).map((balance) => balance.held),
    [usd("0.014"), usd("0.003")],
  );
  house.clock.pass(16 * SECOND);
  await reservation.settle(RELAYED);
  t.deepEqual(
    stored(house.folder).map(({ settled, held: left }) => [settled, left]),
    [
      [usd("0.014"), usd("0")],
      [usd("0.002"), usd("0")],
    ],
  );
});

test("an ending waits for the slice that is being written, and gives it back too", async (t) => {
  const house = await houseOf(t, paid(cutting("1")));
  const reservation = await begun(house, task());
  house.clock.pass(SECOND);
  house.disk.shut();
  const extended = reservation.extend();
  const settlement = reservation.settle(RELAYED);
  await house.disk.open();
  t.is(await extended, "extended");
  t.is((await settlement).charged, usd("0.001"));
  t.deepEqual(stored(house.folder), [{ settled: usd("0.001"), held: usd("0") }]);
  t.is(house.accounts.open, 0);
});

test("time that costs nothing needs no slice", async (t) => {
  const own = upstream("own", { provider: "local", price: perHour("0") });
  const house = await houseOf(t, policy({ upstreams: [own], mode: "local", budgets: [cutting("0")] }));
  const reservation = await begun(house, task());
  t.is(await reservation.extend(), "extended");
  t.is(rows(house.folder, "SELECT seq FROM entries WHERE kind = 'extended'").length, 0);
});

test("a raised limit lets the next slice through, a lowered one does not", async (t) => {
  const house = await houseOf(t, paid(cutting("0.012")));
  const reservation = await begun(house, task());
  t.is(await reservation.extend(), "refused");
  await house.adopt(paid(cutting("0.017")));
  t.is(await reservation.extend(), "extended");
  await house.adopt(paid(cutting("0.01")));
  t.is(await reservation.extend(), "refused");
});

test("a request that is not sent yet is given no slice", async (t) => {
  const house = await houseOf(t, paid(cutting("1")));
  const reservation = permit(await house.admit(task()));
  house.clock.pass(9 * SECOND);
  await reservation.extend();
  await check(t, house, { held: "0.012", horizon: 12 });
  reservation.begin();
  await reservation.extend();
  await check(t, house, { held: "0.017", horizon: 17 });
});
