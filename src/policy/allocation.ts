// May an amount be set aside by hand? The same budgets are asked as for a request of those labels, on the
// same balances and behind the same waiters; but nothing is sent, so nothing cheaper can take its place.

import type { NanoUsd } from "../metering/money.ts";
import { durationUs } from "../metering/time.ts";
import type { Balances } from "./admission.ts";
import { claimsOf, demandsOn, type Need, satisfied } from "./claims.ts";
import type { Breach, Claim } from "./decision.ts";
import { balanceOf, leftFor } from "./judge.ts";
import type { Coverage } from "./match.ts";
import type { SpendingStop } from "./spending.ts";

export type AllocationJudged =
  | { readonly kind: "fits"; readonly claims: readonly Claim[] }
  | { readonly kind: "breach"; readonly breach: Breach }
  | { readonly kind: "stopped"; readonly stop: SpendingStop };

/** `all`: the budgets that cover it. It lies in the periods of this moment, like all that has no seconds. */
export function judgeAllocation(all: readonly Coverage[], amount: NanoUsd, view: Balances): AllocationJudged {
  if (view.stopped !== undefined) return { kind: "stopped", stop: view.stopped };
  const none = { requests: 0, images: 0, tokens: 0 };
  const need: Need = { from: view.at, time: durationUs(0), rate: undefined, amount, ...none };
  const demands = all.flatMap((coverage) => demandsOn(coverage, need, view.relief));
  const unmet = demands.find((demand) => !satisfied(demand, leftFor(demand, view)));
  if (unmet === undefined) return { kind: "fits", claims: claimsOf(demands) };
  const { budget, unit, limit, timezone } = unmet.coverage.ground;
  const resets = unmet.period.end < Number.MAX_SAFE_INTEGER ? unmet.period.end : undefined;
  const breach = { budget: budget.id, action: budget.onLimit, unit, limit, ...balanceOf(unmet, view) };
  return { kind: "breach", breach: { ...breach, needed: unmet.amount, resets, timezone, alternatives: [] } };
}
