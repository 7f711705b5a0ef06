// Containers where other rooms meet them: requests that were there before the fleet told of their machine,
// machines that take turns over a restart, a crash after time that nobody watched. What was posted is what the
// lease has cost, and `ledger verify` says so at every step.

import test, { type ExecutionContext } from "ava";
import { readStored } from "../../src/ledger/sqlite-read.ts";
import { verify } from "../../src/ledger/verify.ts";
import { Lease } from "../../src/metering/lease.ts";
import { ZERO_USD } from "../../src/metering/money.ts";
import { durationUs, EPOCH, later, MINUTE, QUARTER_HOUR, SECOND } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import {
  begun,
  type House,
  houseOf,
  ledgerFolder,
  onDisk,
  openStore,
  permit,
  RELAYED,
  restarted,
  rows,
} from "../support/ledger.ts";
import { budget, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const rules = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  budgets: [budget("day", { limit_usd: "10" })],
});

function isRight(t: ExecutionContext, house: House, when: string): void {
  const findings = onDisk(house.folder, (database) => verify(database).checks.flatMap((one) => one.findings));
  t.deepEqual(findings, [], when);
}

test("a machine that goes under a request of before it was told of is recounted as one that was shared", async (t) => {
  const house = await houseOf(t, rules);
  const request = await begun(house, task());
  await watch(house, 3);
  house.accounts.containers.seen(container({ start: house.accounts.now() }));
  await watch(house, 2);
  isRight(t, house, "while it is up");
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await watch(house, 1);
  isRight(t, house, "while the request is not settled");
  await request.settle(RELAYED);
  isRight(t, house, "after it");
});

test("of machines that took turns all are kept that ran beside one another, so that each start can recount them", async (t) => {
  const house = await houseOf(t, rules);
  for (const id of ["i-1", "i-2", "i-3"]) {
    house.accounts.containers.seen(container({ id, start: house.accounts.now() }));
    await watch(house, 2);
    const before = `i-${Number(id.slice(2)) - 1}`;
    house.accounts.containers.off(before, house.accounts.now());
    await watch(house, 2);
  }
  isRight(t, house, "before the restart");
  const next = await restarted(t, house, SECOND);
  await next.accounts.heartbeat();
  isRight(t, next, "after the restart");
  next.accounts.containers.off("i-3", next.accounts.now());
  await watch(next, 1);
  const last = await restarted(t, next, SECOND);
  const whole = rows(last.folder, "SELECT key FROM containers WHERE is_over < 2");
  t.deepEqual(whole, [], "of those that are off nothing is kept but their time");
});

test("a crash after time that nobody watched charges a request what it had shared, and its container no second time", async (t) => {
  const house = await houseOf(t, rules);
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  await begun(house, task());
  await watch(house, 2);
  house.clock.pass(10 * MINUTE);
  await house.accounts.heartbeat();
  house.accounts.containers.seen(container({ start }));
  await watch(house, 1);
  await restarted(t, house, SECOND);
  const posted = rows(
    house.folder,
    `SELECT kind, sum(amount) AS amount FROM entries WHERE kind IN ('settled', 'idle', 'gap') GROUP BY kind`,
  );
  t.deepEqual(
    posted.map(({ kind, amount }) => [kind, amount]),
    [
      ["gap", usd("0.3")],
      ["idle", usd("0.0005")],
      ["settled", usd("0.002")],
    ] as never,
  );
  isRight(t, house, "after the crash");
});

test("a crash after a machine went under its request charges that what it had shared", async (t) => {
  const house = await houseOf(t, rules);
  house.accounts.containers.seen(container({ start: house.accounts.now() }));
  await begun(house, task());
  await watch(house, 2);
  house.accounts.containers.off("i-0a1", house.accounts.now());
  house.accounts.containers.seen(container({ id: "i-0a2", start: house.accounts.now() }));
  await watch(house, 3);
  const next = await restarted(t, house, SECOND);
  const charged = rows(
    next.folder,
    "SELECT amount, request FROM entries WHERE kind = 'settled' AND amount > 0",
  );
  t.deepEqual(
    charged.map(({ amount }) => amount),
    [usd("0.002")] as never,
  );
  isRight(t, next, "after the crash");
});

