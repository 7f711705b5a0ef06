// What a budget can limit, and an amount of it: an integer of one unit. Money is one unit of five; sums of
// one unit are equal, not close, and two units never meet in one balance.

declare const quantity: unique symbol;

export const UNITS = ["usd", "requests", "images", "seconds", "tokens"] as const;
export type Unit = (typeof UNITS)[number];

/** Nano-dollars of `usd`, microseconds of `seconds`, whole numbers of the others. */
export type Quantity = bigint & { readonly [quantity]: true };

export const NOTHING = 0n as Quantity;

export function quantityOf(amount: bigint | number): Quantity {
  return BigInt(amount) as Quantity;
}

/** Of one unit. */
export function sum(...amounts: readonly Quantity[]): Quantity {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return total as Quantity;
}

export function minus(from: Quantity, amount: Quantity): Quantity {
  return (from - amount) as Quantity;
}
