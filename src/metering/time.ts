// Time as values: an Instant says when (entries, periods), a DurationUs how long (elapsed, timeouts).
// Nothing in metering/ or policy/ reads a clock; the shell passes one in.

declare const instant: unique symbol;
declare const duration: unique symbol;

/** Whole microseconds since 1970-01-01T00:00:00Z. Exact in a number until the year 2255. */
export type Instant = number & { readonly [instant]: true };

/** Whole microseconds, >= 0 unless said otherwise. */
export type DurationUs = number & { readonly [duration]: true };

/** The two clocks of a machine. `monotonic` never steps; `wall` may. */
export interface Clock {
  wall(): Instant;
  monotonic(): DurationUs;
}

export const SECOND = 1_000_000 as DurationUs;
export const MINUTE = 60_000_000 as DurationUs;
export const HOUR = 3_600_000_000 as DurationUs;
export const DAY = 86_400_000_000 as DurationUs;
/** Entries are split at these: every zone's period boundaries fall on one (MONEY §7). */
export const QUARTER_HOUR = 900_000_000 as DurationUs;

/** The first instant of all: where periods that never turn begin. */
export const EPOCH = 0 as Instant;
/** Later than any instant that is ever met: where periods that never turn end. */
export const FOREVER = Number.MAX_SAFE_INTEGER as Instant;

export function instantUs(microseconds: number): Instant {
  return Math.trunc(microseconds) as Instant;
}

export function durationUs(microseconds: number): DurationUs {
  return Math.trunc(microseconds) as DurationUs;
}

export function seconds(count: number): DurationUs {
  return Math.round(count * SECOND) as DurationUs;
}

export function milliseconds(elapsed: DurationUs): number {
  return elapsed / 1000;
}

export function later(at: Instant, by: DurationUs): Instant {
  return (at + by) as Instant;
}

export function earlier(at: Instant, by: DurationUs): Instant {
  return (at - by) as Instant;
}

/** From `from` to `to`; negative when `to` is the earlier one. */
export function between(from: Instant, to: Instant): DurationUs {
  return (to - from) as DurationUs;
}

export function latest(a: Instant, b: Instant): Instant {
  return a > b ? a : b;
}

export function earliest(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}

/** The start of the UTC quarter-hour that `at` lies in. */
export function quarterHourOf(at: Instant): Instant {
  return (at - (at % QUARTER_HOUR)) as Instant;
}

/** Of an ISO day, which begins in UTC, or an RFC 3339 instant, to the millisecond; undefined for others. */
export function parseInstant(text: string): Instant | undefined {
  const milliseconds = new Date(text).getTime();
  return Number.isNaN(milliseconds) ? undefined : instantUs(milliseconds * 1000);
}

/** RFC 3339 with microseconds, in UTC: "2026-11-22T10:15:00.000001Z". */
export function formatInstant(at: Instant): string {
  const whole = new Date(Math.trunc(at / 1000)).toISOString();
  return `${whole.slice(0, -1)}${String(at % 1000).padStart(3, "0")}Z`;
}
