// What a recount found: how much it looked at, and each place where the ledger does not add up.

import type { DatabaseSync, SQLInputValue } from "node:sqlite";

export interface Finding {
  readonly check: string;
  /** A sentence's beginning: "settled is not what the entries add up to". */
  readonly what: string;
  /** The account, request, machine or bucket. */
  readonly where: string;
  readonly unit: string;
  /** Whole numbers of the unit: nano-dollars, microseconds or pieces. */
  readonly expected: bigint;
  readonly found: bigint;
  readonly cure: string;
}

export interface Checked {
  readonly name: string;
  /** What it is that was counted: "balances", "requests". */
  readonly of: string;
  readonly counted: number;
  /** What could not be compared, and why. */
  readonly notes: readonly string[];
  readonly findings: readonly Finding[];
}

export interface Verified {
  readonly ok: boolean;
  readonly checks: readonly Checked[];
}

/** What an open hold's request was posted already: tunnels are, by slice. */
export const POSTED = `(SELECT sum(amount) FROM entries WHERE kind IN ('settled', 'startup')
  AND request = json_extract(held, '$.request'))`;

/** Every whole number of a row as a bigint, the rest as it is. */
export function rowsOf(
  database: DatabaseSync,
  sql: string,
  ...values: readonly SQLInputValue[]
): readonly Record<string, unknown>[] {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement.all(...values);
}

export function big(value: unknown): bigint {
  return typeof value === "bigint" ? value : BigInt(Number(value ?? 0));
}
