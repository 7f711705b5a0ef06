// A container that nobody watched for a while, because the gateway or its engine was away (MONEY §2): requests that
// come before it is seen again, a start in between, and a crash on top of it. The time without requests is posted
// only once it is known to have lived, and nothing twice: `ledger verify` says so at every step.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { type Instant, later, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import { container, kinds, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, RELAYED, restarted } from "../support/ledger.ts";
import { budget, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const rules = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  budgets: [budget("day", { limit_usd: "10" })],
});

/** 1 s costs 0.001 USD, half of that while idle. */
const after = (time: number): Instant => later(TEN, seconds(time));

function check(t: ExecutionContext, house: House, when: string, expected: Record<string, string>): void {
  const findings = onDisk(house.folder, (database) => verify(database).checks.flatMap((one) => one.findings));
  t.deepEqual(findings, [], when);
  const posted = Object.entries(expected).map(([kind, amount]) => [kind, usd(amount)] as const);
  // What is taken back is told without its sign.
  const found = Object.entries(kinds(house)).map(([kind, sum]) => [kind, sum < 0n ? -sum : sum] as const);
  t.deepEqual(Object.fromEntries(found), Object.fromEntries(posted), when);
}

/** Up since ten, seen for 4 s; then the gateway is away until 60 s after ten. */
async function back(t: ExecutionContext): Promise<House> {
  const house = await houseOf(t, rules);
  house.accounts.containers.seen(container());
  await watch(house, 4);
  return restarted(t, house, 56 * SECOND);
}

async function request(house: House, time: number): Promise<void> {
  const one = await begun(house, task());
  await watch(house, time);
  await one.settle(RELAYED);
}

test("a request before the first sighting pays its share, and the gap before it waits for that sighting", async (t) => {
  const house = await back(t);
  await request(house, 3);
  await watch(house, 7);
  check(t, house, "nobody has said that it lived", { idle: "0.002", settled: "0.003" });
  await request(house, 2);
  await watch(house, 1);
  house.accounts.containers.seen(container());
  await watch(house, 2);
  const lived = { gap: "0.032", idle: "0.003", settled: "0.005" };
  check(t, house, "56 s, 7 s and 1 s without a request", lived);
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await house.accounts.heartbeat();
  check(t, house, "and it is over", lived);
});

test("one that was sent there runs on when it is seen, and shares it with whoever comes", async (t) => {
  const house = await back(t);
  const one = await begun(house, task());
  await watch(house, 2);
  house.accounts.containers.seen(container());
  const other = await begun(house, task());
  await watch(house, 2);
  t.is((await one.settle(RELAYED)).charged, usd("0.003"));
  t.is((await other.settle(RELAYED)).charged, usd("0.001"));
  await watch(house, 1);
  check(t, house, "after both", { gap: "0.028", idle: "0.0025", settled: "0.004" });
});

test("what a crash finds before that sighting is charged, and the gap is kept for it", async (t) => {
  const house = await back(t);
  await request(house, 3);
  await watch(house, 5);
  await begun(house, task());
  await watch(house, 1);
  const next = await restarted(t, house, 10 * SECOND);
  check(t, next, "the second one until a second after the last beat", { idle: "0.002", settled: "0.005" });
  await request(next, 1);
  check(t, next, "a third one", { idle: "0.002", settled: "0.006" });
  next.accounts.containers.seen(container());
  await next.accounts.heartbeat();
  check(t, next, "56 s, 5 s and 9 s", { gap: "0.035", idle: "0.002", settled: "0.006" });
});

test("a crash before that second request was said to the disk skips the time before it too", async (t) => {
  const house = await back(t);
  await house.accounts.heartbeat();
  house.clock.pass(SECOND / 2);
  await begun(house, task());
  const next = await restarted(t, house, SECOND);
  check(t, next, "until a second after the last beat", { idle: "0.002", settled: "0.0005" });
  next.accounts.containers.off("i-0a1", after(4));
  await next.accounts.heartbeat();
  check(t, next, "it lived until its last byte", { gap: "0.02825", idle: "0.002", settled: "0.0005" });
});

test("one that is said to have stopped lived as long as bytes came from it", async (t) => {
  const house = await back(t);
  await request(house, 3);
  house.accounts.containers.off("i-0a1", after(20));
  await house.accounts.heartbeat();
  check(t, house, "after it", { gap: "0.028", idle: "0.002", settled: "0.003" });
});

