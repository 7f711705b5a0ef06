// Recounts what can be recounted of adjustments: a reset takes off what was settled, so that all of them
// together never take off more than the entries of that balance and period ever added. Which of these were
// there at its moment no row says.

import type { DatabaseSync } from "node:sqlite";
import { COUNTED, coveredBy, valueSql } from "./covered.ts";
import { readGround } from "./ground-name.ts";
import { big, type Checked, type Finding, goneNote, keptFrom, rowsOf } from "./verified.ts";

const CURE = "keep a copy of the data folder; raise the budget back by hand, or wait for its period to turn";

export function verifyAdjustments(database: DatabaseSync): Checked {
  const notes: string[] = [];
  const findings: Finding[] = [];
  const from = keptFrom(database);
  let gone = 0;
  const rows = rowsOf(
    database,
    `SELECT budget, account, unit, value, start, end, count(*) AS adjustments, sum(amount) AS amount,
       max(amount) AS most, min(at) AS first, max(at) AS last FROM adjustments
     GROUP BY budget, account, unit, value, start, end ORDER BY min(seq)`,
  );
  for (const row of rows) {
    const [account, budget] = [String(row.account), String(row.budget)];
    const taken = -big(row.amount);
    const finding = (what: string, expected: bigint, found: bigint) => {
      const where = `budget ${budget}, ${account}`;
      findings.push({
        check: "adjustments",
        what,
        where,
        unit: String(row.unit),
        expected,
        found,
        cure: CURE,
      });
    };
    if (big(row.most) > 0n) finding("a reset adds to what is settled", 0n, big(row.most));
    if (big(row.first) < big(row.start) || big(row.last) >= big(row.end))
      finding("an adjustment lies outside its period", 0n, taken);
    if (big(row.start) < from) {
      gone += 1;
      continue;
    }
    const added = addedTo(database, account, row);
    if (added === undefined) notes.push(`${budget}, ${account}: not understood`);
    else if (taken > added) finding("resets take off more than was ever settled", added, taken);
  }
  notes.push(...goneNote(gone, "balances with resets", from));
  const counted = rows.reduce((sum, { adjustments }) => sum + Number(big(adjustments)), 0);
  return { name: "adjustments", of: "adjustments", counted, notes, findings };
}

/** All that entries of its period have added to it, corrections below 0 aside. */
function addedTo(database: DatabaseSync, account: string, row: Record<string, unknown>): bigint | undefined {
  const suffix = row.value === null ? "" : `=${row.value}`;
  if (!account.endsWith(suffix)) return undefined;
  const name = readGround(account.slice(0, account.length - suffix.length));
  const counted = name === undefined ? undefined : COUNTED[name.unit];
  if (name === undefined || counted === undefined || name.unit !== row.unit) return undefined;
  const covered = coveredBy(name);
  const [sum] = rowsOf(
    database,
    `SELECT coalesce(sum(max(${counted}, 0)), 0) AS added FROM entries
     WHERE ${covered.sql} AND ${valueSql(name.per)} = ? AND at >= ? AND at < ?`,
    ...[...covered.values, row.value === null ? "" : String(row.value), big(row.start), big(row.end)],
  );
  return big(sum?.added);
}
