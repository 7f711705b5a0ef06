// Moves every balance that counts an entry, in the period that the entry lies in.

import { type Coverage, periodFor } from "../policy/match.ts";
import type { BalanceChange, Book } from "./book.ts";
import { countedIn } from "./rows.ts";
import type { Entry } from "./store.ts";

/** Two budgets on one balance count an entry once. */
export function postEntries(
  book: Book,
  counting: readonly Coverage[],
  entries: readonly Entry[],
): readonly BalanceChange[] {
  const seen = new Set<string>();
  const once = counting.filter(({ account }) => !seen.has(account) && seen.add(account));
  return entries.flatMap((entry) =>
    once.flatMap(({ account, ground }) => {
      const amount = countedIn(ground.unit, entry);
      if (amount === 0n) return [];
      return [book.move(account, periodFor(ground, entry.at), { kind: "settle", amount })];
    }),
  );
}
