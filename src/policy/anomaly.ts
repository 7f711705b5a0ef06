// Whether an hour cost far more than hours usually do: the robust z-score by median and median absolute
// deviation (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), which a few wild hours of the
// past do not blunt. Statistics about money, never money: floats are good enough here.

import type { NanoUsd } from "../metering/money.ts";
import type { Instant } from "../metering/time.ts";

/** What one UTC hour cost, containers included. */
export interface HourSpend {
  readonly start: Instant;
  readonly amount: NanoUsd;
}

export interface Anomaly {
  readonly score: number;
  /** The median of the hours before it in which anything was spent. */
  readonly usual: NanoUsd;
  /** How many they were. */
  readonly hours: number;
}

/** Fewer hours with spend than this say nothing about what is usual. */
export const LEAST_HOURS = 24;
/** Iglewicz and Hoaglin's own recommendation. */
const OUTLYING = 3.5;
/** The MAD of a normal distribution is 0.6745 of its standard deviation. */
const NORMAL = 0.6745;
/** Hours that all cost the same would make a cent an outlier: they are taken to vary by this share. */
const LEAST_SPREAD = 0.1;

/**
 * Undefined where the hour is as usual, cheaper, or there is too little to compare with. Hours without spend
 * are left out on both sides: nights and weekends would make every working hour an outlier.
 */
export function anomalyOf(hour: HourSpend, before: readonly HourSpend[]): Anomaly | undefined {
  const spent = before.filter(({ start, amount }) => start < hour.start && amount > 0n);
  if (spent.length < LEAST_HOURS) return undefined;
  const amounts = spent.map(({ amount }) => Number(amount));
  const usual = medianOf(amounts);
  const deviation = medianOf(amounts.map((each) => Math.abs(each - usual)));
  const score = (NORMAL * (Number(hour.amount) - usual)) / Math.max(deviation, usual * LEAST_SPREAD);
  if (score <= OUTLYING) return undefined;
  return { score, usual: BigInt(Math.round(usual)) as NanoUsd, hours: spent.length };
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
