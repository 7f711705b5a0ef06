// After a crash (MONEY §7): what was open is settled as unknown at what it had accrued up to a second after
// the last heartbeat, or the restart; never free, never twice, never pinned, and the start never fails.

import test, { type ExecutionContext } from "ava";
import { openStored } from "../../src/ledger/open.ts";
import { recover } from "../../src/ledger/recovery.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { readStored } from "../../src/ledger/sqlite-read.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import type { Price } from "../../src/metering/price.ts";
import { DAY, EPOCH, HOUR, type Instant, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { Budget } from "../../src/policy/policy.ts";
import {
  begun,
  charges,
  HandClock,
  type House,
  houseOf,
  permit,
  RELAYED,
  restarted,
  rows,
  stored,
} from "../support/ledger.ts";
import { budget, perHour, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const day = budget("day", { limit_usd: "1", overrun: "cut" });

function paid(price: Price = perHour("3.6"), ...budgets: readonly Budget[]) {
  return policy({ upstreams: [upstream("aws", { price })], budgets: budgets.length === 0 ? [day] : budgets });
}

/** Time passes with a heartbeat every second, as in a daemon. */
async function beat(house: House, count: number): Promise<void> {
  for (let second = 0; second < count; second += 1) {
    house.clock.pass(SECOND);
    await house.accounts.heartbeat();
  }
}

/** What each request was charged, in the order of their ids, after a crash and `away` until the restart. */
async function check(
  t: ExecutionContext,
  given: House,
  expected: readonly string[],
  away: number = HOUR,
): Promise<House> {
  const next = await restarted(t, given, away);
  const charged = rows(given.folder, "SELECT charged FROM decisions ORDER BY seq").map((row) => row.charged);
  t.deepEqual(charged, expected.map(usd));
  const sum = charges(given.folder).reduce((total, { amount }) => total + amount, 0n);
  t.is(
    sum,
    expected.map(usd).reduce<bigint>((total, amount) => total + amount, 0n),
  );
  t.is(rows(given.folder, "SELECT id FROM reservations").length, 0);
  const left = stored(given.folder);
  t.true(left.every(({ held }) => held === 0n));
  t.is(
    left.reduce((total, { settled }) => total + settled, 0n),
    sum,
  );
  return next;
}

test("a daemon that ended in order leaves nothing to settle", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = await begun(house, task());
  house.clock.pass(SECOND);
  await reservation.settle(RELAYED);
  const next = await check(t, house, ["0.001"]);
  t.is(next.recovered, 0);
});

test("a running request is charged to a second after the last heartbeat", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await beat(house, 3);
  house.clock.pass(400_000);
  const next = await check(t, house, ["0.004"]);
  t.is(next.recovered, 1);
  t.deepEqual(rows(house.folder, "SELECT outcome, is_last FROM entries ORDER BY seq DESC LIMIT 1"), [
    { outcome: "unknown", is_last: 1n },
  ]);
  t.deepEqual(rows(house.folder, "SELECT outcome, status FROM decisions"), [
    { outcome: "unknown", status: null },
  ]);
});

test("a restart within that second charges up to the restart", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await beat(house, 3);
  await check(t, house, ["0.0036"], 600_000);
});

test("a restart under a wall clock that was set back charges what was written down", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await beat(house, 3);
  house.clock.step(-DAY);
  await check(t, house, ["0.003"], SECOND);
});

test("requests that share a machine are charged their shares", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await beat(house, 2);
  await begun(house, task());
  await beat(house, 2);
  await check(t, house, ["0.0035", "0.0015"]);
});

test("one that was settled before the crash has paid its share, and the other goes on alone", async (t) => {
  const house = await houseOf(t, paid());
  const first = await begun(house, task());
  await begun(house, task());
  await beat(house, 2);
  await first.settle(RELAYED);
  await beat(house, 2);
  await check(t, house, ["0.001", "0.004"]);
});

test("the charge is capped by the hold", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await beat(house, 30);
  await check(t, house, ["0.012"]);
});

test("a crash before the first heartbeat is not free", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  house.clock.pass(300_000);
  await check(t, house, ["0.001"]);
});

test("a request whose beginning no heartbeat has seen is charged from the last one on", async (t) => {
  const house = await houseOf(t, paid());
  await beat(house, 3);
  house.clock.pass(200_000);
  await begun(house, task());
  house.clock.pass(300_000);
  // Admitted 0.2 s after the heartbeat, charged until 1 s after it.
  await check(t, house, ["0.0008"]);
});

test("a unit price is charged whole", async (t) => {
  const image: Price = { kind: "image", amount: usd("0.01"), source: { kind: "policy" } };
  const tokens: Price = { kind: "tokens", input: usd("0"), output: usd("1000"), source: { kind: "policy" } };
  for (const [price, charged] of [
    [perRequest("0.03"), "0.03"],
    [image, "0.02"],
    [tokens, "0.2"],
  ] as const) {
    const house = await houseOf(t, paid(price));
    await begun(house, task({ work: { ...task().work, images: 2, maxTokens: 100 } }));
    await beat(house, 1);
    await check(t, house, [charged]);
  }
});

