// What every budget is relieved of now: what its resets forgave, in the balance that it looks at and in the
// period of that. It knows no entries; what a change of the policy makes of it is asked of the ledger.

import type { Period } from "../metering/period.ts";
import { minus, NOTHING, type Quantity, sum } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import { claimKey } from "../policy/claims.ts";
import type { AccountKey } from "../policy/decision.ts";
import type { Ground } from "../policy/match.ts";
import type { Adjustment } from "./adjustments.ts";
import type { Forgiven } from "./store.ts";

interface Relief {
  readonly account: AccountKey;
  readonly end: Instant;
  readonly amount: Quantity;
  /** The newest reset: what was counted for an earlier moment by then is forgiven. */
  readonly at: Instant;
}

export class Reliefs {
  /** By budget, then by balance and period. */
  readonly #all = new Map<string, Map<string, Relief>>();

  of({ budget }: Ground, account: AccountKey, { start }: Period): Quantity {
    // Asked for every covering budget of every request: where nothing was adjusted no name is made.
    if (this.#all.size === 0) return NOTHING;
    return this.#all.get(budget.id)?.get(claimKey(account, start))?.amount ?? NOTHING;
  }

  add({ budget, account, period, amount, at }: Adjustment): void {
    const own = this.#of(budget);
    const key = claimKey(account, period.start);
    const before = own.get(key)?.amount ?? NOTHING;
    own.set(key, { account, end: period.end, amount: minus(before, amount), at });
  }

  /** `amount`, negative, of what was counted for `of`: as far as it was forgiven it is forgiven no more. */
  takeBack(account: AccountKey, start: Instant, of: Instant, amount: Quantity, only?: string): void {
    for (const [budget, own] of this.#all) {
      if (only !== undefined && only !== budget) continue;
      const key = claimKey(account, start);
      const relief = own.get(key);
      if (relief === undefined || of >= relief.at) continue;
      const left = sum(relief.amount, amount);
      own.set(key, { ...relief, amount: left > 0n ? left : NOTHING });
    }
  }

  /** For a ground of that budget, of which nothing else is known from now on. */
  replace(budget: string, ground: string, all: readonly Forgiven[]): void {
    const own = this.#of(budget);
    for (const [key, { account }] of own)
      if (account === ground || account.startsWith(`${ground}=`)) own.delete(key);
    for (const { account, start, ...relief } of all)
      own.set(claimKey(account, start), { account, ...relief });
    if (own.size === 0) this.#all.delete(budget);
  }

  /** No budget is relieved of more than is settled there. */
  cap(account: AccountKey, start: Instant, settled: Quantity): void {
    for (const own of this.#all.values()) {
      const key = claimKey(account, start);
      const relief = own.get(key);
      if (relief !== undefined && relief.amount > settled) own.set(key, { ...relief, amount: settled });
    }
  }

  forget(before: Instant): void {
    for (const [budget, own] of this.#all) {
      for (const [key, { end }] of own) if (end <= before) own.delete(key);
      if (own.size === 0) this.#all.delete(budget);
    }
  }

  #of(budget: string): Map<string, Relief> {
    const own = this.#all.get(budget) ?? new Map<string, Relief>();
    this.#all.set(budget, own);
    return own;
  }
}
