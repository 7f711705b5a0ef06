// Quantiles of how long work takes, where some of it was ended before it was done and says only that it would
// have taken longer. That is the product-limit estimator (Kaplan and Meier 1958): without such work it is the
// plain nearest-rank quantile, and work that was ended early can raise it, never lower it.

import type { DurationUs } from "./time.ts";

export interface Observed {
  readonly elapsed: DurationUs;
  /** False: it was ended then, and would have taken longer. */
  readonly isWhole: boolean;
}

/** Shares are products of fractions; none that differ by less are told apart. */
const ALIKE = 1e-9;

/**
 * The time in which `percent` of the work is done; where so much of it was never seen to end, the
 * longest that was seen. `all` in the order of `byTime`, at least one.
 */
export function quantile(all: readonly Observed[], percent: number): DurationUs {
  const wanted = 1 - percent / 100 + ALIKE;
  let unfinished = 1;
  let atRisk = all.length;
  for (const { elapsed, isWhole } of all) {
    if (isWhole) unfinished *= (atRisk - 1) / atRisk;
    if (isWhole && unfinished <= wanted) return elapsed;
    atRisk -= 1;
  }
  const longest = all.at(-1);
  if (longest === undefined) throw new Error("a quantile of nothing");
  return longest.elapsed;
}

/** What ended of itself comes before what was ended in the same moment. */
export function byTime(a: Observed, b: Observed): number {
  return a.elapsed - b.elapsed || Number(b.isWhole) - Number(a.isWhole);
}
