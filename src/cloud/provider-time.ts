// Times as the clouds write them: RFC 3339, of any fraction and zone, to the microsecond.

import { type Instant, instantUs } from "../metering/time.ts";
import { Trouble } from "./adapter.ts";

/** Undefined for what is no time, and for the year 1, by which some mean never. */
export function providerInstant(text: unknown): Instant | undefined {
  if (typeof text !== "string") return undefined;
  const whole = Date.parse(text.replace(/\.\d+/, ""));
  if (Number.isNaN(whole) || whole <= 0) return undefined;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "0";
  return instantUs(whole * 1000 + Number(fraction.slice(0, 6).padEnd(6, "0")));
}

/** The first of them that is a time. Where none is, nothing is charged since a time that was made up. */
export function providerStart(what: string, ...texts: readonly unknown[]): Instant {
  const found = texts.map(providerInstant).find((each) => each !== undefined);
  if (found !== undefined) return found;
  const cure = "what it costs is not counted until its provider does; its clock may be wrong";
  throw new Trouble("failed", `${what} does not say since when it is there: ${cure}`);
}
