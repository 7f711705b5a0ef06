// A machine that slept, or a gateway that stood still (MONEY §2, "Suspend, death"): who ran then has ended at
// the last heartbeat before it.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { type DurationUs, HOUR, later, SECOND, seconds } from "../../src/metering/time.ts";
import { container, kinds, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, RELAYED, restarted } from "../support/ledger.ts";
import { budget, model, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const DAY_BUDGET = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  budgets: [budget("day", { limit_usd: "10" })],
});

const sleeps = test.macro(async (t: ExecutionContext, sleep: (house: House) => void, gap: bigint) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  const run = await begun(house, task());
  await watch(house, 3);
  sleep(house);
  await house.accounts.heartbeat();
  t.is(await run.extend(), "refused", "whoever relays it ends it");
  t.true(run.cuts);
  t.is((await run.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.003"));
  t.is(kinds(house).gap, undefined);
  house.accounts.containers.seen(container());
  await house.accounts.heartbeat();
  t.is(kinds(house).gap, gap);
});
test(
  "a beat that comes six seconds late was a sleep",
  sleeps,
  ({ clock }) => clock.pass(6 * SECOND + 1),
  3_000_000n,
);
test(
  "a wall that went on without the other clock was a sleep",
  sleeps,
  (house) => {
    house.clock.step(3 * SECOND);
    house.clock.pass(SECOND);
  },
  500_000n,
);

test("a request on a machine without a container ends with the last heartbeat before a sleep, once", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  const [run, other] = [await begun(house, task()), await begun(house, task())];
  const shortened: string[] = [];
  run.onShortened(() => shortened.push("run"));
  await watch(house, 4);
  house.clock.pass(8 * SECOND);
  await house.accounts.heartbeat();
  t.deepEqual(shortened, ["run"], "whoever relays it is told in that tick");
  t.is(run.horizon, later(TEN, seconds(4)), "there its held time ends");
  t.is(await run.extend(), "refused");
  t.true(run.cuts && run.isLost === true);
  const next = await begun(house, task());
  await watch(house, 1);
  t.is((await next.settle(RELAYED)).charged, usd("0.001"), "alone, in a lease of its own");
  for (const one of [run, other])
    t.is((await one.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.002"));
  t.deepEqual(kinds(house), { settled: 5_000_000n });
  t.true(onDisk(house.folder, verify).ok);
});

test("a crash before a lost request is settled charges nothing of the sleep either", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  await begun(house, task());
  await watch(house, 4);
  house.clock.pass(7 * SECOND);
  await house.accounts.heartbeat();
  await watch(house, 1);
  const next = await restarted(t, house, SECOND);
  t.is(next.recovered, 1);
  t.deepEqual(kinds(next), { settled: 4_000_000n });
  t.true(onDisk(next.folder, verify).ok);
});

const jumps = test.macro(async (t: ExecutionContext, believe: (house: House) => void, waits: number) => {
  // Held for longer than it waits.
  const models = [model("flux-dev", ["aws"], { estimate: seconds(1200) })];
  const house = await houseOf(t, policy({ ...DAY_BUDGET, upstreams: [upstream("aws")], models }));
  house.clock.step(3 * HOUR);
  await watch(house, 1);
  believe(house);
  const run = await begun(house, task());
  const before = house.accounts.now();
  await watch(house, waits - 1);
  t.is(house.accounts.now(), later(before, seconds(waits - 1)), "while it runs it waits");
  t.false(run.isLost === true);
  await watch(house, 1);
  t.is(
    house.accounts.now(),
    later(before, (seconds(waits) + 3 * HOUR) as DurationUs),
    "and then the period turns",
  );
  t.true(run.isLost, "who runs then ends");
  await watch(house, 5);
  const { charged } = await run.settle({ ...RELAYED, outcome: "cut" });
  t.is(charged, usd(String((waits - 1) / 1000)), "with the last heartbeat before it");
  t.true(onDisk(house.folder, verify).ok);
});
test(
  "a jump that is accepted while requests run is adopted in a minute",
  jumps,
  ({ time }) => time.believe(),
  60,
);
test("one that has stood for ten minutes, a minute later", jumps, () => undefined, 660);

test("a wall that is set back, or a beat five seconds late, is no sleep", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  const run = await begun(house, task());
  house.clock.step(-HOUR);
  house.clock.pass((6 * SECOND) as DurationUs);
  await house.accounts.heartbeat();
  t.is((await run.settle(RELAYED)).charged, usd("0.006"));
});
