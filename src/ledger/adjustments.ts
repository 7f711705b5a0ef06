// Adjustments: entries that belong to one budget and correct what it has counted, with who made them and why.
// None is ever edited; what a budget is relieved of by them, reliefs.ts and forgiven.ts say.

import type { DatabaseSync } from "node:sqlite";
import type { Period } from "../metering/period.ts";
import { type Quantity, quantityOf, type Unit } from "../metering/quantity.ts";
import { type Instant, instantUs } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";

export interface Adjustment {
  readonly at: Instant;
  readonly kind: "reset";
  readonly budget: string;
  readonly unit: Unit;
  /** Of `per`. */
  readonly value: string | undefined;
  readonly account: AccountKey;
  readonly period: Period;
  /** What it adds to what the budget has settled: of a reset never more than 0. */
  readonly amount: Quantity;
  readonly by: string;
  readonly reason: string;
}

/** With the last entry that it has seen: only what is there can be forgiven. */
export function writeAdjustment(database: DatabaseSync, one: Adjustment): void {
  const { lastInsertRowid } = database
    .prepare(
      `INSERT INTO adjustments (at, kind, budget, unit, value, account, start, end, amount, author, reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      ...[one.at, one.kind, one.budget, one.unit, one.value ?? null, one.account],
      ...[one.period.start, one.period.end, one.amount, one.by, one.reason],
    );
  database
    .prepare("INSERT INTO adjustment_marks SELECT ?, coalesce(max(seq), 0) FROM entries")
    .run(lastInsertRowid);
}

/** Of one budget, since `from`, newest first. */
export function adjustmentsOf(database: DatabaseSync, budget: string, from: Instant): readonly Adjustment[] {
  const sql = `SELECT * FROM adjustments WHERE budget = ? AND at >= ? ORDER BY seq DESC LIMIT ${MOST_SHOWN}`;
  return read(database, sql, budget, from);
}

const MOST_SHOWN = 20;

/** Oldest first. A ledger that no newer version has opened yet has none. */
export function* allAdjustments(database: DatabaseSync): Generator<Adjustment, undefined> {
  const table = "SELECT 1 FROM sqlite_master WHERE name = 'adjustments'";
  if (database.prepare(table).get() === undefined) return;
  const statement = database.prepare("SELECT * FROM adjustments ORDER BY seq");
  statement.setReadBigInts(true);
  for (const row of statement.iterate()) yield adjustmentOf(row);
}

function read(database: DatabaseSync, sql: string, ...values: (string | number)[]): readonly Adjustment[] {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement.all(...values).map(adjustmentOf);
}

function adjustmentOf(row: Record<string, unknown>): Adjustment {
  return {
    at: instantUs(Number(row.at)),
    kind: "reset",
    budget: String(row.budget),
    unit: String(row.unit) as Unit,
    value: row.value === null ? undefined : String(row.value),
    account: String(row.account),
    period: { start: instantUs(Number(row.start)), end: instantUs(Number(row.end)) },
    amount: quantityOf(row.amount as bigint),
    by: String(row.author),
    reason: String(row.reason),
  };
}
