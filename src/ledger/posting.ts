// Moves the balances that an entry counts in, and says by how much, for the write that has the entry.

import { type Coverage, periodFor } from "../policy/match.ts";
import type { BalanceChange, Book } from "./book.ts";
import { countedIn } from "./rows.ts";
import type { Entry } from "./store.ts";

/** Every account that counts it, in the period of each entry. */
export function post(
  book: Book,
  covering: readonly Coverage[],
  entries: readonly Entry[],
): readonly BalanceChange[] {
  const counting = once(covering);
  return entries.flatMap((entry) =>
    counting.flatMap(({ account, ground }) => {
      const amount = countedIn(ground.unit, entry);
      if (amount === 0n) return [];
      return [book.move(account, periodFor(ground, entry.at), { kind: "settle", amount }, entry.at)];
    }),
  );
}

/** Two budgets on one balance count an entry once. */
export function once<T extends { readonly account: string }>(coverage: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  return coverage.filter(({ account }) => !seen.has(account) && seen.add(account));
}
