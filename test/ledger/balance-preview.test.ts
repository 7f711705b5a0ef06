// What a policy would do to balances, told from the file alone, is what the reload then does. The reload's
// figures come out of the accounts in memory, the preview's out of SQLite.

import test, { type ExecutionContext } from "ava";
import { balanceChanges } from "../../src/daemon/balance-changes.ts";
import { previewBalances } from "../../src/ledger/balance-preview.ts";
import { POLICY, recordOf } from "../../src/ledger/policy-record.ts";
import { minus } from "../../src/metering/quantity.ts";
import { DAY, HOUR, SECOND } from "../../src/metering/time.ts";
import { balanceLines } from "../../src/policy/balance-diff.ts";
import { groundsOf, periodFor } from "../../src/policy/match.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import { randomOf } from "../support/busy-ledger.ts";
import { begun, type House, houseOf, onDisk, RELAYED } from "../support/ledger.ts";
import { type BudgetSketch, budget, model, perHour, policy, task, upstream } from "../support/policies.ts";

const PICK = {
  period: ["hourly", "daily", "weekly", "infinite", "per_session", "per_task"],
  per: [undefined, undefined, "user", "model", "project", "session", "task", "upstream"],
  when: [{}, {}, { user: "ann" }, { user: ["ann", "bob"] }, { model: "cheap" }, { provider: "aws" }],
  limit_usd: ["10", "20"],
  onLimit: ["warn", "block"],
  includeIdle: [true, false],
  enabled: [true, true, true, false],
} as const;

function anyBudgets(random: (below: number) => number): readonly Budget[] {
  const one = <T>(of: readonly T[]): T => of[random(of.length)] as T;
  const sketch = (): BudgetSketch => {
    const period = one(PICK.period);
    const limits =
      random(3) === 0 ? { limits: { requests: 100, seconds: 900 } } : { limit_usd: one(PICK.limit_usd) };
    const per = period.startsWith("per_") ? undefined : one(PICK.per);
    const rest = {
      onLimit: one(PICK.onLimit),
      includeIdle: one(PICK.includeIdle),
      enabled: one(PICK.enabled),
    };
    return { period, per, when: one(PICK.when), ...limits, ...rest };
  };
  return ["a", "b", "c", "d"].filter(() => random(4) > 0).map((id) => budget(id, sketch()));
}

function policyOf(budgets: readonly Budget[]): Policy {
  const price = perHour("3.6");
  return policy({
    upstreams: [upstream("cheap", { price }), upstream("dear", { price, provider: "gcp" })],
    models: [model("cheap", ["cheap"]), model("dear", ["dear"])],
    budgets,
  });
}

async function keep(house: House): Promise<void> {
  const { disk, accounts, policy: inForce } = house;
  await disk.store.setSwitch(POLICY, recordOf(inForce), "policy file", accounts.now());
}

function preview(house: House, next: Policy): readonly string[] {
  return onDisk(house.folder, (database) =>
    previewBalances(database, next, house.accounts.now()).flatMap(balanceLines),
  );
}

async function work(house: House, random: (below: number) => number): Promise<void> {
  const some = (of: readonly string[]) => {
    const value = of[random(of.length + 1)];
    return value;
  };
  const labels = {
    user: some(["ann", "bob", "eve"]) ?? "unknown",
    project: some(["film"]),
    session: some(["s-1", "s-2"]),
    task: some(["t-1"]),
  };
  const held = await begun(house, task({ model: random(2) === 0 ? "cheap" : "dear", labels }));
  house.clock.pass((1 + random(9)) * SECOND);
  await held.settle(RELAYED);
}

async function reset(house: House, random: (below: number) => number): Promise<void> {
  const grounds = groundsOf(house.policy).filter(({ per }) => per === undefined);
  const ground = grounds[random(grounds.length)];
  if (ground === undefined) return;
  const at = house.accounts.now();
  const period = periodFor(ground, at);
  const { book } = house.accounts;
  const { settled } = book.balance(ground.key, period.start);
  const amount = minus(book.relief(ground, ground.key, period), settled);
  if (amount >= 0n) return;
  const adjustment = {
    ...({ at, kind: "reset", budget: ground.budget.id, unit: ground.unit, value: undefined } as const),
    ...{ account: ground.key, period, by: "ops", reason: "late" },
    amount,
  };
  await house.disk.store.adjust([adjustment]);
  book.adjust(adjustment);
}

async function check(t: ExecutionContext, seed: number): Promise<void> {
  const drawn = randomOf(seed);
  const random = (below: number) => Math.floor(drawn() * below);
  const house = await houseOf(t, policyOf(anyBudgets(random)));
  let told = 0;
  for (let reload = 0; reload < 6; reload += 1) {
    await keep(house);
    for (let request = 0; request < 8; request += 1) await work(house, random);
    if (random(3) > 0) await reset(house, random);
    if (random(4) === 0) house.clock.pass(random(2) === 0 ? HOUR : DAY);
    await house.accounts.outbox.settled();
    const [before, next] = [house.policy, policyOf(anyBudgets(random))];
    const said = preview(house, next);
    await house.adopt(next);
    const done = balanceChanges(before, next, house.accounts.book, house.accounts.now());
    t.deepEqual(said, done, `seed ${seed}, reload ${reload}`);
    told += said.length;
  }
  t.true(told > 0, `seed ${seed}`);
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`what is told before a reload is what the reload does, seed ${seed}`, (t) => check(t, seed));
}
