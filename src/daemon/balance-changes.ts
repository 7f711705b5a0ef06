// What a reload has done to balances, in lines beside its changes: a budget that is new, or counts something
// else now, begins with what it would have counted (MONEY §4). The old balance and the new one are told.

import type { Book } from "../ledger/book.ts";
import { formatNumber, wordOf } from "../metering/quantity-text.ts";
import type { Instant } from "../metering/time.ts";
import { type Ground, groundsOf, periodFor } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";

/** Of a budget per user and the like there is no one balance to tell. `at`: once the new one is in force. */
export function balanceChanges(before: Policy, after: Policy, book: Book, at: Instant): readonly string[] {
  const earlier = new Map(groundsOf(before).map((ground) => [nameOf(ground), ground]));
  const settledIn = (ground: Ground) => {
    const { start } = periodFor(ground, at);
    return formatNumber(ground.unit, book.balance(ground.key, start).settled);
  };
  return groundsOf(after).flatMap((ground) => {
    const was = earlier.get(nameOf(ground));
    if (was?.key === ground.key || ground.per !== undefined) return [];
    const then = was === undefined || was.per !== undefined ? "none" : settledIn(was);
    return [`budget ${ground.budget.id}: settled ${then} → ${settledIn(ground)} ${wordOf(ground.unit)}`];
  });
}

function nameOf({ budget, unit }: Ground): string {
  return `${unit} ${budget.id}`;
}
