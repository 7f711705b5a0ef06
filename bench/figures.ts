// The arithmetic of the bench: medians, and ratios and differences that are paired by round, so that a moment
// in which the machine was slow is slow for both sides. It knows nothing of what was measured.

/** NaN for none: what was not measured must not look like a zero. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [below = Number.NaN, above = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? above : (below + above) / 2;
}

/** The median over rounds of `ours / theirs`. A round that only one side has is left out. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(pairs(ours, theirs).map(([a, b]) => (b === 0 ? Number.NaN : a / b)));
}

/** The median over rounds of `ours - theirs`. */
export function pairedDifference(ours: readonly number[], theirs: readonly number[]): number {
  return median(pairs(ours, theirs).map(([a, b]) => a - b));
}

/** Of sorted values, by nearest rank; `share` is 0.5 for the median. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/**
 * How much later values are above earlier ones: the median of the last third over that of the second. The
 * first third is left out, because every process grows until it is warm.
 */
export function growth(values: readonly number[]): number {
  const third = Math.floor(values.length / 3);
  if (third === 0) return Number.NaN;
  return median(values.slice(-third)) / median(values.slice(third, 2 * third));
}

function pairs(ours: readonly number[], theirs: readonly number[]): readonly [number, number][] {
  return ours.flatMap((a, round) => {
    const b = theirs[round];
    return b === undefined || Number.isNaN(a) || Number.isNaN(b) ? [] : [[a, b] as [number, number]];
  });
}
