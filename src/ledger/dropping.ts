// Drops entries that are too old to be asked for, a few at a time, and keeps from when on they are all there.
// Sums, balances and the records of requests stay. When that is, is retention.ts's; that balances are right
// afterwards, fold.ts's.
//
// Invariant: all entries of a request go in one transaction, and none of one that is open: what is left adds
// up for whoever recounts it (verify.ts).

import type { DatabaseSync } from "node:sqlite";
import { type Instant, instantUs } from "../metering/time.ts";

/** Some milliseconds of the writer's time. */
export const MOST_DROPPED = 500;

/** Entries of before that moment may be gone; 0 where none ever were. */
export function entriesFrom(database: DatabaseSync): Instant {
  return instantUs(
    Number(database.prepare("SELECT value FROM meta WHERE key = 'entries_from'").get()?.value ?? 0),
  );
}

/** How many it found: fewer than MOST_DROPPED when no more are left. Inside a transaction of the caller. */
export function dropEntries(database: DatabaseSync, before: Instant): number {
  const found = database.prepare(DROPPABLE).all(before, before);
  if (found.length === 0) return 0;
  const [one, whole] = [
    database.prepare("DELETE FROM entries WHERE seq = ?"),
    database.prepare("DELETE FROM entries WHERE request = ?"),
  ];
  for (const { seq, request } of found) {
    if (request === null) one.run(seq ?? null);
    else whole.run(request ?? null);
  }
  database
    .prepare(
      `INSERT INTO meta VALUES ('entries_from', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
         WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)`,
    )
    .run(String(before));
  return found.length;
}

/** The newest row of all stays, for the next one is numbered after it; so does the whole of its request. */
const DROPPABLE = `WITH newest AS MATERIALIZED (SELECT seq, request FROM entries ORDER BY seq DESC LIMIT 1),
  open AS MATERIALIZED (SELECT json_extract(held, '$.request') AS request FROM reservations)
  SELECT seq, request FROM entries
  WHERE at < ? AND seq <> (SELECT seq FROM newest) AND (request IS NULL OR (
    request IS NOT (SELECT request FROM newest) AND request NOT IN (SELECT request FROM open)
    AND NOT EXISTS (SELECT 1 FROM entries AS later WHERE later.request = entries.request AND later.at >= ?)))
  ORDER BY at LIMIT ${MOST_DROPPED}`;
