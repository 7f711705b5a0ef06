// Where a request goes that a budget degrades: to something cheaper of its model, else to its fallback model,
// where all budgets have what that needs. Followed once: what it finds is not degraded again.

import { type Choice, choose } from "./choose.ts";
import type { Judged } from "./explain.ts";

/** `others`: of the same model, whatever the mode says of them; `fallback`: of its fallback model. */
export function degradeTo(from: Judged, others: readonly Judged[], fallback: readonly Judged[]): Choice {
  const isCheaper = ({ quote }: Judged) => quote.amount < from.quote.amount;
  const isNoDearer = ({ quote }: Judged) => quote.amount <= from.quote.amount;
  const fitting = [...inOrder(others.filter(isCheaper)), ...inOrder(fallback.filter(isNoDearer))];
  return choose("lowest_price", fitting);
}

/** Cheapest first; equals keep their order. */
function inOrder(candidates: readonly Judged[]): readonly Judged[] {
  const order = (a: Judged, b: Judged) =>
    a.quote.amount < b.quote.amount ? -1 : a.quote.amount > b.quote.amount ? 1 : 0;
  return candidates.filter((one) => one.unmet.length === 0 && !one.isUnfit).sort(order);
}
