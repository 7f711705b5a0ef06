// Of a reload that gives budgets other balances or limits, old and new balance are told; of one that does
// not, nothing is.

import test, { type ExecutionContext } from "ava";
import { balanceChanges } from "../../src/daemon/balance-changes.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { SECOND } from "../../src/metering/time.ts";
import { groundsOf, periodFor } from "../../src/policy/match.ts";
import type { Budget } from "../../src/policy/policy.ts";
import { begun, houseOf, RELAYED } from "../support/ledger.ts";
import { budget, perHour, policy, task, upstream, usd } from "../support/policies.ts";

const paid = (...budgets: readonly Budget[]) =>
  policy({ upstreams: [upstream("flux-aws", { price: perHour("3.6") })], budgets });

const day = (limit_usd: string, more = {}) => budget("day", { limit_usd, ...more });
const each = (limit_usd: string, more = {}) => budget("each", { limit_usd, per: "user", ...more });

/** Users who have each worked so many seconds, at 0.001 USD a second. */
async function begin(t: ExecutionContext, before: ReturnType<typeof paid>, worked: Record<string, number>) {
  const house = await houseOf(t, before);
  for (const [user, seconds] of Object.entries(worked)) {
    const held = await begun(house, task({ labels: { user } }));
    house.clock.pass(seconds * SECOND);
    await held.settle(RELAYED);
  }
  const told = async (...budgets: readonly Budget[]) => {
    const [was, after] = [house.policy, paid(...budgets)];
    await house.adopt(after);
    return balanceChanges(was, after, house.accounts.book, house.accounts.now());
  };
  return { house, told };
}

test("a new and a rescoped budget tell what they had settled and what they have", async (t) => {
  const { told } = await begin(t, paid(day("2")), { alice: 1, bob: 2 });
  t.deepEqual(await told(day("2", { when: { user: "alice" } })), ["budget day: settled 0.003 → 0.001 USD"]);
  const other = budget("other", { limits: { requests: 9 } });
  t.deepEqual(await told(day("2", { when: { user: "alice" } }), other), [
    "budget other: settled none → 2 requests",
  ]);
});

test("a budget with another limit, or that refuses now, tells what it has; one with another name for it does not", async (t) => {
  const { told } = await begin(t, paid(day("2", { onLimit: "warn" })), { alice: 1 });
  t.deepEqual(await told(day("2")), ["budget day: settled 0.001 USD stays"]);
  t.deepEqual(await told(day("1")), ["budget day: settled 0.001 USD stays"]);
  t.deepEqual(await told(day("1", { description: "ours" })), []);
});

test("a new budget per user tells each user's balance, most first", async (t) => {
  const { told } = await begin(t, paid(day("2")), { alice: 1, bob: 2 });
  t.deepEqual(await told(day("2"), each("1")), [
    "budget each, user bob: settled none → 0.002 USD",
    "budget each, user alice: settled none → 0.001 USD",
  ]);
});

test("one balance that is split, and balances that become one, tell both sides", async (t) => {
  const { told } = await begin(t, paid(day("2")), { alice: 1, bob: 2 });
  const split = [
    "budget day: settled 0.003 → none USD",
    "budget day, user bob: settled none → 0.002 USD",
    "budget day, user alice: settled none → 0.001 USD",
  ];
  t.deepEqual(await told(day("2", { per: "user" })), split);
  t.deepEqual(await told(day("2")), [
    "budget day: settled none → 0.003 USD",
    "budget day, user bob: settled 0.002 → none USD",
    "budget day, user alice: settled 0.001 → none USD",
  ]);
});

test("of many balances ten are told, and how many more there are", async (t) => {
  const worked = Object.fromEntries(Array.from({ length: 13 }, (_, n) => [`user-${n + 1}`, n + 1]));
  const { told } = await begin(t, paid(day("2")), worked);
  const lines = await told(day("2"), each("1"));
  t.is(lines.length, 11);
  t.is(lines[0], "budget each, user user-13: settled none → 0.013 USD");
  t.is(lines[9], "budget each, user user-4: settled none → 0.004 USD");
  t.is(lines[10], "budget each: and 3 more by user");
});

test("a budget that begins with nothing says so", async (t) => {
  const { told } = await begin(t, paid(day("2")), {});
  t.deepEqual(await told(day("2"), each("1")), ["budget each: nothing settled yet, in USD"]);
});

test("what was reset stays reset where the budget counts something else", async (t) => {
  const { house, told } = await begin(t, paid(day("2")), { alice: 3, bob: 1 });
  const [ground] = groundsOf(house.policy);
  if (ground === undefined) throw new Error("the policy has no budget");
  const [at, period] = [house.accounts.now(), periodFor(ground, house.accounts.now())];
  const adjustment = {
    ...({ at, kind: "reset", budget: "day", unit: "usd", value: undefined, account: ground.key } as const),
    ...{ period, amount: quantityOf(-usd("0.004")), by: "ops", reason: "late" },
  };
  await house.disk.store.adjust([adjustment]);
  house.accounts.book.adjust(adjustment);
  t.deepEqual(await told(day("2", { when: { user: "alice" } })), ["budget day: settled 0.00 USD stays"]);
});
