// Times as the clouds write them: RFC 3339, of any fraction and zone, to the microsecond.

import { type Instant, instantUs } from "../metering/time.ts";

/** Undefined for what is no time, and for the year 1, by which some mean never. */
export function providerInstant(text: unknown): Instant | undefined {
  if (typeof text !== "string") return undefined;
  const whole = Date.parse(text.replace(/\.\d+/, ""));
  if (Number.isNaN(whole) || whole <= 0) return undefined;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "0";
  return instantUs(whole * 1000 + Number(fraction.slice(0, 6).padEnd(6, "0")));
}