/** One that is cut at what it holds runs beyond it before the fleet tells of the machine that it runs on. */
const cutting = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  budgets: [budget("day", { limit_usd: "10", overrun: "cut" })],
});

function unheld(house: House): readonly unknown[] {
  const sql =
    "SELECT amount FROM entries WHERE kind = 'idle' AND price_source LIKE '%(unheld)' ORDER BY amount";
  return rows(house.folder, sql).map(({ amount }) => amount);
}

test("what was used beyond a hold before the fleet told of the machine is that machine's in the end", async (t) => {
  const house = await houseOf(t, cutting);
  const first = await begun(house, task());
  await begun(house, task());
  await watch(house, 26);
  await first.settle({ ...RELAYED, outcome: "cut" });
  t.deepEqual(unheld(house), [], "nobody knows whose it is yet");
  await watch(house, 2);
  const joined: string[] = [];
  house.disk.refuses = (asked) => {
    if (typeof asked !== "string") joined.push(...(asked.joins ?? []).map(({ id }) => id));
    return false;
  };
  house.accounts.containers.seen(container({ start: TEN }));
  await watch(house, 1);
  t.deepEqual(unheld(house), [usd("0.007")]);
  t.is(joined.length, 1, "of who is settled nothing is said any more");
  isRight(t, house, "once the machine is known");
  const next = await restarted(t, house, SECOND);
  isRight(t, next, "after a crash");
});

