// What a container costs beside its requests: which budgets count it, when, and what a stop, a restart or a
// sleep makes of it.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { HOUR, later, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { container, kinds, watch } from "../support/containers.ts";
import {
  begun,
  type House,
  houseOf,
  onDisk,
  permit,
  RELAYED,
  restarted,
  rows,
  writesOf,
} from "../support/ledger.ts";
import { type BudgetSketch, budget, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

function paid(...budgets: readonly (BudgetSketch & { readonly id: string })[]): Policy {
  return policy({
    upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
    budgets: budgets.map(({ id, ...sketch }) => budget(id, sketch)),
  });
}

const DAY_BUDGET = paid({ id: "day", limit_usd: "10" });

/** Of the only budget, today. */
function spent(house: House): bigint {
  const { at, balance } = house.accounts.view();
  const [coverage] = house.accounts.countingContainer({ provider: "aws" } as never);
  if (coverage === undefined) throw new Error("no budget counts containers");
  return balance(coverage.account, (at - (at % (24 * HOUR))) as typeof at).settled;
}

const counts = test.macro({
  title: (_ = "", given: BudgetSketch, counted: boolean) =>
    `idle ${counted ? "counts" : "never counts"} in a budget with ${JSON.stringify(given)}`,
  exec: async (t: ExecutionContext, given: BudgetSketch, counted: boolean) => {
    const house = await houseOf(t, paid({ id: "b", limit_usd: "5", ...given }));
    house.accounts.containers.seen(container());
    await watch(house, 4);
    const all = rows(house.folder, "SELECT settled FROM balances");
    t.deepEqual(
      all.map(({ settled }) => settled),
      counted ? [usd("0.002")] : [],
    );
  },
});
test(counts, {}, true);
test(counts, { when: { provider: "aws" } }, true);
test(counts, { when: { provider: "aws", upstream: "aws", machine: "aws", gpu_tier: "a10g" } }, true);
test(counts, { per: "provider" }, true);
test(counts, { when: { provider: "gcp" } }, false);
test(counts, { includeIdle: false }, false);
test(counts, { when: { model: "flux-dev" } }, false);
test(counts, { when: { provider: "aws", user: "alice" } }, false);
for (const per of ["model", "user", "workflow", "session", "task", "node", "project", "tag"] as const)
  test(counts, { per }, false);
test(counts, { period: "per_task" }, false);
test(counts, { limit_usd: undefined as never, limits: { seconds: 9, requests: 9 } }, false);

test("a check counts idle to the microsecond, before any entry says so", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  house.clock.pass(1);
  t.is(spent(house), 1n, "half a nano-dollar a microsecond, rounded up");
  house.clock.pass(2 * SECOND);
  t.is(spent(house), 1_000_001n);
  t.deepEqual(kinds(house), {});
  await house.accounts.heartbeat();
  t.deepEqual(kinds(house), { idle: 1_000_000n });
  t.is(spent(house), 1_000_001n, "what is posted is not counted twice");
});

test("one nano-dollar of idle over the limit refuses, and one less does not", async (t) => {
  const answer = async (idle: number) => {
    // A first hold is 12 s, 0.012 USD.
    const house = await houseOf(t, paid({ id: "day", limit_usd: "0.013" }));
    house.accounts.containers.seen(container());
    house.clock.pass(idle);
    return (await house.admit(task())).kind;
  };
  t.is(await answer(2 * SECOND), "admitted");
  t.is(await answer(2 * SECOND + 1), "refuse");
});

test("idle before a period's end stays in it, though the decision comes after", async (t) => {
  const house = await houseOf(t, paid({ id: "hour", limit_usd: "0.013", period: "hourly" }));
  house.clock.pass(HOUR - 2 * SECOND - 1);
  house.accounts.containers.seen(container({ start: house.accounts.now() }));
  house.clock.pass(2 * SECOND + 1);
  t.is((await house.admit(task())).kind, "admitted", "the new hour has spent nothing yet");
  t.is(rows(house.folder, "SELECT settled FROM balances ORDER BY start")[0]?.settled, 1_000_000n);
});

test("nobody waits for the start: it is start-up of the container, at the full price", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container({ phase: "starting" }));
  await watch(house, 3);
  house.accounts.containers.seen(container());
  await watch(house, 2);
  t.deepEqual(kinds(house), { idle: 1_000_000n, startup: 3_000_000n });
});

test("who waits for the start shares it, and whoever gives up has paid for it", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container({ phase: "starting" }));
  const [a, b] = [permit(await house.admit(task())), permit(await house.admit(task()))];
  a.wait();
  b.wait();
  await watch(house, 4);
  await t.throwsAsync(b.release("over"), { message: /is waiting/ });
  t.is((await b.settle({ ...RELAYED, outcome: "aborted", status: undefined })).charged, usd("0.002"));
  house.accounts.containers.seen(container());
  a.begin();
  await watch(house, 1);
  t.deepEqual(await a.settle(RELAYED), { charged: usd("0.003"), elapsed: seconds(1) });
  t.deepEqual(kinds(house), { settled: 1_000_000n, startup: 4_000_000n });
});

