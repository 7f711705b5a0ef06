// Where a request stands among those who wait (MONEY §6): by the highest priority among the budgets that
// cover it, which grows by a step for each eighth of the longest wait.

import type { DurationUs, Instant } from "../metering/time.ts";
import { covering, factsOf, isActive } from "./match.ts";
import { isActing, lastAction, type Policy, type Upstream } from "./policy.ts";
import type { Task } from "./task.ts";

export interface Standing {
  /** 1 to 10. */
  readonly priority: number;
  /** The longest that one of its budgets lets it wait for money; undefined where none does. */
  readonly maxWait: DurationUs | undefined;
}

/** Of a request that no budget covers: medium. */
export const ORDINARY: Standing = { priority: 5, maxWait: undefined };

export function standingOf(
  policy: Policy,
  task: Task,
  upstreams: readonly Upstream[],
  at: Instant,
): Standing {
  const budgets = upstreams
    .flatMap((upstream) => covering(policy, factsOf(task, upstream)))
    .filter(({ ground }) => !ground.budget.shadow && isActive(ground, at))
    .map(({ ground }) => ground.budget);
  if (budgets.length === 0) return ORDINARY;
  const waits = budgets.filter((one) => isActing(one) && lastAction(one) === "queue");
  const longest = waits.map(({ maxWait }) => maxWait);
  return {
    priority: Math.max(...budgets.map(({ priority }) => priority)),
    maxWait: longest.length === 0 ? undefined : (Math.min(...longest) as DurationUs),
  };
}

/** Steps that `waited` is worth. */
const STEPS = 8;

/** `patience`: the longest wait for whoever no budget gives one. */
export function priorityAfter(
  { priority, maxWait }: Standing,
  waited: DurationUs,
  patience: DurationUs,
): number {
  return priority + Math.floor((STEPS * waited) / (maxWait ?? patience));
}

/** How long it takes to grow by one. */
export function stepOf({ maxWait }: Standing, patience: DurationUs): DurationUs {
  return Math.ceil((maxWait ?? patience) / STEPS) as DurationUs;
}
