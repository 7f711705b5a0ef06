// Forgets the balances of sessions and named tasks, whose periods never end, once nothing was counted there
// for long. Clients choose these names: whoever takes a new one begins at nothing too, so that no limit is
// weaker for it, and neither memory nor disk keeps every name that was ever sent.

import type { DatabaseSync } from "node:sqlite";
import { type Quantity, quantityOf } from "../metering/quantity.ts";
import { DAY, type DurationUs, FOREVER, type Instant } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";

/** Longer than any month: a task that somebody comes back to after a holiday goes on where it was. */
export const SILENT_FOR = (35 * DAY) as DurationUs;

/** Balances that are looked at in one transaction: some milliseconds of the writer's time. */
export const MOST_LOOKED_AT = 500;

export interface Silence {
  /** Nothing was counted there since. */
  readonly before: Instant;
  /** Balances behind this one are looked at; undefined: from the first on. */
  readonly after: AccountKey | undefined;
}

/** One that is forgotten, and what it had settled on disk. */
export interface Lapsed {
  readonly account: AccountKey;
  readonly settled: Quantity;
}

export interface Forgotten {
  readonly accounts: readonly Lapsed[];
  /** Where to go on; undefined when all were looked at. */
  readonly next: AccountKey | undefined;
}

/** What is held there, or was ever reset by somebody, stays. Inside a transaction of the caller. */
export function forgetSilent(database: DatabaseSync, { before, after }: Silence): Forgotten {
  const rows = database.prepare(LASTING).all(FOREVER, after ?? "");
  const forget = database.prepare(FORGET);
  forget.setReadBigInts(true);
  const accounts = rows.flatMap((row): Lapsed[] => {
    const account = String(row.account);
    const gone = isPassing(account) ? forget.get(account, FOREVER, before, account) : undefined;
    return gone === undefined ? [] : [{ account, settled: quantityOf(gone.settled as bigint) }];
  });
  if (accounts.length > 0) database.prepare(NOTE).run(String(before));
  const last = rows.length < MOST_LOOKED_AT ? undefined : rows.at(-1)?.account;
  return { accounts, next: last === undefined ? undefined : String(last) };
}

/** Whether that balance is one of a session or a task, by what its name says. */
export function isPassing(account: string): boolean {
  const period = PERIOD.exec(account)?.[1];
  return period === "per_session" || period === "per_task";
}

const PERIOD = /^[a-z]+\|([a-z_]+)\//;

const LASTING = `SELECT account FROM balances WHERE end = ? AND account > ?
  ORDER BY account LIMIT ${MOST_LOOKED_AT}`;

const FORGET = `DELETE FROM balances WHERE account = ? AND end = ? AND held = 0 AND moved < ?
  AND NOT EXISTS (SELECT 1 FROM adjustments WHERE account = ?) RETURNING settled`;

const NOTE = `INSERT INTO meta VALUES ('forgotten_before', ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value
  WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)`;
