// What containers cost by now and no entry says yet (MONEY §1): an account keeps the sum of their rates and
// since when, so a check costs a look at the account, however many containers there are. Entries that are
// posted later replace this sum exactly.
//
// Invariant: what is kept here lies in one quarter-hour, so in one period of every account.

import { US_PER_HOUR } from "../metering/money.ts";
import { NOTHING, type Quantity, quantityOf } from "../metering/quantity.ts";
import { between, type Instant } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";

/** Nano-dollars an hour, and what had gathered at `at`, raw. */
export interface Pace {
  readonly rate: bigint;
  readonly raw: bigint;
  readonly at: Instant;
}

interface Sum extends Pace {
  /** The period that it belongs to. */
  readonly start: Instant;
}

interface Account {
  readonly account: AccountKey;
  readonly start: Instant;
}

export class Accruing {
  readonly #sums = new Map<AccountKey, Sum>();
  readonly #paces = new Map<string, { readonly pace: Pace; readonly accounts: readonly Account[] }>();

  /** What the account's containers cost by `at` beyond its entries, rounded up. */
  on(account: AccountKey, start: Instant, at: Instant): Quantity {
    const sum = this.#sums.get(account);
    if (sum === undefined || sum.start !== start) return NOTHING;
    return quantityOf((rawAt(sum, at) + US_PER_HOUR - 1n) / US_PER_HOUR);
  }

  /** Replaces what this container adds to its accounts. */
  set(container: string, pace: Pace, accounts: readonly Account[]): void {
    this.drop(container, pace.at);
    this.#paces.set(container, { pace, accounts });
    for (const { account, start } of accounts) this.#add(account, start, pace, 1n);
  }

  drop(container: string, at: Instant): void {
    const known = this.#paces.get(container);
    if (known === undefined) return;
    this.#paces.delete(container);
    const pace = { ...known.pace, raw: rawAt(known.pace, at), at };
    for (const { account, start } of known.accounts) this.#add(account, start, pace, -1n);
  }

  #add(account: AccountKey, start: Instant, pace: Pace, sign: bigint): void {
    const before = this.#sums.get(account);
    // Another container turned the period first: what this one added to the last one went with that.
    if (sign < 0n && before !== undefined && before.start !== start) return;
    const known = before?.start === start ? before : { start, rate: 0n, raw: 0n, at: pace.at };
    const rate = known.rate + sign * pace.rate;
    const raw = rawAt(known, pace.at) + sign * pace.raw;
    if (rate === 0n && raw === 0n) this.#sums.delete(account);
    else this.#sums.set(account, { start, rate, raw, at: pace.at });
  }
}

function rawAt({ rate, raw, at }: Pace, now: Instant): bigint {
  return now > at ? raw + rate * BigInt(between(at, now)) : raw;
}
