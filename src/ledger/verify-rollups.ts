// Recounts the sums by quarter-hour that pages and statements are made of, from the entries.

import type { DatabaseSync } from "node:sqlite";
import { big, type Checked, type Finding, rowsOf } from "./verified.ts";

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
  series: `json_array(ifnull(model, ''), ifnull(provider, ''), ifnull(upstream, ''), kind,
    ifnull(outcome, ''), CASE WHEN images > 0 THEN 1 ELSE 0 END)`,
};

/** Further values of a day than the writer tells apart are summed as "other". */
const NAMED_BY_CLIENTS: readonly string[] = ["user", "workflow"];

const SUMS = ["requests", "images", "elapsed", "amount", "input_tokens", "output_tokens"] as const;
const UNITS: Readonly<Record<(typeof SUMS)[number], string>> = {
  ...{ requests: "requests", images: "images", elapsed: "seconds" },
  ...{ amount: "usd", input_tokens: "tokens", output_tokens: "tokens" },
};

export function verifyRollups(database: DatabaseSync): Checked {
  const findings: Finding[] = [];
  let counted = 0;
  for (const [dimension, value] of Object.entries(VALUES)) {
    const rows = differences(database, dimension, value);
    counted += Number(rows.all);
    for (const row of rows.different) findings.push(...findingsOf(dimension, row));
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
  const counts = dimension === "series" ? "AND json_extract(value, '$[3]') <> 'decided'" : "";
  const compared = SUMS.flatMap((name) => [`sum(e_${name}) AS e_${name}`, `sum(f_${name}) AS f_${name}`]);
  const sql = `WITH v AS (
      SELECT ${bucket} AS bucket, ${value} AS value, is_last AS requests, images, elapsed, amount,
        input_tokens, output_tokens
      FROM entries WHERE kind NOT IN ('reserved', 'extended', 'released')
    ), n AS (
      SELECT bucket, value, ${SUMS.map((name) => `sum(${name}) AS ${name}`).join(", ")} FROM v GROUP BY 1, 2
    ), expected AS (SELECT bucket, ${told} AS value, ${SUMS.join(", ")} FROM n AS v)
    SELECT bucket, value, ${compared.join(", ")} FROM (
      SELECT bucket, value, ${EXPECTED} FROM expected
      UNION ALL
      SELECT bucket, value, ${FOUND} FROM rollups WHERE dimension = '${dimension}' ${counts}
    ) GROUP BY bucket, value`;
  const rows = rowsOf(database, sql);
  const isWrong = (row: Record<string, unknown>) =>
    SUMS.some((name) => big(row[`e_${name}`]) !== big(row[`f_${name}`]));
  return { all: rows.length, different: rows.filter(isWrong) };
}

function findingsOf(dimension: string, row: Record<string, unknown>): readonly Finding[] {
  const at = new Date(Number(row.bucket) / 1000).toISOString().slice(0, 16);
  return SUMS.filter((name) => big(row[`e_${name}`]) !== big(row[`f_${name}`])).map((name) => ({
    check: "rollups",
    what: `the sum of ${name} by ${dimension} is not what the entries add up to`,
    where: `${dimension === "total" ? "total" : `${dimension} ${row.value}`}, quarter-hour of ${at}Z`,
    unit: UNITS[name],
    expected: big(row[`e_${name}`]),
    found: big(row[`f_${name}`]),
    cure: "budgets do not depend on it: usage, statements and counters show this; keep a copy and report it",
  }));
}
