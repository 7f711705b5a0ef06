// The sentence that an artist reads when a budget says no. Figures are rounded so that they never contradict
// the decision: what is left down, what is needed up.

import { available } from "../metering/balance.ts";
import { add, formatUsd, NANOS_PER_USD, type NanoUsd, subtract, ZERO_USD } from "../metering/money.ts";
import type { Instant } from "../metering/time.ts";
import type { Breach } from "../policy/decision.ts";

export function breachMessage(breach: Breach): string {
  const { budget, limit, settled, held, needed, resets, timezone } = breach;
  const left = available(limit, { settled, held });
  const what =
    left <= ZERO_USD
      ? `is spent (${short(add(settled, held), "down")} of ${formatUsd(limit)} USD)`
      : `has ${short(left, "down")} of ${formatUsd(limit)} USD left, this needs about ${short(needed, "up")}`;
  const until = resets === undefined ? "" : `, resets ${localMinute(resets, timezone)} ${timezone}`;
  return `budget ${budget} ${what}${until}`;
}

/** Two decimals, or two significant digits where that would be nothing. */
function short(amount: NanoUsd, rounding: "up" | "down"): string {
  const unit = unitOf(amount);
  const rest = amount % unit;
  const floor = subtract(amount, rest as NanoUsd);
  return formatUsd(rounding === "up" && rest > 0n ? add(floor, unit) : floor);
}

function unitOf(amount: NanoUsd): NanoUsd {
  let unit = NANOS_PER_USD / 100n;
  while (unit > 1n && amount < unit * 10n && amount % unit !== 0n) unit /= 10n;
  return unit as NanoUsd;
}

/** "2026-11-23 00:00" */
function localMinute(at: Instant, timezone: string): string {
  const zoned = Temporal.Instant.fromEpochNanoseconds(BigInt(at) * 1000n).toZonedDateTimeISO(timezone);
  return `${zoned.toPlainDate()} ${zoned.toPlainTime().toString({ smallestUnit: "minute" })}`;
}
