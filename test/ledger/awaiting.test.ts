// Requests that wait for a machine to start, over a real disk: whatever is heard of the start and when, a crash
// between, and an attempt that waited in vain before the one that served.

import test, { type ExecutionContext } from "ava";
import { rememberStartups } from "../../src/ledger/startups.ts";
import { verify } from "../../src/ledger/verify.ts";
import { type DurationUs, later, SECOND, seconds } from "../../src/metering/time.ts";
import { container, kinds, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, permit, RELAYED, restarted, rows } from "../support/ledger.ts";
import { budget, model, policy, TEN, task, upstream } from "../support/policies.ts";

const FAILED = { ...RELAYED, outcome: "failed", status: undefined } as const;
const given = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  models: [model("flux-dev", ["aws"], { estimate: seconds(60) })],
  budgets: [budget("day", { limit_usd: "10" })],
});

const house = (t: ExecutionContext) => houseOf(t, given);
const waiter = async (at: House) => {
  const held = permit(await at.admit(task()));
  held.wait();
  return held;
};

/** Its machine: 1 ms of it costs 1000 nano-dollars while it starts, and half of that while it idles. */
const since = (second: number, phase: "starting" | "ready") =>
  container({ start: later(TEN, seconds(second)), phase });

async function sound(t: ExecutionContext, at: House): Promise<void> {
  await at.accounts.heartbeat();
  const found = onDisk(at.folder, verify);
  t.true(
    found.ok,
    JSON.stringify(found, (_, value) => (typeof value === "bigint" ? String(value) : value)),
  );
}

test("who waits shares the start from the provider's own start on, however late that is heard of", async (t) => {
  const one = await house(t);
  const a = await waiter(one);
  await watch(one, 4);
  const b = await waiter(one);
  await watch(one, 6);
  // It began to cost after 2 s, and 10 s have passed: 2 s of it are a's alone, 6 s are shared.
  one.accounts.containers.seen(since(2, "starting"));
  const paid = await a.settle(FAILED);
  t.is(paid.charged, 5_000_000n as typeof paid.charged);
  await watch(one, 2);
  one.accounts.containers.seen(since(2, "ready"));
  b.begin();
  await watch(one, 5);
  await b.settle(RELAYED);
  t.deepEqual(kinds(one), { settled: 5_000_000n, startup: 10_000_000n });
  one.accounts.containers.off("i-0a1", later(TEN, seconds(17)));
  await sound(t, one);
});

test("one that serves when it is first seen was starting for whoever waits", async (t) => {
  const one = await house(t);
  const a = await waiter(one);
  await watch(one, 8);
  one.accounts.containers.seen(since(3, "ready"));
  a.begin();
  await watch(one, 1);
  await a.settle(RELAYED);
  t.deepEqual(kinds(one), { settled: 1_000_000n, startup: 5_000_000n });
  await sound(t, one);
});

test("what costs before anybody waits is the container's own", async (t) => {
  const one = await house(t);
  await watch(one, 6);
  const a = await waiter(one);
  await watch(one, 2);
  one.accounts.containers.seen(since(1, "starting"));
  await a.settle(FAILED);
  const all = rows(one.folder, "SELECT request, amount FROM entries WHERE kind = 'startup' ORDER BY amount");
  t.deepEqual(
    all.map(({ request, amount }) => [request === null, amount]),
    [
      [false, 2_000_000n],
      [true, 5_000_000n],
    ],
  );
  await sound(t, one);
});

test("of a start that nobody has heard of nothing is owed, and a sleep ends the wait", async (t) => {
  const one = await house(t);
  const a = await waiter(one);
  await watch(one, 5);
  t.is((await a.settle(FAILED)).charged, 0n as never);
  const b = await waiter(one);
  await watch(one, 1);
  one.clock.step(seconds(3600));
  await one.accounts.heartbeat();
  t.true(b.isLost);
  t.is((await b.settle({ ...FAILED, outcome: "cut" })).charged, 0n as never);
  await sound(t, one);
});

