// Adjustments: entries that belong to one budget and correct what it has counted, with who made them and why.
// None is ever edited; what a budget is relieved of is their sum in its period.

import type { DatabaseSync } from "node:sqlite";
import type { Period } from "../metering/period.ts";
import { minus, NOTHING, type Quantity, quantityOf, type Unit } from "../metering/quantity.ts";
import { type Instant, instantUs } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";
import type { Ground } from "../policy/match.ts";
import { perValueOf, reliefKey } from "../policy/relief.ts";

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

/** What every budget is relieved of now, by budget, unit, value and period. */
export class Reliefs {
  readonly #sums = new Map<string, { readonly end: Instant; readonly amount: Quantity }>();

  of(on: Ground, account: AccountKey, period: Period): Quantity {
    // Asked for every covering budget of every request: where nothing was adjusted no name is made.
    if (this.#sums.size === 0) return NOTHING;
    const key = reliefKey(on.budget.id, on.unit, perValueOf(on, account), period);
    return this.#sums.get(key)?.amount ?? NOTHING;
  }

  add({ budget, unit, value, period, amount }: Adjustment): void {
    const key = reliefKey(budget, unit, value, period);
    const before = this.#sums.get(key)?.amount ?? NOTHING;
    this.#sums.set(key, { end: period.end, amount: minus(before, amount) });
  }

  forget(before: Instant): void {
    for (const [key, { end }] of this.#sums) if (end <= before) this.#sums.delete(key);
  }
}

export function writeAdjustment(database: DatabaseSync, one: Adjustment): void {
  database
    .prepare(
      `INSERT INTO adjustments (at, kind, budget, unit, value, account, start, end, amount, author, reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      ...[one.at, one.kind, one.budget, one.unit, one.value ?? null, one.account],
      ...[one.period.start, one.period.end, one.amount, one.by, one.reason],
    );
}

/** Of periods that end later, oldest first. */
export function openAdjustments(database: DatabaseSync, from: Instant): readonly Adjustment[] {
  return read(database, "SELECT * FROM adjustments WHERE end > ? ORDER BY seq", from);
}

/** Of one budget in periods that are open at `from`, newest first. */
export function adjustmentsOf(database: DatabaseSync, budget: string, from: Instant): readonly Adjustment[] {
  const sql = `SELECT * FROM adjustments WHERE budget = ? AND end > ? ORDER BY seq DESC LIMIT ${MOST_SHOWN}`;
  return read(database, sql, budget, from);
}

const MOST_SHOWN = 20;

function read(database: DatabaseSync, sql: string, ...values: (string | number)[]): readonly Adjustment[] {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement.all(...values).map((row) => ({
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
  }));
}
