// What the balance of a session or a task may say: the sum of its entries, or of those since any silence
// after which it may have been forgotten (silent.ts). When that was, no entry says.

import type { DatabaseSync } from "node:sqlite";
import { DAY } from "../metering/time.ts";
import { COUNTED, coveredBy, valueSql } from "./covered.ts";
import type { GroundName } from "./ground-name.ts";
import { SILENT_FOR } from "./silent.ts";
import { big, rowsOf } from "./verified.ts";

/** An entry is dated by what it counts, which may be the day before it was written. */
const LEAST_GAP = BigInt(SILENT_FOR - DAY);

interface Ground {
  readonly name: GroundName;
  readonly since: bigint;
  readonly seq: bigint;
}

/** By value of `per`: what its balance may be. 0 stands for one that is forgotten by now. */
export function possibleSums(
  database: DatabaseSync,
  { name, since, seq }: Ground,
): ReadonlyMap<string, readonly bigint[]> {
  const covered = coveredBy(name);
  const sql = `SELECT ${valueSql(name.per)} AS value, at, ${COUNTED[name.unit]} AS counted FROM entries
    WHERE (at >= ? OR seq > ?) AND ${covered.sql} ORDER BY at`;
  const known = new Map<string, { last: bigint; sums: bigint[] }>();
  for (const row of rowsOf(database, sql, since, seq, ...covered.values)) {
    const [value, at, counted] = [String(row.value), big(row.at), big(row.counted)];
    const one = known.get(value) ?? { last: at, sums: [0n] };
    if (at - one.last >= LEAST_GAP) one.sums.push(0n);
    known.set(value, { last: at, sums: one.sums.map((sum) => sum + counted) });
  }
  const before = forgottenBefore(database);
  return new Map([...known].map(([value, { last, sums }]) => [value, last < before ? [...sums, 0n] : sums]));
}

/** The last balances to be forgotten were silent since then; 0 where none ever were. */
function forgottenBefore(database: DatabaseSync): bigint {
  const sql = "SELECT CAST(value AS INTEGER) AS before FROM meta WHERE key = 'forgotten_before'";
  const [row] = rowsOf(database, sql);
  return row === undefined ? 0n : big(row.before);
}
