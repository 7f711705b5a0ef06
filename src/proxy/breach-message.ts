// The sentence that an artist reads when a budget says no, or whoever stopped all spending. Figures are
// rounded so that they never contradict the decision: what is left down, what is needed up.

import { available } from "../metering/balance.ts";
import { durationText } from "../metering/duration-text.ts";
import { minus, type Quantity, sum, type Unit } from "../metering/quantity.ts";
import { formatNumber, formatQuantity } from "../metering/quantity-text.ts";
import { type Instant, SECOND, seconds } from "../metering/time.ts";
import type { Breach, Stopped } from "../policy/decision.ts";

export function breachMessage(breach: Breach): string {
  const { budget, unit, limit, settled, held, needed, resets, timezone } = breach;
  const left = available(limit, { settled, held });
  const all = formatQuantity(unit, limit);
  const what =
    left <= 0n
      ? `is spent (${short(unit, sum(settled, held), "down")} of ${all})`
      : `has ${short(unit, left, "down")} of ${all} left, this needs about ${short(unit, needed, "up")}`;
  const until = resets === undefined ? "" : `, resets ${localMinute(resets, timezone)} ${timezone}`;
  // To the nearest second: a timer that rings a moment early makes no other wait of what the policy says.
  const nearest = breach.waited === undefined ? undefined : seconds(Math.round(breach.waited / SECOND));
  const waited = nearest === undefined ? "" : `, after a wait of ${durationText(nearest)}`;
  return `budget ${budget} ${what}${waited}${until}`;
}

/** Who stopped all spending, since when, and what ends it; the cure fits a reason phrase whoever it was. */
export function stopMessage({ stop, timezone }: Pick<Stopped, "stop" | "timezone">): string {
  const since = `${localMinute(stop.at, timezone)} ${timezone}`;
  return `all spending is stopped by ${stop.by} since ${since}; to go on: budgetguard resume`;
}

/** Of money two decimals, of seconds one, or two significant digits where that would be nothing. */
function short(unit: Unit, amount: Quantity, rounding: "up" | "down"): string {
  const step = stepOf(unit, amount);
  const rest = amount % step;
  const floor = minus(amount, rest as Quantity);
  return formatNumber(unit, rounding === "up" && rest > 0n ? sum(floor, step) : floor);
}

function stepOf(unit: Unit, amount: Quantity): Quantity {
  let step = STEPS[unit];
  while (step > 1n && amount < step * 10n && amount % step !== 0n) step /= 10n;
  return step as Quantity;
}

const STEPS = {
  usd: 10_000_000n,
  seconds: 100_000n,
  requests: 1n,
  images: 1n,
  tokens: 1n,
} as const satisfies Record<Unit, bigint>;

/** "2026-11-23 00:00" */
function localMinute(at: Instant, timezone: string): string {
  const zoned = Temporal.Instant.fromEpochNanoseconds(BigInt(at) * 1000n).toZonedDateTimeISO(timezone);
  return `${zoned.toPlainDate()} ${zoned.toPlainTime().toString({ smallestUnit: "minute" })}`;
}
