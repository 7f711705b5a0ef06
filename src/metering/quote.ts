// What one request is expected to cost at a price, and how much must be held for it. Rounded up, always:
// a quote is a promise about the most, a settlement about the least (MONEY §3).

import {
  add,
  costCeil,
  type HourlyRate,
  type NanoUsd,
  nanoUsd,
  perMillionCeil,
  smaller,
  times,
  US_PER_HOUR,
} from "./money.ts";
import type { Price } from "./price.ts";
import type { DurationUs } from "./time.ts";

/** Money is asked for again at least this long before the held money ends, and a cut aborts then. */
export const GUARD = 2_000_000 as DurationUs;
/** A shorter hold would be cut before the work began. */
export const SHORTEST_HOLD = 4_000_000 as DurationUs;
const SHORTEST_SLICE = 5_000_000 as DurationUs;
const LONGEST_SLICE = 60_000_000 as DurationUs;

/**
 * No request is worth more than a million dollars. It bounds what a client's numbers can do: thousands of
 * such holds still fit the ledger's 64 bits.
 */
export const MOST_HOLD: NanoUsd = nanoUsd(1_000_000_000_000_000n);

/** Counts are whole numbers >= 0. */
export interface Amounts {
  readonly images: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** How long it takes, expected. */
  readonly time: DurationUs;
  /** How long it is held for, where that is longer: an upper quantile (MONEY §3). */
  readonly most?: DurationUs;
}

export interface Estimate {
  /** What the request is expected to cost. */
  readonly amount: NanoUsd;
  /** What is held before it is sent; at least `amount`, at most MOST_HOLD. */
  readonly hold: NanoUsd;
  /** How long `hold` lasts at the exclusive price; 0 for prices that time does not touch. */
  readonly holdTime: DurationUs;
  /** How long it is held for by the second: `holdTime`, or as long as the work may well take. */
  readonly span: DurationUs;
}

export function estimate(price: Price, work: Amounts): Estimate {
  const most = Math.max(work.time, work.most ?? 0) as DurationUs;
  switch (price.kind) {
    case "hour":
      return timed(price.rate, work.time, most);
    case "request":
      return unit(price.amount, most);
    case "image":
      return unit(times(price.amount, work.images), most);
    case "tokens": {
      const input = perMillionCeil(price.input, work.inputTokens);
      const output = perMillionCeil(price.output, work.outputTokens);
      return unit(add(input, output), most);
    }
  }
}

/** The hold is cut in its time, so that its slices in each period still add up to it. */
function timed(rate: HourlyRate, time: DurationUs, most: DurationUs): Estimate {
  const wanted = spanOf(most);
  const isTooMuch = costCeil(rate, wanted) > MOST_HOLD;
  const holdTime = isTooMuch ? (Number((MOST_HOLD * US_PER_HOUR) / rate) as DurationUs) : wanted;
  const hold = costCeil(rate, holdTime);
  return { amount: smaller(costCeil(rate, time), hold), hold, holdTime, span: holdTime };
}

function unit(due: NanoUsd, most: DurationUs): Estimate {
  const amount = smaller(due, MOST_HOLD);
  return { amount, hold: amount, holdTime: 0 as DurationUs, span: spanOf(most) };
}

function spanOf(time: DurationUs): DurationUs {
  return time > SHORTEST_HOLD ? time : SHORTEST_HOLD;
}

/** A further slice of a running request: a quarter of its estimate, 5 s to 60 s (MONEY §3). */
export function sliceOf(estimated: DurationUs): DurationUs {
  const quarter = Math.ceil(estimated / 4);
  return Math.min(LONGEST_SLICE, Math.max(SHORTEST_SLICE, quarter)) as DurationUs;
}
