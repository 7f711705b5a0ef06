// Recounts every balance: what is settled from the entries, what is held from the open holds. By SQL of its
// own, that shares nothing with what moves the balances (accounts.ts, fold.ts) but the names of columns.

import type { DatabaseSync } from "node:sqlite";
import { COUNTED, coveredBy, valueSql } from "./covered.ts";
import { type GroundName, readGround } from "./ground-name.ts";
import { isPassing } from "./silent.ts";
import { big, type Checked, type Finding, goneNote, keptFrom, rowsOf } from "./verified.ts";
import { possibleSums } from "./verify-silent.ts";

const CURE =
  "keep a copy of the data folder; change the budget's `when` and back: it is counted anew from the entries";

export function verifySettled(database: DatabaseSync): Checked {
  const notes: string[] = [];
  const findings: Finding[] = [];
  let counted = 0;
  let gone = 0;
  const from = keptFrom(database);
  const folds = new Map(rowsOf(database, "SELECT * FROM folds").map((row) => [String(row.key), row]));
  for (const { key } of rowsOf(database, "SELECT key FROM grounds ORDER BY key")) {
    const name = readGround(String(key));
    const fold = folds.get(String(key));
    if (name === undefined || COUNTED[name.unit] === undefined) notes.push(`${key}: not understood`);
    else if (fold === undefined) notes.push(`${key}: begun by an earlier version, from an unknown moment on`);
    else {
      const found = verifyGround(database, {
        key: String(key),
        name,
        since: big(fold.since),
        seq: big(fold.seq),
        from,
      });
      gone += found.gone;
      counted += found.counted;
      findings.push(...found.findings);
    }
  }
  notes.push(...goneNote(gone, "balances", from));
  return { name: "settled", of: "balances", counted, notes, findings };
}

interface Ground {
  readonly key: string;
  readonly name: GroundName;
  /** It counts entries of from here on, and all that were written after `seq`. */
  readonly since: bigint;
  readonly seq: bigint;
  /** Entries of before then may be gone. */
  readonly from: bigint;
}

function verifyGround(database: DatabaseSync, ground: Ground) {
  const { key, name, from } = ground;
  let gone = 0;
  const prefix = `${key}=`;
  const rows = rowsOf(
    database,
    "SELECT account, start, end, settled FROM balances WHERE account = ? OR substr(account, 1, ?) = ?",
    ...[key, prefix.length, prefix],
  );
  const found: Finding[] = [];
  const finding = (what: string, where: string, expected: bigint, settled: bigint) =>
    found.push({ check: "settled", what, where, unit: name.unit, expected, found: settled, cure: CURE });
  const rest = recount(database, ground);
  const mayBe = isPassing(key) ? possibleSums(database, ground) : undefined;
  const periods = Map.groupBy(rows, ({ start, end }) => `${start} ${end}`);
  for (const all of periods.values()) {
    const [start, end] = [big(all[0]?.start), big(all[0]?.end)];
    const sums = recount(database, ground, [start, end]);
    for (const { account, settled } of all) {
      const value = String(account).slice(prefix.length);
      const expected = sums.get(value)?.sum ?? 0n;
      const where = `${account} from ${when(start)}`;
      if (start < from) gone += 1;
      else if (expected !== big(settled) && mayBe?.get(value)?.includes(big(settled)) !== true)
        finding("settled is not what the entries add up to", where, expected, big(settled));
      const left = rest.get(value);
      if (left !== undefined) left.sum -= expected;
    }
  }
  for (const [value, { sum, isOwn }] of rest) {
    // A request without a task has a balance of its own for as long as it runs, which is never written.
    if (sum === 0n || isOwn || mayBe?.get(value)?.includes(0n) === true) continue;
    const account = name.per === undefined ? key : `${prefix}${value}`;
    finding("entries that no balance counts, or that two count", account, sum, 0n);
  }
  return { counted: rows.length - gone, gone, findings: found };
}

/** By value of `per`; "" where it is not split. */
function recount(
  database: DatabaseSync,
  { name, since, seq }: Ground,
  [start, end]: readonly [bigint, bigint] = [0n, BigInt(Number.MAX_SAFE_INTEGER)],
): Map<string, { sum: bigint; readonly isOwn: boolean }> {
  const covered = coveredBy(name);
  const sql = `SELECT ${valueSql(name.per)} AS value, sum(${COUNTED[name.unit]}) AS sum,
    min(coalesce(task = request, 0)) AS own FROM entries
    WHERE at >= ? AND at < ? AND (at >= ? OR seq > ?) AND ${covered.sql} GROUP BY 1`;
  const values = [start, end, since, seq, ...covered.values];
  const isByTask = name.per === "task";
  return new Map(
    rowsOf(database, sql, ...values).map((row) => [
      String(row.value),
      { sum: big(row.sum), isOwn: isByTask && row.own === 1n },
    ]),
  );
}

/** The open holds are JSON; SQLite reads it here, the ledger's own reader does elsewhere. */
const HELD = `WITH claims AS (
    SELECT json_extract(claim.value, '$.account') AS account, json_extract(claim.value, '$.start') AS start,
      CAST(json_extract(claim.value, '$.amount') AS INTEGER) AS amount,
      '|task=' || json_extract(held, '$.request') AS own,
      json_extract(held, '$.facts.task') = json_extract(held, '$.request') AS taskless
    FROM reservations, json_each(held, '$.claims') AS claim
  ), holds AS (
    SELECT account, start, sum(amount) AS held FROM claims
    WHERE NOT (coalesce(taskless, 0) AND substr(account, -length(own)) = own) GROUP BY account, start
  )
  SELECT account, start, sum(expected) AS expected, sum(found) AS found FROM (
    SELECT account, start, held AS expected, 0 AS found FROM holds
    UNION ALL SELECT account, start, 0, held FROM balances
  ) GROUP BY account, start`;

export function verifyHeld(database: DatabaseSync): Checked {
  const rows = rowsOf(database, HELD);
  const findings = rows
    .map((row) => ({ ...row, expected: big(row.expected), found: big(row.found) }) as Row)
    .filter(({ expected, found }) => expected !== found)
    .map(({ account, start, expected, found }) => ({
      check: "held",
      what: "held is not what the open holds add up to",
      where: `${account} from ${when(big(start))}`,
      unit: account.slice(0, account.indexOf("|")),
      expected,
      found,
      cure: "a disk that failed can leave this until it works again; a restart settles and frees all holds",
    }));
  return { name: "held", of: "balances", counted: rows.length, notes: [], findings };
}

interface Row {
  readonly account: string;
  readonly start: bigint;
  readonly expected: bigint;
  readonly found: bigint;
}

/** "2026-11-22T00:00:00Z", "the beginning". */
function when(start: bigint): string {
  return start === 0n ? "the beginning" : new Date(Number(start / 1000n)).toISOString().replace(".000Z", "Z");
}
