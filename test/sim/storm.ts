// What befalls a house that runs: its policy is edited, its clocks are set, all spending is stopped, its disk
// stalls. Each event is one row of a table: a further one is one line. It has a source of chance of its own, so
// that a calm run of a seed stays what it was.

import { quantityOf } from "../../src/metering/quantity.ts";
import { HOUR, MINUTE, SECOND } from "../../src/metering/time.ts";
import { groundsOf } from "../../src/policy/match.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import type { Random } from "./random.ts";

/** What the storm may do to the house; whoever stops spending resumes it later. */
export interface Shaken {
  reload(): void;
  stepWall(by: number): void;
  stop(): void;
}

type Blow = (house: Shaken, random: Random) => void;

/** Events that befall a house: a new kind is a row more. Policies are edited twice as often. */
const BLOWS: readonly Blow[] = [
  (house) => house.reload(),
  (house) => house.reload(),
  (house, random) => house.stepWall(-random.whole(1, 10) * MINUTE),
  (house, random) => house.stepWall(random.whole(1, 240) * SECOND),
  (house, random) => house.stepWall(random.pick([HOUR, 25 * HOUR])),
  (house) => house.stop(),
];

/** One after another, each at its time; `after` plans it. */
export function plannedBlows(
  random: Random,
  within: number,
): readonly { readonly at: number; readonly blow: Blow }[] {
  return Array.from({ length: random.whole(1, 6) }, () => ({
    at: random.whole(0, within),
    blow: random.pick(BLOWS),
  }));
}

/** The policy as somebody has edited it: limits moved, budgets renamed, moved to others, gone and back again. */
export function edited(policy: Policy, first: Policy, random: Random): Policy {
  const byGround = (one: Budget) => `${one.period} ${one.per} ${[...one.limits.keys()]}`;
  const kept = policy.budgets.filter(() => random.chance(0.85)).map((one) => editedBudget(one, random));
  const known = new Set(kept.map(byGround));
  const back = first.budgets.filter((one) => !known.has(byGround(one)) && random.chance(0.3));
  return { ...policy, budgets: [...kept, ...back], digest: `${policy.digest}+` };
}

function editedBudget(one: Budget, random: Random): Budget {
  switch (random.whole(0, 5)) {
    case 0: {
      const percent = BigInt(random.whole(20, 150));
      const limits = [...one.limits].map(
        ([unit, limit]) => [unit, quantityOf((limit * percent) / 100n)] as const,
      );
      return { ...one, limits: new Map(limits) };
    }
    case 1:
      return { ...one, id: one.id.endsWith("-too") ? one.id.slice(0, -4) : `${one.id}-too` };
    case 2: {
      if (!one.when.has("user")) return one;
      return { ...one, when: new Map([["user", [random.pick(["alice", "bob", "eve"])]]]) };
    }
    case 3:
      return { ...one, shadow: random.chance(0.3) };
    default:
      return one;
  }
}

/** The names of what a policy counts: the disk knows for which of them it has counted all. */
export function countedBy(policy: Policy): readonly string[] {
  return groundsOf(policy).map(({ key }) => key);
}

/**
 * The one of the two that the disk has counted for, the newer if both. A daemon prepares the policy that it
 * starts with: what that one does not count is complete no more.
 */
export function startable(tracked: readonly string[], newer: Policy | undefined, older: Policy): Policy {
  const known = new Set(tracked);
  return newer !== undefined && countedBy(newer).every((key) => known.has(key)) ? newer : older;
}
