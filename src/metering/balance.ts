// What a budget has taken of its unit: the fold of its entries and open holds. A balance knows no limit.

import { minus, NOTHING, type Quantity, sum } from "./quantity.ts";

export interface Balance {
  readonly settled: Quantity;
  readonly held: Quantity;
}

export const EMPTY_BALANCE: Balance = { settled: NOTHING, held: NOTHING };

/** One step in the life of a balance. Amounts of `hold` and `unhold` are >= 0. */
export type Movement =
  | { readonly kind: "hold"; readonly amount: Quantity }
  | { readonly kind: "unhold"; readonly amount: Quantity }
  | { readonly kind: "settle"; readonly amount: Quantity };

export function move(balance: Balance, movement: Movement): Balance {
  switch (movement.kind) {
    case "hold":
      return { settled: balance.settled, held: sum(balance.held, movement.amount) };
    case "unhold":
      return { settled: balance.settled, held: minus(balance.held, movement.amount) };
    case "settle":
      return { settled: sum(balance.settled, movement.amount), held: balance.held };
  }
}

export function fold(movements: Iterable<Movement>): Balance {
  let balance = EMPTY_BALANCE;
  for (const movement of movements) balance = move(balance, movement);
  return balance;
}

/** Limit - settled - held; negative once an unrefusable cause went past the limit (MONEY §1). */
export function available(limit: Quantity, balance: Balance): Quantity {
  return minus(minus(limit, balance.settled), balance.held);
}

/** Whether `need` still fits. A need of 0 always does: it never breaches a limit (MONEY §1). */
export function fits(limit: Quantity, balance: Balance, need: Quantity): boolean {
  return need === 0n || need <= available(limit, balance);
}