test("of one that was started again meanwhile the time in between is nobody's", async (t) => {
  const house = await back(t);
  await request(house, 3);
  await watch(house, 2);
  house.accounts.containers.seen(container({ start: after(50) }), after(20));
  await watch(house, 1);
  // 16 s and 10 s before the request; then the new one idles for 3 s.
  check(t, house, "after it", { gap: "0.013", idle: "0.0035", settled: "0.003" });
});

test("a request that runs when another start is told is let run, and pays the whole price until then", async (t) => {
  const house = await back(t);
  const one = await begun(house, task());
  await watch(house, 2);
  const again = () => house.accounts.containers.seen(container({ start: after(50) }), after(20));
  again();
  t.is(one.isLost, false);
  await watch(house, 2);
  again();
  t.is((await one.settle(RELAYED)).charged, usd("0.004"));
  await watch(house, 1);
  again();
  await watch(house, 1);
  check(t, house, "after it", { gap: "0.013", idle: "0.003", settled: "0.004" });
});

test("of one that another one has replaced nothing is known after it was last seen", async (t) => {
  const house = await back(t);
  await request(house, 3);
  house.accounts.containers.only("aws", "i-0b2", after(50));
  house.accounts.containers.seen(container({ id: "i-0b2", start: after(50) }));
  await watch(house, 2);
  check(t, house, "10 s before the request", { gap: "0.005", idle: "0.003", settled: "0.003" });
});

test("one that stopped and started while its engine was silent is not billed through", async (t) => {
  const house = await houseOf(t, rules);
  house.accounts.containers.seen(container());
  await watch(house, 20);
  house.accounts.containers.seen(container({ start: after(15) }), after(7));
  await watch(house, 1);
  check(t, house, "7 s and 6 s", { adjusted: "0.0065", idle: "0.013" });
});

test("nor is one that did so while the gateway was away; an end before its own start is none of its own", async (t) => {
  for (const [stoppedBefore, gap] of [
    [after(30), "0.013"],
    [later(TEN, -MINUTE as never), "0.023"],
    [undefined, "0.023"],
  ] as const) {
    const house = await back(t);
    house.accounts.containers.seen(container({ start: after(50) }), stoppedBefore);
    await watch(house, 1);
    check(t, house, `${stoppedBefore}`, { gap, idle: "0.0075" });
  }
});

test("of two that bill as one a request shares the one that starts anew, not the one that nobody has seen since", async (t) => {
  const house = await back(t);
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ id: "i-0b2", start, phase: "starting" }));
  const one = await begun(house, task());
  await watch(house, 2);
  await one.settle(RELAYED);
  t.is(house.accounts.leases.find("i-0b2")?.sharing.lease.total, usd("0.002"));
  check(t, house, "after it", { idle: "0.002", startup: "0.002" });
});

test("a price that falls counts at once where a request runs, seen or not", async (t) => {
  const house = await back(t);
  const one = await begun(house, task());
  await watch(house, 2);
  const half = upstream("aws", { hasContainer: true, gpuTier: "a10g", price: perHour("1.8") });
  await house.adopt({
    ...rules,
    upstreams: new Map([["aws", { ...half, idleRate: hourlyRate(usd("1.8")) }]]),
  });
  await watch(house, 2);
  t.is((await one.settle(RELAYED)).charged, usd("0.003"));
});

test("a machine that was used before anybody told of its container is not billed for that again after a restart", async (t) => {
  const house = await houseOf(t, rules);
  await request(house, 3);
  await watch(house, 1);
  const next = await restarted(t, house, 6 * SECOND);
  next.accounts.containers.seen(container());
  await watch(next, 2);
  check(t, next, "3 s by a request, 9 s by nobody", { idle: "0.0045", settled: "0.003" });
  next.accounts.containers.off("i-0a1", next.accounts.now());
  await next.accounts.heartbeat();
  // The same once that life is over, and somebody comes before the next one is seen.
  const start = next.accounts.now();
  await request(next, 2);
  const third = await restarted(t, next, 3 * SECOND);
  third.accounts.containers.seen(container({ id: "i-0a2", start }));
  await watch(third, 1);
  check(t, third, "2 s by a request, 4 s by nobody", { idle: "0.0065", settled: "0.005" });
});
