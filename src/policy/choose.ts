// Which of the candidates that may serve takes the request now, or which of them it waits for. It is given
// them in rank order, judged by budgets; it holds nothing and words nothing.
//
// 1. The first that fits its budgets and can take it now. What is only busy is passed over, never its budget:
//    in manual and local the budgets of the one whose turn it is are the outcome (MONEY §5).
// 2. Else wait for those that fit and cannot now: for whichever is free first.
// 3. Are all of these ejected, the one that would be tried again first is tried at once, one request at a
// time:
//    ejection spares clients a bad upstream where there is a better one, and refuses nothing that might work.

import type { Quote } from "./decision.ts";
import type { Judged } from "./explain.ts";
import { lastsFor } from "./hindrance.ts";
import type { Mode } from "./policy.ts";

export type Choice =
  | { readonly kind: "takes"; readonly one: Judged; readonly isLastResort: boolean }
  /** At least one. `isLastResort`: it waits for a trial of an ejected one to end. */
  | { readonly kind: "waits"; readonly all: readonly Judged[]; readonly isLastResort: boolean }
  /** Budgets let none through. */
  | { readonly kind: "none" };

export function choose(mode: Mode, judged: readonly Judged[]): Choice {
  const passed: Judged[] = [];
  for (const one of judged) {
    if (one.unmet.length > 0) {
      if (mode === "lowest_price") continue;
      break;
    }
    if (one.quote.hindrance === undefined) return { kind: "takes", one, isLastResort: false };
    passed.push(one);
    if (mode === "manual") break;
  }
  if (passed.length === 0) return { kind: "none" };
  if (!passed.every(({ quote }) => isOut(quote))) return { kind: "waits", all: passed, isLastResort: false };
  const one = soonest(passed.filter(({ quote }) => quote.hindrance?.kind === "ejected"));
  if (one !== undefined) return { kind: "takes", one, isLastResort: true };
  return { kind: "waits", all: passed, isLastResort: true };
}

function isOut({ hindrance }: Quote): boolean {
  return hindrance?.kind === "ejected" || hindrance?.kind === "trial";
}

function soonest(ejected: readonly Judged[]): Judged | undefined {
  const until = ({ quote }: Judged) => (quote.hindrance && lastsFor(quote.hindrance)) ?? 0;
  let first: Judged | undefined;
  for (const one of ejected) if (first === undefined || until(one) < until(first)) first = one;
  return first;
}
