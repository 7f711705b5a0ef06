// The pieces in which a lease's money is posted, none of them across a UTC quarter-hour, so that any period
// of any zone is a sum of whole pieces (MONEY §7).

import { type NanoUsd, nanoUsd, US_PER_HOUR } from "./money.ts";
import {
  between,
  type DurationUs,
  earliest,
  type Instant,
  later,
  QUARTER_HOUR,
  quarterHourOf,
} from "./time.ts";

export type PartKind = "request" | "startup" | "idle" | "minimum" | "gap" | "adjusted";

/**
 * Only an `adjusted` one is negative: it takes back container money of time in which the machine was off.
 *
 * `at` is where the piece starts; `elapsed` is how much time of that kind it holds, so the parts of a
 * request sum to its duration. An idle part gathers the idle time since `at`, and one without any is a
 * remainder. Free idle time is not cut, and a `minimum` stands whole at the end of the lease.
 */
export interface Part {
  readonly kind: PartKind;
  readonly at: Instant;
  readonly elapsed: DurationUs;
  readonly amount: NanoUsd;
}

/**
 * Cuts [from, until) at the quarter-hours. `rawAt` is a running total in raw units (nano-dollar
 * microseconds per hour); each amount is a difference of its floors, so the amounts sum to the floor of the
 * whole.
 */
export function cutAtQuarters(
  kind: PartKind,
  from: Instant,
  until: Instant,
  rawAt: (at: Instant) => bigint,
): readonly Part[] {
  const parts: Part[] = [];
  let at = from;
  let before = rawAt(from) / US_PER_HOUR;
  while (at < until) {
    const end = earliest(later(quarterHourOf(at), QUARTER_HOUR), until);
    const total = rawAt(end) / US_PER_HOUR;
    parts.push({ kind, at, elapsed: between(at, end), amount: nanoUsd(total - before) });
    at = end;
    before = total;
  }
  return parts;
}
