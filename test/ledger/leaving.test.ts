// Who has left a machine and is not settled when the gateway dies: what it pays was known when it left. It goes
// to disk with whatever is written next, so that after the crash nobody pays for anybody else's time.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { type DurationUs, later, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { container, watch } from "../support/containers.ts";
import {
  begun,
  HandClock,
  type House,
  houseOf,
  onDisk,
  RELAYED,
  restarted,
  rows,
  writesOf,
} from "../support/ledger.ts";
import { budget, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const HALF = (SECOND / 2) as DurationUs;

function rules(hasContainer: boolean): Policy {
  return policy({
    upstreams: [upstream("aws", { hasContainer, gpuTier: "a10g" })],
    budgets: [budget("day", { limit_usd: "10" })],
  });
}

function charged(house: House): readonly unknown[] {
  return rows(house.folder, "SELECT charged FROM decisions ORDER BY seq").map((row) => row.charged);
}

function isRight(t: ExecutionContext, house: House, when: string): void {
  const { checks } = onDisk(house.folder, verify);
  const told = checks.flatMap(({ findings, notes }) => [...findings, ...notes]);
  t.deepEqual(told, [], when);
}

test("a crash after a machine went charges who ran there until then, though no heartbeat has seen it", async (t) => {
  const house = await houseOf(t, rules(true));
  house.accounts.containers.seen(container());
  await watch(house, 2);
  await begun(house, task());
  house.clock.pass(HALF);
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await house.accounts.outbox.settled();
  isRight(t, house, "while it is not settled");
  const next = await restarted(t, house, MINUTE);
  t.deepEqual(charged(next), [usd("0.0005")]);
  isRight(t, next, "after the crash");
});

for (const hasContainer of [true, false]) {
  const where = hasContainer ? "a container" : "a machine of requests alone";
  test(`who had left ${where} before the crash pays for its own time, and the other one for the rest`, async (t) => {
    const house = await houseOf(t, rules(hasContainer));
    if (hasContainer) house.accounts.containers.seen(container());
    const first = await begun(house, task());
    await watch(house, 2);
    await begun(house, task());
    await watch(house, 2);
    first.stop();
    await watch(house, 3);
    isRight(t, house, "while it is not settled");
    const next = await restarted(t, house, MINUTE);
    // Alone 2 s, shared 2 s; then 4 s alone, the last of them after the last heartbeat.
    t.deepEqual(charged(next), [usd("0.003"), usd("0.005")]);
    const [ended] = rows(next.folder, "SELECT ended_at - at AS after FROM decisions ORDER BY seq");
    t.is(ended?.after, BigInt(4 * SECOND), "when it left");
    isRight(t, next, "after the crash");
  });

  test(`what was left of ${where} in the quarter-hour before is no part of the next one`, async (t) => {
    const before = later(TEN, (15 * MINUTE - 2 * SECOND) as DurationUs);
    const house = await houseOf(t, rules(hasContainer), new HandClock(before));
    if (hasContainer) house.accounts.containers.seen(container({ start: house.accounts.now() }));
    const first = await begun(house, task());
    await watch(house, 3);
    await begun(house, task());
    await watch(house, 1);
    first.stop();
    await watch(house, 1);
    const next = await restarted(t, house, MINUTE);
    const entries = rows(
      next.folder,
      `SELECT entries.amount AS amount FROM entries JOIN decisions USING (request)
       WHERE kind = 'settled' ORDER BY decisions.seq, entries.at`,
    );
    t.deepEqual(
      entries.map(({ amount }) => amount),
      [usd("0.002"), usd("0.0015"), usd("0.0025")],
    );
    isRight(t, next, "after the crash");
  });
}

test("who left between two heartbeats is known by the next ending anywhere, not only by a heartbeat", async (t) => {
  const two = policy({
    upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" }), upstream("pool")],
    budgets: [budget("day", { limit_usd: "10" })],
  });
  const house = await houseOf(t, two);
  house.accounts.containers.seen(container());
  const first = await begun(house, task());
  await begun(house, task());
  house.accounts.containers.seen(container({ id: "other", machine: "pool", upstream: "pool" }));
  await watch(house, 2);
  house.clock.pass(HALF);
  first.stop();
  await begun(house, task());
  house.clock.pass(HALF / 5);
  // A machine's turn elsewhere is written; of the one that it left the disk has what the heartbeat said.
  house.accounts.containers.off("other", house.accounts.now());
  await house.accounts.outbox.settled();
  isRight(t, house, "while it is not settled");
  const next = await restarted(t, house, MINUTE);
  // 2.5 s shared, then shared with a third one until a second after that write.
  t.deepEqual(charged(next), [usd("0.00125"), usd("0.0018"), usd("0.00055")]);
  next.accounts.containers.seen(container());
  await watch(next, 1);
  isRight(t, next, "after the crash");
});

test("an ending that the disk refuses is not forgotten as one that still runs", async (t) => {
  const house = await houseOf(t, rules(true));
  house.accounts.containers.seen(container());
  const first = await begun(house, task());
  await begun(house, task());
  await watch(house, 2);
  house.disk.refuses = writesOf("unhold");
  await t.throwsAsync(first.settle(RELAYED));
  // Another machine's ending goes through, then the power fails.
  house.clock.pass(HALF);
  house.accounts.containers.seen(container({ id: "i-2", machine: "other", upstream: "other" }));
  house.accounts.containers.off("i-2", house.accounts.now());
  await house.accounts.outbox.settled();
  const next = await restarted(t, house, MINUTE);
  // 2 s shared, then the other one alone until a second after the last write.
  t.deepEqual(charged(next), [usd("0.001"), usd("0.0025")]);
  isRight(t, next, "after the crash");
});

test("a stop that is told after a crash takes idle back up to when the last request had left", async (t) => {
  const house = await houseOf(t, rules(true));
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  const first = await begun(house, task());
  await watch(house, 2);
  first.stop();
  await watch(house, 4);
  const next = await restarted(t, house, MINUTE);
  next.accounts.containers.off("i-0a1", later(start, (3 * SECOND) as DurationUs));
  await watch(next, 1);
  const kinds = rows(
    next.folder,
    "SELECT kind, sum(amount) AS amount FROM entries WHERE amount <> 0 AND kind NOT IN ('reserved', 'extended') GROUP BY 1",
  );
  t.deepEqual(kinds as unknown, [
    { kind: "adjusted", amount: -usd("0.0015") },
    { kind: "idle", amount: usd("0.002") },
    { kind: "settled", amount: usd("0.002") },
  ]);
  isRight(t, next, "after the stop");
});

test("what the disk refused of a join is said again as it is by then, in whatever order it was refused", async (t) => {
  const house = await houseOf(t, rules(false));
  const { leases } = house.accounts;
  const say = () => leases.rows(house.accounts.now()).joins;
  const request = await begun(house, task());
  const joined = say();
  request.stop();
  const left = say();
  leases.refused(left);
  leases.refused(joined);
  t.deepEqual(
    say().map(({ join }) => join.left?.at),
    [house.accounts.now()],
  );
});

test("who ended when nobody watched is not charged for who came after that, when the power fails", async (t) => {
  const house = await houseOf(t, rules(true));
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  await begun(house, task());
  await watch(house, 2);
  house.clock.pass(MINUTE);
  await house.accounts.heartbeat();
  house.accounts.containers.seen(container({ start }));
  await begun(house, task());
  await watch(house, 3);
  const next = await restarted(t, house, MINUTE);
  t.deepEqual(charged(next), [usd("0.002"), usd("0.004")]);
  isRight(t, next, "after the crash");
});
