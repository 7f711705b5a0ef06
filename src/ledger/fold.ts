// Answers what a budget would have counted in its period, as far as the ledger still knows: from the sums of
// days where they have its keys (fold-rolled.ts), else from entries (fold-entries.ts).

import type { DatabaseSync } from "node:sqlite";
import { type Instant, instantUs, latest } from "../metering/time.ts";
import { entriesFrom } from "./dropping.ts";
import { type Folded, foldEntries } from "./fold-entries.ts";
import { foldRolled } from "./fold-rolled.ts";
import { type Gaps, NO_GAPS } from "./folding.ts";
import type { FoldQuestion } from "./store.ts";

export interface Fold {
  readonly folded: readonly Folded[];
  /** What it counts from. */
  readonly since: Instant;
  /** Entries of before then are gone, and no sum says all that it would have counted of them. */
  readonly gap: Instant | undefined;
}

export function fold(database: DatabaseSync, question: FoldQuestion): Fold {
  const from = entriesFrom(database);
  const { since } = question;
  const rolled = hasDays(database) ? foldRolled(database, question, from) : undefined;
  if (rolled !== undefined) return { folded: rolled.folded, since, gap: rolled.isWhole ? undefined : from };
  const later = latest(since, from);
  const folded = foldEntries(database, { ...question, since: later });
  return { folded, since: later, gap: later === since ? undefined : from };
}

/** A ledger that is only read may be one of an earlier version, which drops nothing. */
function hasDays(database: DatabaseSync): boolean {
  return database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'days'").get() !== undefined;
}

/** Of the grounds in force: what `gap` was when they were folded. */
export function gapsOf(database: DatabaseSync): Gaps {
  if (!hasDays(database)) return NO_GAPS;
  const rows = database.prepare("SELECT key, before FROM fold_gaps").all();
  return new Map(rows.map(({ key, before }) => [String(key), instantUs(Number(before))]));
}

/** Forgets what a ground had settled before it was given up; what open requests hold there stays. */
export function unsettle(database: DatabaseSync, { key }: FoldQuestion): void {
  const ofGround = [key, key.length + 1, `${key}=`];
  const where = "(account = ? OR substr(account, 1, ?) = ?)";
  database.prepare(`DELETE FROM balances WHERE held = 0 AND ${where}`).run(...ofGround);
  database.prepare(`UPDATE balances SET settled = 0 WHERE ${where}`).run(...ofGround);
}

/** Says since when it counts, for whoever recounts it (verify.ts) or explains it. */
export function noteFold(database: DatabaseSync, key: string, { since, gap }: Fold): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO folds SELECT ?,
         coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'high_water'), 0), ?,
         (SELECT coalesce(max(seq), 0) FROM entries)`,
    )
    .run(key, since);
  database.prepare("DELETE FROM fold_gaps WHERE key = ?").run(key);
  if (gap !== undefined) database.prepare("INSERT INTO fold_gaps VALUES (?, ?)").run(key, gap);
}
