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

const ROLLED = [...ROLLED_PLACES, ...ROLLED_NAMES];
const SUMS = SUMMED.map((name) => `sum(${name})`).join(", ");

/** From version 3 on to 4. Entries are many: they are read once, into sums by all scopes together. */
export const ROLL_UP_DAYS = [
  "ALTER TABLE rollups ADD COLUMN busy INTEGER NOT NULL DEFAULT 0;",
  "ALTER TABLE rollups ADD COLUMN container_amount INTEGER NOT NULL DEFAULT 0;",
  DAYS,
  `CREATE TEMP TABLE charged AS
     SELECT ${BUCKET} AS bucket, ${ROLLED.map((scope) => `ifnull(${scope}, '') AS ${scope}`).join(", ")},
       sum(is_last) AS requests, sum(images) AS images, sum(elapsed) AS elapsed, sum(amount) AS amount,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, ${BUSY} AS busy,
       ${OWN} AS container_amount
     FROM entries WHERE ${CHARGED} GROUP BY ${[BUCKET, ...ROLLED].join(", ")};`,
  // Nobody has summed by project until now.
  `INSERT INTO rollups (bucket, dimension, value, ${SUMMED.join(", ")})
     SELECT bucket, 'project', project, ${SUMS} FROM charged GROUP BY bucket, project;`,
  // Which names of a day have a sum of their own: asked for each of them, below.
  `INSERT INTO days (dimension, day, value, ${SUMMED.join(", ")})
     SELECT DISTINCT dimension, bucket - bucket % ${DAY}, value, ${SUMMED.map(() => "0").join(", ")}
     FROM rollups WHERE dimension NOT IN ('series', 'decision');`,
  ...["total", ...ROLLED].filter((one) => one !== "project").map(splitUp),
  `INSERT OR REPLACE INTO days (dimension, day, value, ${SUMMED.join(", ")})
     SELECT dimension, bucket - bucket % ${DAY}, value, ${SUMS}
     FROM rollups WHERE dimension NOT IN ('series', 'decision') GROUP BY 1, 2, 3;`,
  "DROP TABLE charged;",
].join("\n");

/** The two columns that its sums had not. A value that has no sum of its own on that day is in "other". */
function splitUp(dimension: string): string {
  const value = dimension === "total" ? "''" : dimension;
  return `UPDATE rollups SET busy = told.busy, container_amount = told.own FROM (
      SELECT bucket, iif(EXISTS (SELECT 1 FROM days WHERE days.dimension = '${dimension}'
          AND days.day = n.bucket - n.bucket % ${DAY} AND days.value = n.value), value, 'other') AS value,
        sum(busy) AS busy, sum(own) AS own
      FROM (SELECT bucket, ${value} AS value, sum(busy) AS busy, sum(container_amount) AS own
        FROM charged GROUP BY 1, 2) AS n GROUP BY 1, 2) AS told
    WHERE dimension = '${dimension}' AND rollups.bucket = told.bucket AND rollups.value = told.value;`;
}
