// How far a list price can be trusted: whether a second source agrees, how old it is, and whether it moved
// too far to be believed at once. Figures only; nobody is told here.

import { formatUsd, type HourlyRate } from "./money.ts";
import type { Rate } from "./rate-card.ts";
import { between, DAY, type DurationUs, type Instant, parseInstant } from "./time.ts";

/** Two sources agree where they differ by at most a tenth of the larger figure. */
export function agree(a: HourlyRate, b: HourlyRate): boolean {
  const [less, more] = a < b ? [a, b] : [b, a];
  return (more - less) * 10n <= more;
}

/** A price that moved by more than half of what it was, up or down. Nothing is a jump from 0. */
export function isJump(before: HourlyRate, now: HourlyRate): boolean {
  const moved = before < now ? now - before : before - now;
  return before > 0n && moved * 2n > before;
}

export type Verified =
  | { readonly kind: "verified"; readonly by: string; readonly asOf: string }
  | { readonly kind: "unverified"; readonly why: string };

/** `other`: the same key and kind, from another list; undefined where no other list has it. */
export function verify(rate: Rate, other: Rate | undefined): Verified {
  if (other === undefined || other.source === rate.source) {
    return { kind: "unverified", why: "no second source has it" };
  }
  if (agree(rate.perHour, other.perHour)) return { kind: "verified", by: other.source, asOf: other.asOf };
  return {
    kind: "unverified",
    why: `differs by more than 10 % from ${formatUsd(other.perHour)} of ${other.asOf}`,
  };
}

/** A list of a release: list prices moved by a third within five months of 2026. */
const SHIPPED_STALE = (90 * DAY) as DurationUs;
/** Refreshes that may fail before a live price is called stale. */
const MISSED = 3;

/** Undefined where the list does not say of which day it is. */
export function ageOf({ asOf }: Pick<Rate, "asOf">, at: Instant): DurationUs | undefined {
  const from = parseInstant(asOf);
  return from === undefined ? undefined : (Math.max(0, between(from, at)) as DurationUs);
}

/** A price whose day nobody knows is stale. `refresh`: how often live prices are fetched. */
export function isStale(rate: Pick<Rate, "asOf" | "live">, refresh: DurationUs, at: Instant): boolean {
  const age = ageOf(rate, at);
  return age === undefined || age > (rate.live === true ? MISSED * refresh : SHIPPED_STALE);
}
