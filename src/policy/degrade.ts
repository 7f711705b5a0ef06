// Where `on_limit: degrade` may send a request instead, and what that changes: a cheaper upstream, another
// GPU tier, or the fallback model, in this order. Whether it goes there is choose.ts's.

import type { Demand } from "./claims.ts";
import type { Degraded, Place } from "./decision.ts";
import type { Judged } from "./explain.ts";
import type { Mode, Model, Policy } from "./policy.ts";
import type { Candidate } from "./rank.ts";

/**
 * Cheaper than `than`, whether its own budgets let it or not: none of these is followed further. A budget
 * asks for less money, so it may name what the mode leaves out; mode local alone promises that nothing leaves
 * the house.
 */
export function cheaperThan(
  than: Judged,
  mode: Mode,
  own: readonly Judged[],
  fallbacks: readonly Judged[],
): readonly Judged[] {
  const isCheaper = (one: Judged) =>
    one !== than &&
    !one.isUnfit &&
    one.quote.amount < than.quote.amount &&
    (mode !== "local" || one.quote.upstream.provider === "local");
  const tier = than.quote.upstream.gpuTier;
  const cheaper = byRank(own.filter(isCheaper));
  const isAlike = ({ quote }: Judged) => quote.upstream.gpuTier === tier;
  return [
    ...cheaper.filter(isAlike),
    ...cheaper.filter((one) => !isAlike(one)),
    ...byRank(fallbacks.filter(isCheaper)),
  ];
}

/** The model that a request for `model` may fall back to, with who could serve that. */
export function fallbackFor(
  policy: Policy,
  model: Model,
  candidatesOf: (model: Model) => readonly Candidate[],
): { readonly model: Model; readonly candidates: readonly Candidate[] } | undefined {
  const next = model.fallbackModel === undefined ? undefined : policy.models.get(model.fallbackModel);
  return next && { model: next, candidates: candidatesOf(next) };
}

export function degradedBy(by: Demand, from: Judged, to: Judged): Degraded {
  return { budget: by.coverage.ground.budget.id, from: placeOf(from), to: placeOf(to) };
}

/** "from flux-aws to flux-local", or "from flux-dev at flux-aws to flux-schnell at flux-local". */
export function degradedText({ from, to }: Degraded): string {
  if (from.model === to.model) return `from ${from.upstream} to ${to.upstream}`;
  return `from ${from.model} at ${from.upstream} to ${to.model} at ${to.upstream}`;
}

function byRank(all: readonly Judged[]): readonly Judged[] {
  return [...all].sort((a, b) => {
    if (a.quote.rank === b.quote.rank) return a.quote.inFlight - b.quote.inFlight;
    return a.quote.rank < b.quote.rank ? -1 : 1;
  });
}

function placeOf({ model, quote }: Judged): Place {
  return { model, upstream: quote.upstream.id, gpuTier: quote.upstream.gpuTier };
}