test("free work is settled at nothing, and is not pinned either", async (t) => {
  const house = await houseOf(t, {
    ...paid(perHour("0")),
    lowestPrice: { includeLocal: true, explore: false },
  });
  await begun(house, task());
  await beat(house, 3);
  await check(t, house, ["0"]);
});

test("what was running at midnight is charged to both days", async (t) => {
  const midnight = TEN + 14 * HOUR;
  const house = await houseOf(t, paid(), new HandClock((midnight - 2 * SECOND) as Instant));
  await begun(house, task());
  await beat(house, 4);
  await check(t, house, ["0.005"]);
  t.deepEqual(
    stored(house.folder).map(({ settled }) => settled),
    [usd("0.002"), usd("0.003")],
  );
});

test("money is charged in the period of its time, also where nothing was held in it", async (t) => {
  const midnight = TEN + 14 * HOUR;
  const finishing = budget("finishing", { limit_usd: "0.012" });
  const house = await houseOf(
    t,
    paid(perHour("3.6"), finishing),
    new HandClock((midnight - 12 * SECOND) as Instant),
  );
  const reservation = await begun(house, task());
  // Passed over tonight, so the horizon moves into a day in which this budget holds nothing.
  await house.adopt(paid(perHour("3.6"), budget("finishing", { limit_usd: "0.001" })));
  await reservation.extend();
  await beat(house, 14);
  await check(t, house, ["0.015"]);
  t.deepEqual(
    stored(house.folder).map(({ settled }) => settled),
    [usd("0.012"), usd("0.003")],
  );
});

test("a second start finds nothing to settle", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await beat(house, 3);
  const next = await check(t, house, ["0.004"]);
  const again = await check(t, next, ["0.004"]);
  t.is(again.recovered, 0);
});

test("each start is a new owner, and no hold outlives the one that made it", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  const owners = (folder: string) =>
    rows(folder, "SELECT held FROM reservations").map(({ held }) => JSON.parse(String(held)).owner.epoch);
  t.deepEqual(owners(house.folder), [1]);
  const next = await restarted(t, house);
  t.deepEqual(owners(next.folder), []);
  await begun(next, task({ id: "r-later" }));
  t.deepEqual(owners(next.folder), [2]);
});

test("a crash in the middle of recovery doubles nothing", async (t) => {
  const house = await houseOf(t, paid());
  await begun(house, task());
  await begun(house, task());
  await beat(house, 3);
  await house.crash();
  const database = openLedger(house.folder);
  const crash = { ...readStored(database, EPOCH), restart: house.clock.wall(), policy: undefined };
  const writer = new SqliteWriter(database);
  database.exec("BEGIN IMMEDIATE");
  const [first] = recover(crash);
  if (first !== undefined) writer.put(first);
  // Power fails before the commit.
  database.close();
  await check(t, house, ["0.002", "0.002"]);
});

test("what was settled in a crash counts against the limit after the restart", async (t) => {
  const house = await houseOf(t, paid(perHour("3.6"), budget("day", { limit_usd: "0.015" })));
  await begun(house, task());
  await beat(house, 3);
  const next = await check(t, house, ["0.004"]);
  t.is((await next.admit(task())).kind, "refuse");
});

test("time goes on where the ledger stopped, and nothing written later is earlier", async (t) => {
  const house = await houseOf(t, paid());
  await beat(house, 5);
  house.clock.step(-DAY);
  const next = await restarted(t, house);
  t.is(next.accounts.now(), (TEN + 5 * SECOND) as Instant);
});

test("a start reads what is open, however much has been", async (t) => {
  const house = await houseOf(t, paid(perRequest("0.00001")));
  await Promise.all(
    Array.from({ length: 2000 }, async () => {
      const reservation = permit(await house.admit(task()));
      reservation.begin();
      await reservation.settle(RELAYED);
    }),
  );
  await house.crash();
  const { stored: left } = openStored(house.folder, house.clock);
  t.is(left.balances.length, 1);
  t.deepEqual([left.holds.length, left.leases.size], [0, 0]);
  t.is(left.balances[0]?.settled, usd("0.02"));
});

test("balances of periods that are over stay on disk and are not read", async (t) => {
  const house = await houseOf(t, paid(perRequest("0.01")));
  await (await begun(house, task())).settle(RELAYED);
  house.clock.pass(2 * DAY + MINUTE);
  await house.accounts.heartbeat();
  await house.crash();
  const { stored: left } = openStored(house.folder, house.clock);
  t.deepEqual(left.balances, []);
  t.is(stored(house.folder)[0]?.settled, usd("0.01"));
});
