// What a budget has taken: the fold of its entries and open holds. A balance knows no limit.

import { add, type NanoUsd, subtract, ZERO_USD } from "./money.ts";

export interface Balance {
  readonly settled: NanoUsd;
  readonly held: NanoUsd;
}

export const EMPTY_BALANCE: Balance = { settled: ZERO_USD, held: ZERO_USD };

/** One step in the life of a balance. Amounts of `hold` and `unhold` are >= 0. */
export type Movement =
  | { readonly kind: "hold"; readonly amount: NanoUsd }
  | { readonly kind: "unhold"; readonly amount: NanoUsd }
  | { readonly kind: "settle"; readonly amount: NanoUsd };

export function move(balance: Balance, movement: Movement): Balance {
  switch (movement.kind) {
    case "hold":
      return { settled: balance.settled, held: add(balance.held, movement.amount) };
    case "unhold":
      return { settled: balance.settled, held: subtract(balance.held, movement.amount) };
    case "settle":
      return { settled: add(balance.settled, movement.amount), held: balance.held };
  }
}

export function fold(movements: Iterable<Movement>): Balance {
  let balance = EMPTY_BALANCE;
  for (const movement of movements) balance = move(balance, movement);
  return balance;
}

/** Limit - settled - held; negative once an unrefusable cause went past the limit (MONEY §1). */
export function available(limit: NanoUsd, balance: Balance): NanoUsd {
  return subtract(subtract(limit, balance.settled), balance.held);
}

/** Whether `need` still fits. A need of 0 always does: it never breaches a limit (MONEY §1). */
export function fits(limit: NanoUsd, balance: Balance, need: NanoUsd): boolean {
  return need === 0n || need <= available(limit, balance);
}