test("a stop that is told late takes idle back, where it was posted", async (t) => {
  const house = await houseOf(t, paid({ id: "hour", limit_usd: "1", period: "hourly" }));
  house.clock.pass(HOUR - 10 * SECOND);
  await house.accounts.heartbeat();
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  await watch(house, 20);
  house.accounts.containers.off("i-0a1", later(start, seconds(4)));
  await house.accounts.heartbeat();
  t.deepEqual(
    rows(house.folder, "SELECT amount FROM entries WHERE kind = 'adjusted' ORDER BY at").map(
      (one) => one.amount,
    ),
    [-3_000_000n, -5_000_000n],
  );
  t.deepEqual(
    rows(house.folder, "SELECT settled FROM balances ORDER BY start").map((one) => one.settled),
    [2_000_000n, 0n],
  );
});

test("a stop before the last request left takes nothing back from it", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  const run = await begun(house, task());
  await watch(house, 5);
  await run.settle(RELAYED);
  await watch(house, 5);
  house.accounts.containers.off("i-0a1", TEN);
  await house.accounts.heartbeat();
  t.deepEqual(kinds(house), { adjusted: -2_500_000n, idle: 2_500_000n, settled: 5_000_000n });
});

test("a budget without idle does not count what is taken back either", async (t) => {
  const house = await houseOf(t, paid({ id: "day", limit_usd: "1" }));
  house.accounts.containers.seen(container());
  await watch(house, 5);
  house.accounts.containers.off("i-0a1", TEN);
  await house.adopt(paid({ id: "day", limit_usd: "1", includeIdle: false }, { id: "all", limit_usd: "2" }));
  const all = rows(house.folder, "SELECT settled FROM balances").map(({ settled }) => settled);
  t.true(
    all.every((settled) => settled === 0n),
    "old, and folded anew",
  );
});

test("the time without the gateway is a gap once the provider confirms, and nothing before", async (t) => {
  const before = await houseOf(t, DAY_BUDGET);
  before.accounts.containers.seen(container());
  await watch(before, 2);
  const house = await restarted(t, before, 20 * MINUTE);
  await watch(house, 2);
  t.deepEqual(kinds(house), { idle: 1_000_000n });
  house.accounts.containers.seen(container());
  await watch(house, 2);
  t.deepEqual(kinds(house), { gap: 601_000_000n, idle: 2_000_000n });
  const [gap] = rows(house.folder, "SELECT price_source AS source FROM entries WHERE kind = 'gap'");
  t.is(gap?.source, "from the policy (assumed)");
  t.is(spent(house), 603_000_000n);
});

test("a container that was off meanwhile costs until it was", async (t) => {
  const before = await houseOf(t, DAY_BUDGET);
  before.accounts.containers.seen(container());
  await watch(before, 2);
  const house = await restarted(t, before, HOUR);
  house.accounts.containers.off("i-0a1", later(TEN, seconds(10)));
  await house.accounts.heartbeat();
  t.deepEqual(kinds(house), { gap: 4_000_000n, idle: 1_000_000n });
  t.is((await restarted(t, house)).accounts.leases.containers().length, 0, "it is over");
});

test("a stop that is told after a restart takes idle back at the rates that it had", async (t) => {
  const before = await houseOf(t, DAY_BUDGET);
  before.accounts.containers.seen(container());
  const run = await begun(before, task());
  await watch(before, 5);
  await run.settle(RELAYED);
  await watch(before, 4);
  before.accounts.containers.seen(container({ idlePrice: hourlyRate(usd("3.6")) }));
  await watch(before, 2);
  const house = await restarted(t, before, MINUTE);
  house.accounts.containers.off("i-0a1", TEN);
  await house.accounts.heartbeat();
  t.deepEqual(kinds(house), { adjusted: -4_000_000n, idle: 4_000_000n, settled: 5_000_000n });
});

test("what a crash finds beyond a hold is its container's, in its budgets too", async (t) => {
  const before = await houseOf(t, DAY_BUDGET);
  before.accounts.containers.seen(container());
  await begun(before, task());
  await watch(before, 14);
  const house = await restarted(t, before, 0);
  t.deepEqual(kinds(house), { idle: 2_000_000n, settled: 12_000_000n });
  t.is(spent(house), 14_000_000n);
});

test("one that started anew has a lease of its own, from its new start", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container({ minBilled: seconds(6) }));
  await watch(house, 2);
  house.accounts.containers.seen(container({ start: later(TEN, seconds(1)), minBilled: seconds(6) }));
  await watch(house, 2);
  // The first one lived for 1 s and pays a minimum of 5 s; 0.5 s of its idle is taken back.
  t.deepEqual(kinds(house), { adjusted: -500_000n, idle: 2_500_000n, minimum: 5_000_000n });
});

