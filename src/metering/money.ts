// Money as an integer number of nano-dollars (1 USD = 1 000 000 000), made and combined only here.
// Sums must be equal, not close: a float drifts, and micro-dollars would make 1 ms at 0.04 USD/h zero.

import type { Quantity } from "./quantity.ts";
import type { DurationUs } from "./time.ts";

declare const nano: unique symbol;
declare const perHour: unique symbol;

/** An amount in nano-dollars. May be negative only in an adjustment. */
export type NanoUsd = Quantity & { readonly [nano]: true };

/** A price in nano-dollars per hour, >= 0. */
export type HourlyRate = bigint & { readonly [perHour]: true };

export const NANOS_PER_USD = 1_000_000_000n;
/** Raw lease units (nano-dollar microseconds per hour) in one nano-dollar; MONEY §2 calls it D. */
export const US_PER_HOUR = 3_600_000_000n;

export const ZERO_USD = 0n as NanoUsd;

export function nanoUsd(nanos: bigint): NanoUsd {
  return nanos as NanoUsd;
}

/** Throws RangeError below zero: nobody is paid for running a container. */
export function hourlyRate(nanosPerHour: bigint): HourlyRate {
  if (nanosPerHour < 0n) throw new RangeError(`an hourly rate cannot be negative: ${nanosPerHour}`);
  return nanosPerHour as HourlyRate;
}

export function add(...amounts: readonly NanoUsd[]): NanoUsd {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return total as NanoUsd;
}

export function subtract(from: NanoUsd, amount: NanoUsd): NanoUsd {
  return (from - amount) as NanoUsd;
}

export function smaller(a: NanoUsd, b: NanoUsd): NanoUsd {
  return a < b ? a : b;
}

export function larger(a: NanoUsd, b: NanoUsd): NanoUsd {
  return a > b ? a : b;
}

/** What `elapsed` costs at `rate`, rounded down: what may be posted. */
export function cost(rate: HourlyRate, elapsed: DurationUs): NanoUsd {
  return ((rate * BigInt(elapsed)) / US_PER_HOUR) as NanoUsd;
}

/** What `elapsed` costs at `rate`, rounded up: what must be held. */
export function costCeil(rate: HourlyRate, elapsed: DurationUs): NanoUsd {
  return ((rate * BigInt(elapsed) + US_PER_HOUR - 1n) / US_PER_HOUR) as NanoUsd;
}

/** `count` pieces at `each`. `count` is a whole number >= 0. */
export function times(each: NanoUsd, count: number): NanoUsd {
  return (each * BigInt(count)) as NanoUsd;
}

/** `count` tokens at a price per million, rounded up. */
export function perMillionCeil(price: NanoUsd, count: number): NanoUsd {
  return ((price * BigInt(count) + 999_999n) / 1_000_000n) as NanoUsd;
}

/** `count` tokens at a price per million, rounded down. */
export function perMillion(price: NanoUsd, count: number): NanoUsd {
  return ((price * BigInt(count)) / 1_000_000n) as NanoUsd;
}

const DECIMAL = /^(\d{1,9})(?:\.(\d{1,9}))?$/;

/** Reads "20", "0.001" or "1.006" exactly; undefined for anything else (signs, exponents, > 9 decimals). */
export function parseUsd(text: string): NanoUsd | undefined {
  const match = DECIMAL.exec(text);
  if (!match) return undefined;
  const [, whole = "0", fraction = ""] = match;
  return (BigInt(whole) * NANOS_PER_USD + BigInt(fraction.padEnd(9, "0"))) as NanoUsd;
}

/**
 * Reads a list price as providers write them, and rounds up what is finer than a nano-dollar: "1.0060000000",
 * "3.2E-7", "12". Undefined for anything else, signs included, and for more than 999999999.
 */
export function parseUsdCeil(text: string): NanoUsd | undefined {
  const match = LISTED.exec(text);
  if (!match) return undefined;
  const [, whole = "", fraction = "", exponent = "0"] = match;
  const digits = BigInt(whole + fraction);
  const shift = 9 + Number(exponent) - fraction.length;
  const under = 10n ** BigInt(Math.max(0, -shift));
  const nanos = (digits * 10n ** BigInt(Math.max(0, shift)) + under - 1n) / under;
  return nanos < NANOS_PER_USD * 1_000_000_000n ? (nanos as NanoUsd) : undefined;
}

const LISTED = /^(\d{1,12})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,2}))?$/;

/** The exact decimal, with at least two decimals: "20.00", "0.003353333", "-1.50". */
export function formatUsd(amount: NanoUsd | HourlyRate): string {
  const nanos: bigint = amount;
  const digits = (nanos < 0n ? -nanos : nanos).toString().padStart(10, "0");
  const fraction = digits.slice(-9).replace(/0{1,7}$/, "");
  return `${nanos < 0n ? "-" : ""}${digits.slice(0, -9)}.${fraction}`;
}
