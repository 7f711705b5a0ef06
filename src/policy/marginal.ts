// What the studio's own bill grows by where a request runs, which is not what the request pays (MONEY §5): a
// container that is up is billed whether it works or idles, and a machine that works already costs no more.

import { add, costCeil, hourlyRate, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import type { DurationUs } from "../metering/time.ts";
import type { Quote } from "./decision.ts";

/** Expected, as the quote's amount is; in nano-dollars, >= 0. */
export function marginalOf({ upstream, amount, time, inFlight, cold }: Quote): NanoUsd {
  const { price, hasContainer, idleRate } = upstream;
  if (price.kind !== "hour") return amount;
  if (cold !== undefined)
    return add(amount, costCeil(price.rate, (cold.startUp + cold.unbilled) as DurationUs));
  if (!hasContainer) return inFlight > 0 ? ZERO_USD : amount;
  const more = price.rate - idleRate;
  return inFlight > 0 || more <= 0n ? ZERO_USD : costCeil(hourlyRate(more), time);
}
