// How long requests of one kind took at one place in the last seven days: the newest of them, in bounded
// memory, and what they say. Time comes in as a value; the sums are made when they are asked for, and kept
// until something changes.

import { byTime, type Observed, quantile } from "./quantile.ts";
import { between, DAY, type DurationUs, type Instant, later } from "./time.ts";

/** Fewer than this teach nothing yet (MONEY §5). */
export const ENOUGH = 5;
/** Older ones teach no more (MONEY §5). */
export const WINDOW = (7 * DAY) as DurationUs;
/** Of those that ended by themselves: enough for a quantile of nine tenths, and soon after what changes. */
const MOST_WHOLE = 48;
/** Of those that were ended. */
const MOST_BOUNDS = 16;
/** The upper quantile that a first hold is made by (MONEY §3). */
const UPPER_PERCENT = 90;

export interface Sample extends Observed {
  readonly at: Instant;
  /** How long it was expected to take, when it was decided; undefined where the ledger does not say. */
  readonly expected: DurationUs | undefined;
}

export interface Summary {
  /** Undefined below ENOUGH. */
  readonly learned: LearnedTime | undefined;
  /** At least ENOUGH requests ran so long and were ended; undefined where there are fewer. */
  readonly atLeast: DurationUs | undefined;
  /** Of those with an expectation: the sum of what it was off by, and of the time that they took. */
  readonly off: DurationUs;
  readonly took: DurationUs;
}

export interface LearnedTime {
  readonly median: DurationUs;
  readonly upper: DurationUs;
  /** How many requests it was learned from. */
  readonly requests: number;
}

export class Samples {
  readonly #whole: Sample[] = [];
  readonly #bounds: Sample[] = [];
  #summary: { readonly of: Summary; readonly until: Instant } | undefined;

  add(sample: Sample): void {
    const [list, most] = sample.isWhole ? [this.#whole, MOST_WHOLE] : [this.#bounds, MOST_BOUNDS];
    list.push(sample);
    if (list.length > most) list.shift();
    this.#summary = undefined;
  }

  summary(at: Instant): Summary {
    if (this.#summary === undefined || at >= this.#summary.until) {
      forget(this.#whole, at);
      forget(this.#bounds, at);
      const all = [...this.#whole, ...this.#bounds];
      const until = Math.min(...all.map((sample) => later(sample.at, WINDOW))) as Instant;
      this.#summary = { of: summaryOf(this.#whole, this.#bounds), until };
    }
    return this.#summary.of;
  }
}

function forget(samples: Sample[], at: Instant): void {
  const kept = samples.filter((sample) => between(sample.at, at) < WINDOW);
  if (kept.length < samples.length) samples.splice(0, samples.length, ...kept);
}

function summaryOf(whole: readonly Sample[], bounds: readonly Sample[]): Summary {
  const longest = bounds.map(({ elapsed }) => elapsed).sort((a, b) => b - a);
  let [off, took] = [0, 0];
  for (const { elapsed, expected } of whole) {
    if (expected === undefined) continue;
    off += Math.abs(elapsed - expected);
    took += elapsed;
  }
  return {
    learned: learnedFrom(whole, bounds),
    atLeast: longest[ENOUGH - 1],
    off: off as DurationUs,
    took: took as DurationUs,
  };
}

function learnedFrom(whole: readonly Sample[], bounds: readonly Sample[]): LearnedTime | undefined {
  if (whole.length < ENOUGH) return undefined;
  const all = [...whole, ...bounds].sort(byTime);
  return { median: quantile(all, 50), upper: quantile(all, UPPER_PERCENT), requests: whole.length };
}
