// Recounts the life of every request: each hold was settled, released, or is open and runs; nothing was
// charged twice; its record says what its entries add up to; no entry lies in the future.

import type { DatabaseSync } from "node:sqlite";
import { big, type Checked, type Finding, goneNote, keptFrom, rowsOf } from "./verified.ts";

const COPY = "keep a copy of the data folder, and correct the money with `budgetguard ledger adjust`";
const RESTART = "a restart settles what nobody runs any more";

const HOLDS = `WITH lives AS (
    SELECT request, sum(kind = 'reserved') AS began, sum(kind = 'released') AS released,
      sum(kind IN ('settled', 'startup') AND (is_last OR price = 'allocation')) AS ended
    FROM entries WHERE request IS NOT NULL GROUP BY request
  ), open AS (
    SELECT json_extract(held, '$.request') AS request, count(*) AS open FROM reservations GROUP BY 1
  )
  SELECT request, coalesce(began, 0) AS began, coalesce(released, 0) AS released,
    coalesce(ended, 0) AS ended, coalesce(open, 0) AS open
  FROM lives FULL JOIN open USING (request)`;

/** Holds = running requests, and each hold ends once. */
export function verifyHolds(database: DatabaseSync): Checked {
  const rows = rowsOf(database, HOLDS);
  const findings: Finding[] = [];
  const add = (what: string, where: unknown, expected: bigint, found: bigint, cure: string) =>
    findings.push({ check: "holds", what, where: `request ${where}`, unit: "holds", expected, found, cure });
  for (const row of rows) {
    const [began, ended, open] = [big(row.began), big(row.ended), big(row.open)];
    const over = big(row.released) + ended;
    if (began > over + open)
      add("a hold that neither ended nor is open", row.request, began, over + open, RESTART);
    if (began < over + open) add("more holds ended than began", row.request, began, over + open, COPY);
    if (ended > 1n) add("it was charged more than once", row.request, 1n, ended, COPY);
  }
  const idle = rowsOf(
    database,
    `SELECT id, outcome FROM reservations LEFT JOIN decisions
       ON decisions.request = json_extract(held, '$.request')
     WHERE json_extract(held, '$.allocation') IS NULL
       AND (decisions.request IS NULL OR outcome IS NOT NULL)`,
  );
  for (const { id, outcome } of idle) {
    const what = outcome === null ? "a hold without a record" : `a hold of one that ended as ${outcome}`;
    add(what, id, 0n, 1n, RESTART);
  }
  const late = rowsOf(
    database,
    `SELECT id, json_extract(held, '$.owner.name') AS owner FROM reservations
     WHERE json_extract(held, '$.owner.epoch')
       <> (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch')`,
  );
  for (const { id, owner } of late) add(`a hold that outlived its owner, ${owner}`, id, 0n, 1n, RESTART);
  return { name: "holds", of: "requests", counted: rows.length, notes: [], findings };
}

/** The one that counts a request is beside the others: it may begin where the first slice did. */
export function verifyTwice(database: DatabaseSync): Checked {
  const rows = rowsOf(
    database,
    `SELECT request, kind, at, count(*) AS times FROM entries
     WHERE request IS NOT NULL AND kind IN ('settled', 'startup')
     GROUP BY request, kind, at, is_last HAVING times > 1`,
  );
  const counted = big(rowsOf(database, "SELECT count(*) AS n FROM entries")[0]?.n);
  const findings = rows.map(({ request, kind, at, times }) => ({
    check: "twice",
    what: `the ${kind} entry of one stretch of time stands more than once`,
    where: `request ${request} at ${new Date(Number(at) / 1000).toISOString()}`,
    unit: "entries",
    expected: 1n,
    found: big(times),
    cure: COPY,
  }));
  return { name: "twice", of: "entries", counted: Number(counted), notes: [], findings };
}

const RECORDS = `SELECT d.request, d.charged, d.elapsed, coalesce(e.amount, 0) AS amount,
    coalesce(e.time, 0) AS time
  FROM decisions AS d LEFT JOIN (
    SELECT request, sum(amount) AS amount, sum(iif(kind = 'settled', elapsed, 0)) AS time FROM entries
    WHERE kind IN ('settled', 'startup') AND request IS NOT NULL GROUP BY request
  ) AS e USING (request) WHERE d.ended_at IS NOT NULL AND (e.request IS NOT NULL OR d.at >= ?)`;
/** Records are kept for longer than entries are. */
const GONE = `SELECT count(*) AS n FROM decisions AS d WHERE d.ended_at IS NOT NULL AND d.charged > 0
  AND d.at < ? AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.request = d.request)`;

/** What `explain` shows of a request is what it was charged. */
export function verifyRecords(database: DatabaseSync): Checked {
  const from = keptFrom(database);
  const rows = rowsOf(database, RECORDS, from);
  const gone = Number(big(rowsOf(database, GONE, from)[0]?.n));
  const findings = rows.flatMap((row): readonly Finding[] => {
    const finding = (what: string, unit: string, expected: unknown, found: unknown): readonly Finding[] =>
      big(expected) === big(found)
        ? []
        : [
            {
              ...{ check: "records", what, where: `request ${row.request}`, unit },
              ...{ expected: big(expected), found: big(found) },
              cure: "budgets count the entries: only what `explain` shows of this request is wrong",
            },
          ];
    return [
      ...finding("its record's charge is not what its entries add up to", "usd", row.amount, row.charged),
      ...finding("its record's time is not what its entries add up to", "seconds", row.time, row.elapsed),
    ];
  });
  const notes = goneNote(gone, "requests", from);
  return { name: "records", of: "requests", counted: rows.length, notes, findings };
}

export function verifyTime(database: DatabaseSync): Checked {
  const [marks] = rowsOf(
    database,
    `SELECT (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'high_water') AS mark,
       (SELECT max(at) FROM entries) AS latest`,
  );
  const [mark, latest] = [big(marks?.mark), big(marks?.latest)];
  const finding: Finding = {
    check: "time",
    what: "entries are later than the last moment that the ledger knows of",
    where: "the high-water mark",
    unit: "seconds",
    expected: latest,
    found: mark,
    cure: "do not start a gateway on it: a period that is spent could be open again; restore a backup",
  };
  return { name: "time", of: "marks", counted: 1, notes: [], findings: latest > mark ? [finding] : [] };
}
