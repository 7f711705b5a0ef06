// What MONEY §7 says of ledger time, on a real ledger: the high-water mark with each commit, a spent period that
// never opens again, a jump that costs nobody anything.

import test from "ava";
import { acceptClock, clockState } from "../../src/daemon/ledger-time.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/metering/time.ts";
import { begun, type House, houseOf, permit, RELAYED, restarted, rows, stored } from "../support/ledger.ts";
import { budget, perHour, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const ONE_A_DAY = policy({
  upstreams: [upstream("hosted", { price: perRequest("0.01") })],
  budgets: [budget("day", { limit_usd: "0.01" })],
});

const BY_TIME = policy({ upstreams: [upstream("pool", { price: perHour("3.6") })] });

async function spend(house: House): Promise<string> {
  const admission = await house.admit(task());
  if (admission.kind !== "admitted") return admission.kind;
  admission.reservation.begin();
  await admission.reservation.settle(RELAYED);
  return "spent";
}

const partsOf = (house: House) => ({ clock: house.time, accounts: house.accounts, store: house.disk.store });

test("each commit carries the high-water mark, and each entry the raw wall clock beside ledger time", async (t) => {
  const house = await houseOf(t, ONE_A_DAY);
  house.clock.step(-HOUR);
  house.clock.pass(SECOND);
  permit(await house.admit(task()));
  const mark = () => Number(rows(house.folder, "SELECT value FROM meta WHERE key = 'high_water'")[0]?.value);
  t.is(mark() - TEN, SECOND);
  const [entry] = rows(house.folder, "SELECT at, wall FROM entries");
  t.deepEqual([Number(entry?.at) - TEN, Number(entry?.wall) - TEN], [SECOND, SECOND - HOUR]);
  house.clock.pass(SECOND);
  await house.accounts.heartbeat();
  t.is(mark() - TEN, 2 * SECOND, "a heartbeat is a commit too");
});

for (const [how, restart] of [
  ["while it runs", false],
  ["over a restart", true],
] as const) {
  test(`a spent day does not open again when the clock is set back, ${how}`, async (t) => {
    const first = await houseOf(t, ONE_A_DAY);
    t.is(await spend(first), "spent");
    first.clock.pass(14 * HOUR);
    t.is(await spend(first), "spent", "the next day has a limit of its own");
    first.clock.step(-14 * HOUR);
    const house = restart ? await restarted(t, first) : first;
    t.is(await spend(house), "refuse", "it is still the second day, and that is spent");
    house.clock.pass(HOUR);
    await house.accounts.heartbeat();
    t.is(await spend(house), "refuse");
    t.deepEqual(
      stored(house.folder, "daily").map(({ settled }) => settled as bigint),
      [usd("0.01"), usd("0.01")],
    );
  });
}

test("a forward jump opens no new day until it has stood for ten minutes", async (t) => {
  const house = await houseOf(t, ONE_A_DAY);
  await spend(house);
  house.clock.step(DAY);
  for (let second = 0; second < 599; second += 1) {
    house.clock.pass(SECOND);
    await house.accounts.heartbeat();
  }
  t.is(await spend(house), "refuse");
  for (let second = 0; second < 3; second += 1) {
    house.clock.pass(SECOND);
    await house.accounts.heartbeat();
  }
  t.is(await spend(house), "spent");
});

test("accepted while nothing runs, a jump is adopted at once, and who said so is in the ledger", async (t) => {
  const house = await houseOf(t, ONE_A_DAY);
  await spend(house);
  house.clock.step(DAY);
  t.like(clockState(partsOf(house)), { at: TEN, doubt: { isAccepted: false } });
  t.is((await acceptClock(partsOf(house), "olga")).doubt, undefined);
  t.is(await spend(house), "spent");
  const turns = rows(house.folder, "SELECT name, value, author FROM turns");
  t.deepEqual(turns, [
    { name: "clock", value: JSON.stringify({ from: TEN, to: TEN + DAY }), author: "olga" },
  ]);
});

test("accepted while a request is metered, a jump waits for its settlement and costs it nothing", async (t) => {
  const house = await houseOf(t, BY_TIME);
  const held = await begun(house, task());
  house.clock.pass(3 * SECOND);
  await house.accounts.heartbeat();
  house.clock.step(DAY);
  house.clock.pass(5 * SECOND);
  t.like(await acceptClock(partsOf(house), "olga"), { doubt: { isAccepted: true } });
  await house.accounts.heartbeat();
  house.clock.pass(5 * SECOND);
  // It looks like a sleep: the request ended with the heartbeat before it.
  t.is((await held.settle(RELAYED)).charged, usd("0.003"));
  await house.accounts.heartbeat();
  t.is(house.time.now() - TEN, DAY + 13 * SECOND);
});

test("without a doubt there is nothing to accept, and nothing is written down", async (t) => {
  const house = await houseOf(t, ONE_A_DAY);
  house.clock.step(-MINUTE);
  t.like(await acceptClock(partsOf(house), "olga"), { at: TEN, doubt: undefined });
  t.deepEqual(rows(house.folder, "SELECT * FROM turns"), []);
});

test("an acceptance that cannot be written down does not count", async (t) => {
  const house = await houseOf(t, ONE_A_DAY);
  house.clock.step(DAY);
  await house.crash();
  await t.throwsAsync(acceptClock(partsOf(house), "olga"), { message: /closed/ });
  t.is(house.time.now(), TEN);
});
