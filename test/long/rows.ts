// npm run rows [-- --rows 10000000]: a ledger of so many entries, a year of them; then how long a restart
// reads it and how long a month's sums take. Ends with 1 where a restart needs a second or more (DESIGN §8).

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sums } from "../../src/ledger/queries.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { readStored } from "../../src/ledger/sqlite-read.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import { DAY, durationUs, earlier, type Instant, later } from "../../src/metering/time.ts";
import { entry, facts } from "../support/ledger.ts";
import { TEN } from "../support/policies.ts";

const { values } = parseArgs({ options: { rows: { type: "string", default: "10000000" } } });
const rows = Number(values.rows);
const A_TRANSACTION = 10_000;
const A_YEAR = 365 * DAY;

const folder = mkdtempSync(join(tmpdir(), "budgetguard-rows-"));
try {
  const filled = measure(() => fill(rows));
  const restart = measure(() => readStored(openLedger(folder), end()));
  const database = openLedger(folder);
  const month = { from: earlier(end(), durationUs(30 * DAY)), to: end(), by: "provider", where: {} };
  const sum = measure(() => sums(database, month));
  database.close();
  const size = statSync(join(folder, "ledger.db")).size / 1_000_000;
  console.log(`${rows} entries in ${seconds(filled)} s, ${Math.round(size)} MB`);
  console.log(
    `a restart reads it in ${restart.toFixed(1)} ms; 30 days by provider take ${sum.toFixed(1)} ms`,
  );
  if (restart >= 1000) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function fill(count: number): void {
  const database = openLedger(folder);
  const writer = new SqliteWriter(database);
  for (let from = 0; from < count; from += A_TRANSACTION) {
    database.exec("BEGIN");
    const entries = Array.from({ length: Math.min(A_TRANSACTION, count - from) }, (_, i) => made(from + i));
    writer.put({ entries, at: at(from), wall: at(from) });
    database.exec("COMMIT");
  }
  database.close();
}

function made(index: number) {
  const own = {
    provider: `p-${index % 5}`,
    model: `m-${index % 8}`,
    user: `u-${index % 40}`,
    workflow: `w-${index % 200}`,
  };
  return entry({ at: at(index), request: `r-${index}`, facts: facts(own) });
}

function at(index: number): Instant {
  return later(TEN, durationUs((A_YEAR / rows) * index));
}

function end(): Instant {
  return later(TEN, durationUs(A_YEAR));
}

function measure(act: () => unknown): number {
  const begun = performance.now();
  act();
  return performance.now() - begun;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