test("who left before the fleet told of the machine, and is settled after, leaves the rest to it too", async (t) => {
  const house = await houseOf(t, cutting);
  const first = await begun(house, task());
  await begun(house, task());
  await watch(house, 26);
  first.stop();
  house.accounts.containers.seen(container({ start: TEN }));
  await watch(house, 1);
  isRight(t, house, "before it is settled");
  t.is((await first.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.006"));
  t.deepEqual(unheld(house), [usd("0.007")]);
  isRight(t, house, "once it is");
});

test("a crash charges who left before the fleet told of the machine, and leaves the rest to it", async (t) => {
  const house = await houseOf(t, cutting);
  const first = await begun(house, task());
  await begun(house, task());
  await watch(house, 26);
  first.stop();
  house.accounts.containers.seen(container({ start: TEN }));
  await watch(house, 1);
  const next = await restarted(t, house, SECOND);
  // Each held 12 s, shared: 6. The other one had 26 s shared, and 2 s alone.
  t.deepEqual(unheld(next), [usd("0.007"), usd("0.009")]);
  isRight(t, next, "after the crash");
});

test("what was used beyond a hold on a machine that the fleet never told of is nobody's", async (t) => {
  const house = await houseOf(t, cutting);
  const first = await begun(house, task());
  await watch(house, 14);
  await first.settle({ ...RELAYED, outcome: "cut" });
  house.accounts.containers.seen(container({ start: TEN }));
  await watch(house, 1);
  t.deepEqual(unheld(house), []);
  isRight(t, house, "the machine's lease begins after it");
});

test("a crash charges one that came in the instant of the last state in that lease, and no gap beside it", async (t) => {
  const house = await houseOf(t, rules);
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  await watch(house, 1);
  house.clock.pass(10 * SECOND);
  await begun(house, task());
  // Nobody watched for ten seconds: whoever is there ends now, and comes at that same moment.
  await house.accounts.heartbeat();
  const next = await restarted(t, house, 5 * SECOND);
  isRight(t, next, "after the crash");
  next.accounts.containers.off("i-0a1", next.accounts.now());
  await next.accounts.heartbeat();
  isRight(t, next, "after its end");
});

function postedOf(house: House): Record<string, unknown> {
  const sums = rows(
    house.folder,
    `SELECT kind, sum(amount) AS amount FROM entries
      WHERE kind IN ('settled', 'startup', 'idle', 'gap', 'minimum') GROUP BY kind`,
  );
  return Object.fromEntries(sums.map(({ kind, amount }) => [String(kind), amount]));
}

/** Decided at "aws", and not sent yet, when a reload calls that one "anew". */
async function renamedUnder(t: ExecutionContext) {
  const house = await houseOf(t, rules);
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  const request = permit(await house.admit(task()));
  await house.adopt({ ...rules, upstreams: new Map([["anew", upstream("anew", { hasContainer: true })]]) });
  house.accounts.containers.seen(container({ start, machine: "anew", upstream: "anew" }));
  return { house, request };
}

test("a request that was decided before its upstream was renamed shares the container, which does not idle", async (t) => {
  const { house, request } = await renamedUnder(t);
  request.begin();
  await watch(house, 2);
  await request.settle(RELAYED);
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await house.accounts.heartbeat();
  t.deepEqual(postedOf(house), { settled: usd("0.002") });
  isRight(t, house, "after it");
});

test("a crash before it was sent charges it in the container's lease too", async (t) => {
  const { house } = await renamedUnder(t);
  await watch(house, 2);
  const next = await restarted(t, house, SECOND);
  next.accounts.containers.off("i-0a1", next.accounts.now());
  await next.accounts.heartbeat();
  isRight(t, next, "after it");
});

test("a lease comes off the disk with each part in its own quarter-hour, and what no entry says is due again", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const start = later(TEN, -SECOND as typeof SECOND);
  const about = container({ start, idlePrice: 0n as never });
  const lease = new Lease(start, about.price.rate, about.idlePrice, "starting");
  // Start-up that was cut into a part of which the disk refused the entry; then free time over a quarter-hour.
  lease.postIdle(TEN);
  lease.ready(TEN);
  lease.advance(later(TEN, durationUs(QUARTER_HOUR + SECOND)));
  const state = lease.state();
  const row = { about, machines: ["aws"], state, lastLeft: undefined, rates: [], isOver: false };
  const posted = { idlePosted: ZERO_USD, startupPosted: ZERO_USD };
  await store.write({ containers: [{ ...row, ...posted }], at: state.t, wall: state.t });
  const [read] = onDisk(folder, (database) => readStored(database, EPOCH).containers);
  t.deepEqual(read?.state, { ...state, startup: { ...state.startup, posted: "0" } });
  const parts = Lease.resume(read?.state ?? state).postIdle(state.t);
  t.deepEqual(
    parts.map(({ kind, at, amount }) => [kind, at, amount]),
    [
      ["idle", TEN, 0n],
      ["startup", later(TEN, QUARTER_HOUR), usd("0.001")],
      ["idle", later(TEN, QUARTER_HOUR), 0n],
    ] as never,
  );
});

test("a container that was made anew ends the one before it: watched, now; after a restart, when it last was", async (t) => {
  const house = await houseOf(t, rules);
  house.accounts.containers.seen(container({ start: house.accounts.now(), upstream: "aws" }));
  await watch(house, 10);
  house.accounts.containers.only("aws", "i-0a1");
  t.is(house.accounts.leases.containers().length, 1, "it is the one");
  const next = await restarted(t, house, 60 * SECOND);
  next.accounts.containers.only("aws", "i-0b2");
  t.deepEqual(next.accounts.leases.containers(), []);
  next.accounts.containers.seen(container({ id: "i-0b2", start: next.accounts.now(), upstream: "aws" }));
  await watch(next, 5);
  next.accounts.containers.only("other", undefined);
  t.is(next.accounts.leases.containers().length, 1);
  next.accounts.containers.only("aws", undefined);
  t.deepEqual(next.accounts.leases.containers(), []);
  await next.accounts.heartbeat();
  const idle = rows(
    next.folder,
    "SELECT sum(elapsed) AS time FROM entries WHERE kind IN ('idle', 'startup')",
  );
  t.is(idle[0]?.time, BigInt(15 * SECOND), "nobody is charged for the time in between");
  isRight(t, next, "after it");
});

test("a provider's clock that is ahead is not charged for", async (t) => {
  const house = await houseOf(t, rules);
  house.accounts.containers.seen(container({ start: house.accounts.now() }));
  await watch(house, 5);
  house.accounts.containers.off("i-0a1", later(house.accounts.now(), durationUs(300_000_000)));
  await house.accounts.heartbeat();
  const idle = rows(house.folder, "SELECT sum(elapsed) AS time FROM entries WHERE kind = 'idle'");
  t.is(idle[0]?.time, BigInt(5 * SECOND));
  isRight(t, house, "after it");
});
