// What adjustments have taken off a budget's balance (MONEY §4). A balance is what was counted and is shared
// by all budgets that count the same; an adjustment belongs to one budget's id, so it is no part of the
// balance: it is laid beside it wherever that budget judges or is shown.

import type { Balance } from "../metering/balance.ts";
import type { Period } from "../metering/period.ts";
import { minus, NOTHING, type Quantity } from "../metering/quantity.ts";
import type { AccountKey } from "./decision.ts";
import type { Ground } from "./match.ts";

/** 0 where nothing was adjusted. */
export type ReliefOf = (on: Ground, account: AccountKey, period: Period) => Quantity;

export const NO_RELIEF: ReliefOf = () => NOTHING;

/** The balance as that budget sees it. */
export function relieved(balance: Balance, relief: Quantity): Balance {
  if (relief === NOTHING) return balance;
  return { settled: minus(balance.settled, relief), held: balance.held };
}

/** Of `per`; undefined where the budget has one balance. */
export function perValueOf({ key, per }: Ground, account: AccountKey): string | undefined {
  return per === undefined ? undefined : account.slice(key.length + 1);
}