test("after a crash who waited has paid a second at most beside what the machine costs, once", async (t) => {
  for (const isSeen of [true, false]) {
    const one = await house(t);
    await waiter(one);
    await watch(one, 10);
    if (isSeen) one.accounts.containers.seen(since(2, "starting"));
    await watch(one, 3);
    const next = await restarted(t, one);
    const [startup = 0n, outcomes] = [
      kinds(next).startup ?? 0n,
      rows(next.folder, "SELECT outcome FROM decisions"),
    ];
    t.deepEqual(outcomes, [{ outcome: "unknown" }]);
    const all = Object.values(kinds(next)).reduce((sum, amount) => sum + amount, 0n);
    if (isSeen) t.true(startup >= 11_000_000n && startup <= 12_000_000n, String(startup));
    else t.true(all <= 1_000_000n, String(all));
    await sound(t, next);
  }
});

test("a crash before the first heartbeat of a machine charges none of its time twice, told of or not", async (t) => {
  for (const isTold of [true, false]) {
    const one = await house(t);
    const held = permit(await one.admit(task(), { startUp: seconds(5), unbilled: seconds(0) }));
    held.wait();
    one.clock.pass(SECOND / 4);
    if (isTold) {
      one.accounts.containers.seen(since(0, "starting"));
      // On disk before whoever is let in there.
      await begun(one, task());
    }
    one.clock.pass(SECOND / 4);
    const next = await restarted(t, one, 3 * SECOND);
    t.is((kinds(next).settled ?? 0n) + (kinds(next).startup ?? 0n) > 0n, isTold);
    next.accounts.containers.seen(since(0, "starting"));
    await watch(next, 2);
    next.accounts.containers.off("i-0a1", later(TEN, seconds(5)));
    await sound(t, next);
    t.is(
      Object.values(kinds(next)).reduce((sum, amount) => sum + amount, 0n),
      5_000_000n,
    );
  }
});

test("an attempt that waited in vain is charged, and the record of the request has both, over a crash too", async (t) => {
  for (const crashes of [false, true]) {
    const one = await house(t);
    const asked = task();
    const first = permit(await one.admit(asked));
    first.wait();
    await watch(one, 2);
    one.accounts.containers.seen(since(0, "starting"));
    await first.settle(FAILED, "retry");
    one.accounts.containers.off("i-0a1", later(TEN, seconds(2)));
    await watch(one, 1);
    const second = await begun(one, asked);
    await watch(one, 3);
    if (!crashes) await second.settle(RELAYED);
    const at = crashes ? await restarted(t, one) : one;
    const [record] = rows(at.folder, "SELECT charged, elapsed, outcome FROM decisions");
    const posted = kinds(at);
    t.is(posted.startup, 2_000_000n);
    t.is(record?.charged, 2_000_000n + (posted.settled ?? 0n));
    t.is(record?.outcome, crashes ? "unknown" : "relayed");
    const counted = rows(
      at.folder,
      "SELECT count(*) AS n FROM entries WHERE is_last = 1 AND kind = 'settled'",
    );
    t.deepEqual(counted, [{ n: 1n }]);
    await sound(t, at);
  }
});

test("how long starts took is known after restarts, also of leases that are long over", async (t) => {
  let one = await house(t);
  for (const took of [20, 30, 70]) {
    const start = one.accounts.now();
    const machine = container({ start, phase: "starting" });
    one.accounts.containers.seen(machine);
    await watch(one, took);
    one.accounts.containers.seen({ ...machine, phase: "ready" });
    await watch(one, 2);
    one.accounts.containers.off(machine.id, one.accounts.now());
    await watch(one, 1);
    one = await restarted(t, one);
  }
  one = await restarted(t, one);
  const found = onDisk(one.folder, (database) => rememberStartups(database));
  t.deepEqual(found.of("aws"), { median: (30 * SECOND) as DurationUs, starts: 3 });
  await sound(t, one);
});
