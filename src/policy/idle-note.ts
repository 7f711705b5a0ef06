// What an idle container costs against what it would cost to start it again, in words. It stops nothing.

import { durationText } from "../metering/duration-text.ts";
import {
  costCeil,
  formatUsd,
  type HourlyRate,
  type NanoUsd,
  nanoUsd,
  US_PER_HOUR,
  ZERO_USD,
} from "../metering/money.ts";
import { between, type DurationUs, type Instant } from "../metering/time.ts";
import type { Upstream } from "./policy.ts";

export interface IdleTime {
  readonly since: Instant;
  /** When it is stopped if nobody comes; undefined: it is not. */
  readonly stops: Instant | undefined;
  /** Until when its window keeps it. */
  readonly keptUntil: Instant | undefined;
}

/**
 * "idle for 12 min at 1.00 USD/h; stops in 18 min; starting again costs about 0.02 USD, as much as 1 min 12 s
 * of idling". `startUp`: how long a start takes, expected.
 */
export function idleNote(
  upstream: Billed,
  { since, stops, keptUntil }: IdleTime,
  startUp: DurationUs,
  now: Instant,
): string {
  const { idleRate } = upstream;
  const rate = idleRate > 0n ? ` at ${formatUsd(idleRate)} USD/h` : "";
  const idle = `idle for ${durationText(between(since, now))}${rate}`;
  const kept = keptUntil === undefined ? [] : [`kept warm for ${durationText(between(now, keptUntil))}`];
  const stop =
    stops === undefined ? [] : [stops > now ? `stops in ${durationText(between(now, stops))}` : "stops now"];
  return [idle, ...kept, ...stop, ...againText(upstream, startUp)].join("; ");
}

type Billed = Pick<Upstream, "price" | "idleRate" | "minBilled">;

/** Its start, or what its machine bills at least, where that is more. */
function startingCost({ price, minBilled }: Billed, startUp: DurationUs): NanoUsd {
  if (price.kind !== "hour") return ZERO_USD;
  return costCeil(price.rate, Math.max(startUp, minBilled) as DurationUs);
}

function againText(upstream: Billed, startUp: DurationUs): string[] {
  const cost = startingCost(upstream, startUp);
  if (cost === 0n) return [];
  const same = sameAs(cost, upstream.idleRate);
  const idling = same === undefined ? "" : `, as much as ${durationText(same)} of idling`;
  return [`starting again costs about ${roughly(cost)} USD${idling}`];
}

/** How long it idles for that. */
function sameAs(cost: NanoUsd, idleRate: HourlyRate): DurationUs | undefined {
  return idleRate === 0n ? undefined : (Number((cost * US_PER_HOUR) / idleRate) as DurationUs);
}

/** To a hundredth of a cent, rounded up. */
function roughly(amount: NanoUsd): string {
  const step = 100_000n;
  return formatUsd(nanoUsd(((amount + step - 1n) / step) * step));
}
