// Containers where other rooms meet them: requests that were there before the fleet told of their machine,
// machines that take turns over a restart, a crash after time that nobody watched. What was posted is what the
// lease has cost, and `ledger verify` says so at every step.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { MINUTE, SECOND } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, RELAYED, restarted, rows } from "../support/ledger.ts";
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
