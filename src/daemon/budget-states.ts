// Each enabled budget's balances as they stand now, one a value where a budget counts per user or the like:
// what `status`, /metrics and the dashboard show.

import type { BudgetState } from "../admin/budget-state.ts";
import type { Book } from "../ledger/book.ts";
import { type Gaps, missedBefore, NO_GAPS } from "../ledger/folding.ts";
import type { Instant } from "../metering/time.ts";
import { groundsOf, isStoodInFor, periodFor } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import { relieved } from "../policy/relief.ts";
import { isOwnTask } from "../policy/task.ts";

/** Of one `per` budget at most this many balances are shown: those that hold or have spent most. */
const MOST_VALUES = 200;

export function budgetStates(
  policy: Policy,
  book: Book,
  at: Instant,
  gaps: Gaps = NO_GAPS,
): readonly BudgetState[] {
  return groundsOf(policy).flatMap((ground): readonly BudgetState[] => {
    const period = periodFor(ground, at);
    const { budget, unit, limit } = ground;
    const about = { budget, period, unit, limit, missedBefore: missedBefore(gaps, ground, at) };
    const seen = (account: string) =>
      relieved(book.balance(account, period.start), book.relief(ground, account, period));
    if (ground.per === undefined) {
      return [{ ...about, value: undefined, ...seen(ground.key) }];
    }
    const isTask = ground.per === "task";
    const isPassing = isTask || budget.period === "per_session";
    const prefix = `${ground.key}=`;
    const states: BudgetState[] = [];
    for (const { account, start, balance } of book.all()) {
      if (start !== period.start || !account.startsWith(prefix)) continue;
      const value = account.slice(prefix.length);
      // Tasks and sessions never end by themselves: those that do nothing now would only pile up here.
      if (isPassing && balance.held === 0n) continue;
      if (isTask && isOwnTask(value)) continue;
      // Another budget of the policy shows it, under its own limit.
      if (isStoodInFor(ground, value)) continue;
      states.push({ ...about, value, ...seen(account) });
    }
    return states.sort(mostUsedFirst).slice(0, MOST_VALUES);
  });
}

function mostUsedFirst(a: BudgetState, b: BudgetState): number {
  const used = b.settled + b.held - a.settled - a.held;
  return used === 0n ? 0 : used > 0n ? 1 : -1;
}
