// What unused containers would have cost more at their machines' full price (MONEY §2: `idle_discount`, never
// hidden), out of the entries that posted them. Exact but for remainders of less than a nano-dollar a
// request. Time that was taken back counts at the price that its entry names; free time leaves no entry.

import { type HourlyRate, hourlyRate, parseUsd, US_PER_HOUR, ZERO_USD } from "../metering/money.ts";

/** Entries of container money, of one kind and price together. */
export interface IdlePosted {
  readonly kind: string;
  /** As entries say it: "3.60/h", or "1.80/h of 3.60/h" where idle time has a price of its own. */
  readonly price: string;
  /** Microseconds. */
  readonly elapsed: bigint;
  /** Nano-dollars. */
  readonly amount: bigint;
}

/** As an entry of idle time says it. */
export function idlePriceText(idle: string, full: string): string {
  return idle === full ? `${full}/h` : `${idle}/h of ${full}/h`;
}

/** In nano-dollars, rounded down; below 0 where idle is dearer than the machine. */
export function idleDiscount(posted: readonly IdlePosted[]): bigint {
  const raw = posted.reduce((sum, one) => sum + rawDiscount(one), 0n);
  const whole = raw / US_PER_HOUR;
  return raw < 0n && whole * US_PER_HOUR !== raw ? whole - 1n : whole;
}

function rawDiscount({ kind, price, elapsed, amount }: IdlePosted): bigint {
  const [, first = "", full] = /^(\S+)\/h(?: of (\S+)\/h)?$/.exec(price) ?? [];
  const [own, most] = [rateOf(first), rateOf(full ?? first)];
  switch (kind) {
    case "gap":
      return most * elapsed - amount * US_PER_HOUR;
    case "idle":
      return full === undefined ? 0n : most * elapsed - amount * US_PER_HOUR;
    case "adjusted":
      return full === undefined || own === 0n ? 0n : (amount * (most - own) * US_PER_HOUR) / own;
    default:
      return 0n;
  }
}

function rateOf(text: string): HourlyRate {
  return hourlyRate(parseUsd(text) ?? ZERO_USD);
}
