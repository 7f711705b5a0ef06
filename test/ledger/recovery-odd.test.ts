// A crash between two writes of which only one went through: holds and leases on disk need not agree, and
// still the start succeeds, charges each request once and leaves nothing held.

import test, { type ExecutionContext } from "ava";
import type { HeldRow } from "../../src/ledger/held.ts";
import { HOUR, SECOND } from "../../src/metering/time.ts";
import {
  begun,
  charges,
  type House,
  houseOf,
  permit,
  RELAYED,
  restarted,
  rows,
  stored,
  writesOf,
} from "../support/ledger.ts";
import { budget, policy, task, upstream, usd } from "../support/policies.ts";

const paid = () =>
  policy({ upstreams: [upstream("aws")], budgets: [budget("day", { limit_usd: "1", overrun: "cut" })] });

async function beat(house: House, count: number): Promise<void> {
  for (let second = 0; second < count; second += 1) {
    house.clock.pass(SECOND);
    await house.accounts.heartbeat();
  }
}

/** What each request was charged after a crash; and nothing is held. */
async function check(t: ExecutionContext, given: House, expected: readonly string[]): Promise<void> {
  await restarted(t, given, HOUR);
  const charged = rows(given.folder, "SELECT charged FROM decisions ORDER BY seq").map((row) => row.charged);
  t.deepEqual(charged, expected.map(usd));
  const sum = expected.map(usd).reduce<bigint>((total, amount) => total + amount, 0n);
  t.deepEqual(stored(given.folder) as unknown, [{ settled: sum, held: 0n }]);
}

test("a slice that was written before any heartbeat does not keep the daemon from starting", async (t) => {
  const house = await houseOf(t, paid());
  await beat(house, 1);
  const reservation = await begun(house, task());
  house.clock.pass(400_000);
  await reservation.extend();
  await check(t, house, ["0.001"]);
});

test("the lease of an earlier use of the machine is not taken for the present one", async (t) => {
  const house = await houseOf(t, paid());
  const first = await begun(house, task());
  await beat(house, 8);
  await first.settle(RELAYED);
  await beat(house, 10);
  const second = await begun(house, task());
  house.clock.pass(400_000);
  await second.extend();
  await check(t, house, ["0.008", "0.001"]);
});

test("a request that had ended but could not be settled is charged, and does not stop the start", async (t) => {
  const house = await houseOf(t, paid());
  const first = await begun(house, task());
  await beat(house, 2);
  await begun(house, task());
  await beat(house, 2);
  // Its ending is refused, while other writes go through.
  house.disk.refuses = writesOf("unhold");
  await t.throwsAsync(first.settle(RELAYED));
  house.disk.refuses = () => false;
  house.clock.pass(SECOND);
  const rest = house.accounts.leases.rows(house.accounts.now());
  await house.disk.write({ ...rest, at: house.accounts.now(), wall: house.clock.wall() });
  const next = await restarted(t, house, HOUR);
  t.is(next.recovered, 2);
  const amounts = charges(house.folder).map(({ amount }) => amount);
  t.true(amounts.every((amount) => amount >= usd("0.002") && amount <= usd("0.012")));
  t.true(stored(house.folder).every(({ held }) => held === 0n));
});

test("a request that was held anew is settled once, where its refused release was lost in the crash", async (t) => {
  const house = await houseOf(t, paid());
  const one = task();
  const first = permit(await house.admit(one));
  house.disk.refuses = writesOf("unhold");
  await t.throwsAsync(first.release("retry"));
  house.disk.refuses = () => false;
  const second = permit(await house.admit(one));
  second.begin();
  await beat(house, 2);
  // The heartbeats have written the release by now: as if they had not, its hold is put back.
  const row = {
    ...(house.accounts.openHolds()[0] as HeldRow),
    id: `${one.id}.0`,
    join: undefined,
    claims: [],
  };
  await house.disk.write({ hold: [row], at: house.accounts.now(), wall: house.clock.wall() });
  const next = await restarted(t, house, HOUR);
  t.deepEqual(
    charges(next.folder).map(({ amount }) => amount),
    [usd("0.003")],
  );
  t.is(rows(next.folder, "SELECT 1 FROM entries WHERE is_last = 1").length, 1);
});

test("a slice that failed leaves nothing held behind, whatever row was written meanwhile", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = await begun(house, task());
  house.disk.shut(
    (asked) => typeof asked !== "string" && (asked.entries?.some(({ kind }) => kind === "extended") ?? false),
  );
  const extended = reservation.extend();
  await beat(house, 1);
  house.disk.refuses = (asked) => typeof asked !== "string" && asked.entries !== undefined;
  await house.disk.open();
  t.is(await extended, "unavailable");
  await check(t, house, ["0.002"]);
});

test("a budget that a reload had just added counts what the crash left open, though its hold was not written", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task({ labels: { user: "alice" } }));
  await beat(house, 3);
  house.disk.refuses = writesOf("rehold");
  const alice = budget("alice", { limit_usd: "1", when: { user: "alice" } });
  await house.adopt({ ...paid(), budgets: [...paid().budgets, alice] });
  await restarted(t, house, HOUR);
  t.deepEqual(stored(house.folder, 'user:["alice"]') as unknown, [{ settled: usd("0.004"), held: 0n }]);
});
