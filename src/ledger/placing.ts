// Puts what open requests hold into budgets that newly cover them, unconditionally (MONEY §4): a reload that
// adds or moves a budget must not set free what already runs.

import { minus, sum } from "../metering/quantity.ts";
import { claimsOf, demandsOn } from "../policy/claims.ts";
import { type Coverage, covering, type Facts } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import type { BalanceChange, Book } from "./book.ts";
import { countedOf } from "./by-slice.ts";
import type { OpenHold } from "./held.ts";
import type { Outbox } from "./outbox.ts";

interface PlacingTill {
  readonly book: Book;
  readonly outbox: Outbox;
  /** The budgets that cover it now. */
  coverage(facts: Facts): readonly Coverage[];
}

/** `before`: the policy that was in force until now. */
export function placeOpenHolds(till: PlacingTill, holds: Iterable<OpenHold>, before: Policy): void {
  const newly = (facts: Facts) => {
    const known = new Set(covering(before, facts).map(({ account }) => account));
    return till.coverage(facts).filter(({ account }) => !known.has(account));
  };
  const { balances, placed } = placeHolds(holds, till.book, newly);
  if (balances.length === 0) return;
  const rehold = placed.map((one) => one.toRow());
  // A failure is kept for the next heartbeat and reported by the outbox.
  till.outbox.write({ balances, rehold }).catch(() => undefined);
}

/** `newly`: what covers it now and did not before. Moves the book; what it returns is to be written. */
export function placeHolds(
  holds: Iterable<OpenHold>,
  book: Book,
  newly: (facts: Facts) => readonly Coverage[],
): { readonly balances: readonly BalanceChange[]; readonly placed: readonly OpenHold[] } {
  const balances: BalanceChange[] = [];
  const placed = new Set<OpenHold>();
  for (const hold of holds) {
    const need = hold.need();
    for (const wanted of claimsOf(newly(hold.row.facts).flatMap((one) => demandsOn(one, need)))) {
      // A budget that comes back still has what was held there before it went; what was posted it has
      // counted by its entries.
      const counted = sum(hold.heldIn(wanted), countedOf(hold.posted, wanted));
      const amount = minus(wanted.amount, counted);
      if (amount <= 0n) continue;
      hold.claim({ ...wanted, amount });
      placed.add(hold);
      balances.push(...hold.lasting([book.move(wanted.account, wanted, { kind: "hold", amount })]));
    }
  }
  return { balances, placed: [...placed] };
}
