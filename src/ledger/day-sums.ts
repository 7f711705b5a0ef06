// Sums by UTC day, one a value of each scope that is rolled up: the table, and how it came to be in a ledger
// that had none, from entries that were all there then. What the columns mean is rollup.ts's.

import { DAY, QUARTER_HOUR } from "../metering/time.ts";
import { ROLLED_NAMES, ROLLED_PLACES } from "../policy/rolled-up.ts";

export const SUMMED = [
  ...["requests", "images", "elapsed", "amount", "input_tokens", "output_tokens"],
  ...["busy", "container_amount"],
] as const;

export const DAYS = `CREATE TABLE IF NOT EXISTS days (
  dimension TEXT NOT NULL,
  day INTEGER NOT NULL,
  value TEXT NOT NULL,
  ${SUMMED.map((name) => `${name} INTEGER NOT NULL,`).join(" ")}
  PRIMARY KEY (dimension, day, value)
) STRICT, WITHOUT ROWID;`;

/** Container money of an entry: no request's, and no correction that names no machine. */
const OF_CONTAINER = "request IS NULL AND NOT (kind = 'adjusted' AND machine IS NULL)";
const CHARGED = "kind NOT IN ('reserved', 'extended', 'released')";
const BUCKET = `at - at % ${QUARTER_HOUR}`;
const BUSY = "sum(iif(kind = 'settled', elapsed, 0))";
const OWN = `sum(iif(${OF_CONTAINER}, amount, 0))`;

/** From version 3 on to 4. */
export const ROLL_UP_DAYS = [
  "ALTER TABLE rollups ADD COLUMN busy INTEGER NOT NULL DEFAULT 0;",
  "ALTER TABLE rollups ADD COLUMN container_amount INTEGER NOT NULL DEFAULT 0;",
  DAYS,
  // Nobody has summed by project until now.
  `INSERT INTO rollups (bucket, dimension, value, ${SUMMED.join(", ")})
     SELECT ${BUCKET}, 'project', ifnull(project, ''), sum(is_last), sum(images), sum(elapsed), sum(amount),
       sum(input_tokens), sum(output_tokens), ${BUSY}, ${OWN}
     FROM entries WHERE ${CHARGED} GROUP BY 1, 3;`,
  ...["total", ...ROLLED_PLACES, ...ROLLED_NAMES].filter((one) => one !== "project").map(splitUp),
  `INSERT INTO days (dimension, day, value, ${SUMMED.join(", ")})
     SELECT dimension, bucket - bucket % ${DAY}, value, ${SUMMED.map((name) => `sum(${name})`).join(", ")}
     FROM rollups WHERE dimension NOT IN ('series', 'decision') GROUP BY 1, 2, 3;`,
].join("\n");

/** The two columns that its sums had not. A value that has no sum of its own on that day is in "other". */
function splitUp(dimension: string): string {
  const value = dimension === "total" ? "''" : `ifnull(${dimension}, '')`;
  return `UPDATE rollups SET busy = told.busy, container_amount = told.own FROM (
      SELECT bucket, iif(EXISTS (SELECT 1 FROM rollups AS r WHERE r.dimension = '${dimension}'
          AND r.value = n.value AND r.bucket >= n.bucket - n.bucket % ${DAY}
          AND r.bucket < n.bucket - n.bucket % ${DAY} + ${DAY}), value, 'other') AS value,
        sum(busy) AS busy, sum(own) AS own
      FROM (SELECT ${BUCKET} AS bucket, ${value} AS value, ${BUSY} AS busy, ${OWN} AS own
        FROM entries WHERE ${CHARGED} GROUP BY 1, 2) AS n GROUP BY 1, 2) AS told
    WHERE dimension = '${dimension}' AND rollups.bucket = told.bucket AND rollups.value = told.value;`;
}
