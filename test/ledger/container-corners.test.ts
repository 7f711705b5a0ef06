// Containers where other rooms meet them: requests that were there before the fleet told of their machine,
// machines that take turns over a restart, a crash after time that nobody watched. What was posted is what the
// lease has cost, and `ledger verify` says so at every step.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { MINUTE, SECOND } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, RELAYED, restarted, rows } from "../support/ledger.ts";
import { budget, policy, task, upstream, usd } from "../support/policies.ts";

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
