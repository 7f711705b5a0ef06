// What was last asked in vain of each balance that has `stop_idle`: a budget that refuses just below its
// limit has nothing left for idle containers either. Pure: it is told of each decision in its tick, and
// keeps one amount for each balance that container money counts in.
//
//   nothing short ──a request does not fit (refused, waits, goes elsewhere)──► short by what it asked for
//         ▲                                                                        │
//         └── one that costs is let through, the period turns, or it would fit by now

import { NOTHING, type Quantity } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import type { AccountKey, BudgetExplanation, Decision } from "./decision.ts";
import { type Coverage, countsContainers, covering, factsOf, periodFor } from "./match.ts";
import { isActing, type Policy } from "./policy.ts";
import type { Task } from "./task.ts";

/** What one candidate asked of one balance. */
interface Asked {
  readonly coverage: Coverage;
  readonly said: BudgetExplanation;
  readonly isChosen: boolean;
}

export class Shortages {
  readonly #short = new Map<AccountKey, { readonly start: Instant; readonly amount: Quantity }>();

  /** The least that somebody was last not given there; nothing where the last one who asked was. */
  of(account: AccountKey, start: Instant): Quantity {
    const found = this.#short.get(account);
    return found?.start === start ? found.amount : NOTHING;
  }

  /** In the tick of the decision, each time it is made. */
  follow(policy: Policy, task: Task, decision: Decision): void {
    if (!policy.budgets.some(({ stopIdle }) => stopIdle)) return;
    const breached = breachedBy(decision);
    if (breached === undefined && decision.kind !== "forward") return;
    for (const [account, all] of askedOf(policy, task, decision)) {
      const [{ coverage }] = all;
      if (all.some(({ said, isChosen }) => isChosen && said.needed > 0n)) {
        this.#short.delete(account);
        continue;
      }
      const isRefusing = coverage.ground.budget.id === breached;
      // One that fits may only be busy.
      if (!isRefusing && all.some(({ said }) => said.fits && said.needed > 0n)) continue;
      const least = leastOf(all);
      const { start } = periodFor(coverage.ground, decision.explanation.at);
      if (least !== undefined) this.#short.set(account, { start, amount: least });
    }
  }
}

/** The budget that had no money for it. */
function breachedBy(decision: Decision): string | undefined {
  if (decision.kind === "refuse") return decision.breach.budget;
  return decision.kind === "wait" ? decision.money?.breach.budget : undefined;
}

function askedOf(
  policy: Policy,
  task: Task,
  { explanation }: Decision,
): ReadonlyMap<AccountKey, readonly [Asked, ...Asked[]]> {
  const found = new Map<AccountKey, [Asked, ...Asked[]]>();
  for (const { upstream: id, model = task.model, budgets } of explanation.candidates) {
    const upstream = policy.upstreams.get(id);
    if (upstream === undefined) continue;
    for (const coverage of covering(policy, factsOf({ ...task, model }, upstream))) {
      const { ground, account } = coverage;
      if (!ground.budget.stopIdle || !isActing(ground.budget) || !countsContainers(ground)) continue;
      const said = budgets.find(({ budget, unit }) => budget === ground.budget.id && unit === "usd");
      if (said === undefined) continue;
      const asked = { coverage, said, isChosen: explanation.chosen === id };
      const known = found.get(account);
      if (known === undefined) found.set(account, [asked]);
      else known.push(asked);
    }
  }
  return found;
}

/** Whoever asks for more than the limit says nothing of what is left (MONEY §6). */
function leastOf(all: readonly Asked[]): Quantity | undefined {
  const tooMuch = all.filter(({ said }) => !said.fits && said.needed <= said.limit);
  return tooMuch.reduce<Quantity | undefined>(
    (least, { said: { needed } }) => (least === undefined || needed < least ? needed : least),
    undefined,
  );
}
