// What a budget would have counted, from the sums of whole days: of those of a single scope, or of all. Where
// its period begins inside a UTC day, from quarter-hours; and from entries where sums do not tell values
// apart. It comes to the same as the sum over entries (fold-entries.ts), which may be gone.

import type { DatabaseSync } from "node:sqlite";
import type { Unit } from "../metering/quantity.ts";
import { DAY, type DurationUs, type Instant, QUARTER_HOUR } from "../metering/time.ts";
import { isNamedByClients, type RolledScope, rolledBy } from "../policy/rolled-up.ts";
import { coverageOf, type Folded, foldedRow, isOfRequests } from "./fold-entries.ts";
import type { FoldQuestion } from "./store.ts";

/** Of the sums' columns. */
const SUMMED = {
  usd: "amount",
  requests: "requests",
  images: "images",
  seconds: "busy",
  tokens: "input_tokens + output_tokens",
} as const satisfies Record<Unit, string>;

export interface RolledFold {
  readonly folded: readonly Folded[];
  /** Whether it misses something of what entries said that are gone. */
  readonly isWhole: boolean;
}

/** Undefined where no sum has these keys. `from`: entries from then on are all there. */
export function foldRolled(
  database: DatabaseSync,
  question: FoldQuestion,
  from: Instant,
): RolledFold | undefined {
  const { when, per, since, start } = question;
  // Of a session or a task only the last day is looked at.
  const dimension =
    since === start
      ? rolledBy(
          when.map(([scope]) => scope),
          per,
        )
      : undefined;
  // In the sums nobody's money has no name, which is no name that a budget can mean.
  if (dimension === undefined || when.some(([, values]) => values.includes(""))) return undefined;
  const capped = isNamedByClients(dimension) ? cappedDays(database, dimension, since) : [];
  const counted = capped.filter((day) => day >= from);
  const edge = ceil(since, QUARTER_HOUR);
  const spans = counted.map((day) => [Math.max(day, since), day + DAY]);
  const isEdgeCounted = counted.some((day) => day < since);
  if (edge > since && !isEdgeCounted) spans.push([since, edge]);
  const isWhole = counted.length === capped.length && (edge === since || since >= from);
  const rows = sumRows(database, question, { dimension, counted, spans, edge });
  return { folded: rows.map((row) => foldedRow(question, row)), isWhole };
}

interface Pieces {
  readonly dimension: RolledScope | "total";
  /** Days that entries are read of. */
  readonly counted: readonly number[];
  /** [from, to): entries are read there. */
  readonly spans: readonly (readonly number[])[];
  /** The first quarter-hour that is whole. */
  readonly edge: Instant;
}

function sumRows(database: DatabaseSync, question: FoldQuestion, pieces: Pieces) {
  const { unit, per, when } = question;
  const { dimension, counted, spans, edge } = pieces;
  const covered = coverageOf(question);
  const money = isOfRequests(question) ? "amount - container_amount" : "amount";
  const sum = unit === "usd" ? money : SUMMED[unit];
  const value = per === undefined ? "''" : "iif(value = '', 'unknown', value)";
  const allowed = when.length === 0 ? "1" : "value IN (SELECT value FROM json_each(?))";
  // "other" is nobody's name: such days are counted from entries, or are those that are gone.
  const own = `dimension = ? AND ${allowed} AND (value <> 'other' OR ${isNamedByClients(dimension) ? 0 : 1})`;
  const values = [dimension, ...when.map(([, names]) => JSON.stringify(names))];
  const days = JSON.stringify(counted);
  const statement = database.prepare(
    `SELECT value, sum(counted) AS settled, 0 AS own FROM (
       SELECT ${value} AS value, ${sum} AS counted FROM rollups
         WHERE ${own} AND bucket >= ? AND bucket < ?
         AND bucket - bucket % ${DAY} NOT IN (SELECT value FROM json_each(?))
       UNION ALL SELECT ${value}, ${sum} FROM days
         WHERE ${own} AND day >= ? AND day NOT IN (SELECT value FROM json_each(?))
       UNION ALL SELECT ${covered.value}, ${covered.counted} FROM json_each(?) AS span CROSS JOIN entries
         WHERE at >= span.value ->> 0 AND at < span.value ->> 1 AND ${covered.where}
     ) GROUP BY 1 HAVING settled <> 0`,
  );
  statement.setReadBigInts(true);
  const firstDay = ceil(edge, DAY);
  return statement.all(
    ...[...values, edge, firstDay, days],
    ...[...values, firstDay, days],
    ...[JSON.stringify(spans), ...covered.values],
  );
}

/** Days on which more values were named than are told apart. */
function cappedDays(database: DatabaseSync, dimension: string, since: Instant): readonly number[] {
  return database
    .prepare("SELECT day FROM days WHERE dimension = ? AND value = 'other' AND day > ?")
    .all(dimension, since - DAY)
    .map(({ day }) => Number(day));
}

function ceil(at: Instant, to: DurationUs): Instant {
  return (Math.ceil(at / to) * to) as Instant;
}
