// Recounts the sums by quarter-hour that pages and statements are made of, from the entries, as far back as
// all are there; and the sums by day, which budgets of long periods begin with, from those by quarter-hour.

import type { DatabaseSync } from "node:sqlite";
import { big, type Checked, type Finding, keptFrom, rowsOf } from "./verified.ts";

const QUARTER = 900_000_000;
const DAY = 86_400_000_000;

/** By dimension: the value of an entry. */
const VALUES: Readonly<Record<string, string>> = {
  total: "''",
  provider: "ifnull(provider, '')",
  model: "ifnull(model, '')",
  upstream: "ifnull(upstream, '')",
  user: "ifnull(user, '')",
  workflow: "ifnull(workflow, '')",
  project: "ifnull(project, '')",
  series: `json_array(ifnull(model, ''), ifnull(provider, ''), ifnull(upstream, ''), kind,
    ifnull(outcome, ''), CASE WHEN images > 0 THEN 1 ELSE 0 END)`,
};

/** Further values of a day than the writer tells apart are summed as "other". */
const NAMED_BY_CLIENTS: readonly string[] = ["user", "workflow", "project"];

const SUMS = [
  ...(["requests", "images", "elapsed", "amount", "input_tokens", "output_tokens"] as const),
  ...(["busy", "container_amount"] as const),
];
/** Of which no series is kept: it is of one kind of entries. */
const BY_KIND = `iif(kind = 'settled', elapsed, 0) AS busy,
  CASE WHEN request IS NOT NULL OR (kind = 'adjusted' AND machine IS NULL) THEN 0 ELSE amount END
    AS container_amount`;
const UNITS: Readonly<Record<(typeof SUMS)[number], string>> = {
  ...{ requests: "requests", images: "images", elapsed: "seconds" },
  ...{ amount: "usd", input_tokens: "tokens", output_tokens: "tokens" },
  ...{ busy: "seconds", container_amount: "usd" },
};

export function verifyRollups(database: DatabaseSync): Checked {
  const findings: Finding[] = [];
  let counted = 0;
  if (rowsOf(database, "PRAGMA table_list('days')").length === 0) {
    const notes = ["the ledger is of an earlier version: a start of the gateway brings it up to date"];
    return { name: "rollups", of: "sums", counted, notes, findings };
  }
  for (const [dimension, value] of Object.entries(VALUES)) {
    const rows = differences(database, dimension, value);
    counted += Number(rows.all);
    for (const row of rows.different) findings.push(...findingsOf(dimension, row, OF_QUARTERS));
    if (dimension === "series") continue;
    const days = daysOf(database, dimension);
    counted += days.length;
    for (const row of days.filter(isWrong)) findings.push(...findingsOf(dimension, row, OF_DAYS));
  }
  return { name: "rollups", of: "sums", counted, notes: [], findings };
}

const EXPECTED = SUMS.map((name) => `${name} AS e_${name}, 0 AS f_${name}`).join(", ");
const FOUND = SUMS.map((name) => `0, ${name}`).join(", ");

function differences(database: DatabaseSync, dimension: string, value: string) {
  const bucket = `at - at % ${QUARTER}`;
  // A name that has no sum of its own on that day is in "other".
  const told = NAMED_BY_CLIENTS.includes(dimension)
    ? `CASE WHEN EXISTS (SELECT 1 FROM rollups AS r WHERE r.dimension = '${dimension}' AND r.value = v.value
         AND r.bucket >= v.bucket - v.bucket % ${DAY} AND r.bucket < v.bucket - v.bucket % ${DAY} + ${DAY})
       THEN v.value ELSE 'other' END`
    : "v.value";
  // Of requests that reached no upstream there is a counter, and no entry.
  const isSeries = dimension === "series";
  const byKind = isSeries ? "0 AS busy, 0 AS container_amount" : BY_KIND;
  const counts = isSeries ? "AND json_extract(value, '$[3]') <> 'decided'" : "";
  const compared = SUMS.flatMap((name) => [`sum(e_${name}) AS e_${name}`, `sum(f_${name}) AS f_${name}`]);
  const sql = `WITH v AS (
      SELECT ${bucket} AS bucket, ${value} AS value, is_last AS requests, images, elapsed, amount,
        input_tokens, output_tokens, ${byKind}
      FROM entries WHERE kind NOT IN ('reserved', 'extended', 'released') AND at >= ?1
    ), n AS (
      SELECT bucket, value, ${SUMS.map((name) => `sum(${name}) AS ${name}`).join(", ")} FROM v GROUP BY 1, 2
    ), expected AS (SELECT bucket, ${told} AS value, ${SUMS.join(", ")} FROM n AS v)
    SELECT bucket, value, ${compared.join(", ")} FROM (
      SELECT bucket, value, ${EXPECTED} FROM expected
      UNION ALL
      SELECT bucket, value, ${FOUND} FROM rollups WHERE dimension = '${dimension}' AND bucket >= ?1 ${counts}
    ) GROUP BY bucket, value`;
  const rows = rowsOf(database, sql, keptFrom(database));
  return { all: rows.length, different: rows.filter(isWrong) };
}

/** Quarter-hours stay when entries go: of all days there ever were. */
function daysOf(database: DatabaseSync, dimension: string) {
  const compared = SUMS.flatMap((name) => [`sum(e_${name}) AS e_${name}`, `sum(f_${name}) AS f_${name}`]);
  return rowsOf(
    database,
    `SELECT bucket, value, ${compared.join(", ")} FROM (
       SELECT bucket - bucket % ${DAY} AS bucket, value, ${EXPECTED} FROM rollups WHERE dimension = ?1
       UNION ALL
       SELECT day, value, ${FOUND} FROM days WHERE dimension = ?1
     ) GROUP BY bucket, value`,
    dimension,
  );
}

function isWrong(row: Record<string, unknown>): boolean {
  return SUMS.some((name) => big(row[`e_${name}`]) !== big(row[`f_${name}`]));
}

interface Told {
  readonly what: string;
  readonly span: string;
  readonly cure: string;
}

const OF_QUARTERS: Told = {
  what: "is not what the entries add up to",
  span: "quarter-hour",
  cure: "usage, statements and counters show this; keep a copy and report it",
};
const OF_DAYS: Told = {
  what: "of a day is not what its quarter-hours add up to",
  span: "day",
  cure: "a budget that is made or changed would begin with this; keep a copy and report it",
};

function findingsOf(dimension: string, row: Record<string, unknown>, told: Told): readonly Finding[] {
  const at = new Date(Number(row.bucket) / 1000).toISOString().slice(0, 16);
  return SUMS.filter((name) => big(row[`e_${name}`]) !== big(row[`f_${name}`])).map((name) => ({
    check: "rollups",
    what: `the sum of ${name} by ${dimension} ${told.what}`,
    where: `${dimension === "total" ? "total" : `${dimension} ${row.value}`}, ${told.span} of ${at}Z`,
    unit: UNITS[name],
    expected: big(row[`e_${name}`]),
    found: big(row[`f_${name}`]),
    cure: told.cure,
  }));
}
