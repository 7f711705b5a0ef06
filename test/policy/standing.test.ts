// Whose priority a request has while it waits (MONEY §6).

import test from "ava";
import { HOUR, MINUTE } from "../../src/metering/time.ts";
import { standingOf } from "../../src/policy/standing.ts";
import { type BudgetSketch, budget, policy, TEN, task, upstream } from "../support/policies.ts";

const at = [upstream("flux")];

function standing(...budgets: readonly Partial<BudgetSketch>[]) {
  const all = budgets.map((one, index) => budget(`b-${index}`, { limit_usd: "1", ...one }));
  return standingOf(policy({ upstreams: at, budgets: all }), task(), at, TEN);
}

test("it is the highest of the budgets that cover it and are in force", (t) => {
  t.is(standing().priority, 5);
  t.is(standing({ priority: 3 }, { priority: 7 }, { priority: 9, when: { user: "else" } }).priority, 7);
  t.is(standing({ priority: 3 }, { priority: 9, shadow: true }).priority, 3);
  t.is(standing({ priority: 3 }, { priority: 9, from: "2026-11-23" }).priority, 3);
  t.is(standing({ priority: 3 }, { priority: 9, until: "2026-11-21" }).priority, 3);
  t.is(standing({ priority: 3 }, { priority: 9, enabled: false }).priority, 3);
});

test("its patience is the shortest of those that make it wait", (t) => {
  t.is(standing({ onLimit: "block", maxWait: MINUTE }).maxWait, undefined);
  const long = { onLimit: "queue", maxWait: HOUR } as const;
  t.is(standing(long, { onLimit: "degrade", then: "queue", maxWait: MINUTE }).maxWait, MINUTE);
  t.is(standing(long, { onLimit: "queue", maxWait: MINUTE, shadow: true }).maxWait, HOUR);
});