test("a renamed upstream, a new price: the lease goes on", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  await watch(house, 2);
  const idlePrice = hourlyRate(usd("3.6"));
  house.accounts.containers.seen(container({ machine: "new", upstream: "new", idlePrice }));
  await watch(house, 2);
  t.deepEqual(
    rows(house.folder, "SELECT upstream, amount, price FROM entries").map((row) =>
      Object.values(row).join(" "),
    ),
    ["aws 500000 1.80/h of 3.60/h", "new 1000000 3.60/h"].flatMap((one) => [one, one]),
  );
});

test("what a cut request used beyond its hold is its container's, marked unheld", async (t) => {
  const house = await houseOf(t, paid({ id: "day", limit_usd: "0.1", overrun: "cut" }));
  house.accounts.containers.seen(container());
  const run = await begun(house, task());
  await watch(house, 14);
  t.is((await run.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.012"));
  t.deepEqual(kinds(house), { idle: 2_000_000n, settled: 12_000_000n });
  const [idle] = rows(house.folder, "SELECT price, price_source AS source FROM entries WHERE kind = 'idle'");
  t.deepEqual(idle, { price: "3.60/h", source: "from the policy (unheld)" });
  t.is(spent(house), 14_000_000n);
});

test("requests that run when the fleet first tells of their machine go on in its lease", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.clock.pass(10 * SECOND);
  await house.accounts.heartbeat();
  const run = await begun(house, task());
  await watch(house, 2);
  house.accounts.containers.seen(container());
  await watch(house, 2);
  t.is((await run.settle(RELAYED)).charged, usd("0.004"));
  await watch(house, 2);
  t.deepEqual(kinds(house), { gap: 5_000_000n, idle: 1_000_000n, settled: 4_000_000n });
});

test("a disk that refuses loses nothing of it, also not by a crash once it is written", async (t) => {
  const before = await houseOf(t, DAY_BUDGET);
  before.accounts.containers.seen(container());
  before.disk.refuses = writesOf("entries");
  for (let beat = 0; beat < 5; beat += 1) {
    before.clock.pass(SECOND);
    await before.accounts.heartbeat().catch(() => undefined);
  }
  t.true(before.accounts.outbox.kept <= 2, "not one write a second");
  before.disk.refuses = () => false;
  await watch(before, 1);
  const house = await restarted(t, before);
  house.accounts.containers.seen(container());
  await watch(house, 2);
  t.deepEqual(kinds(house), { gap: 2_500_000n, idle: 1_500_000n });
});

test("a nano-dollar too much or too little of a container's money is found, while it is up and after", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container({ minBilled: seconds(60) }));
  const run = await begun(house, task());
  await watch(house, 3);
  await run.settle(RELAYED);
  const last = await begun(house, task());
  await watch(house, 3);
  const law = () =>
    onDisk(house.folder, verify).checks.flatMap(({ findings }) =>
      findings.filter(({ where }) => where.startsWith("container")).map((one) => one.found - one.expected),
    );
  const plant = (by: number) => {
    const disk = new DatabaseSync(join(house.folder, "ledger.db"));
    disk.exec(`UPDATE entries SET amount = amount + ${by} WHERE kind = 'settled' AND amount > 0`);
    disk.close();
  };
  t.deepEqual(law(), []);
  plant(1);
  t.deepEqual(law(), [1n]);
  plant(-1);
  house.accounts.containers.off("i-0a1", later(TEN, seconds(7)));
  await house.accounts.heartbeat();
  t.deepEqual(law(), [], "who ended with it is not settled yet");
  await last.settle({ ...RELAYED, outcome: "cut" });
  t.deepEqual(law(), []);
  plant(-1);
  t.deepEqual(law(), [-2n], "of two requests");
});

test("what a stop takes back is told to who waits for money, in that tick", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  await watch(house, 5);
  const freed: string[] = [];
  house.accounts.watchFreed((accounts) => void freed.push(...accounts));
  house.accounts.containers.off("i-0a1", later(TEN, seconds(1)));
  t.is(freed.length, 1);
});

test("a container that is told late does not charge again for time that requests have paid", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  const run = await begun(house, task());
  await watch(house, 3);
  await run.settle(RELAYED);
  await watch(house, 2);
  house.accounts.containers.seen(container());
  await house.accounts.heartbeat();
  t.deepEqual(kinds(house), { idle: 1_000_000n, settled: 3_000_000n });
});

test("a dearer machine of the policy in force costs more at once while nobody runs there", async (t) => {
  const house = await houseOf(t, DAY_BUDGET);
  house.accounts.containers.seen(container());
  await watch(house, 1);
  const dearer = upstream("aws", { price: perHour("7.2"), idleRate: hourlyRate(usd("7.2")) });
  await house.adopt({ ...DAY_BUDGET, upstreams: new Map([["aws", dearer]]) });
  await watch(house, 1);
  t.is(kinds(house).idle, 500_000n + 2_000_000n);
});
