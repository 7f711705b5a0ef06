// `ledger verify`: does the ledger add up? Read-only, in one snapshot, so that a gateway may write meanwhile.
// Nothing here is shared with what writes the ledger, but the names of its columns.

import type { DatabaseSync } from "node:sqlite";
import { big, type Checked, rowsOf, type Verified } from "./verified.ts";
import { verifyAdjustments } from "./verify-adjustments.ts";
import { verifyHeld, verifySettled } from "./verify-balances.ts";
import { verifyMachines } from "./verify-machines.ts";
import { verifyHolds, verifyRecords, verifyTime, verifyTwice } from "./verify-requests.ts";
import { verifyRollups } from "./verify-rollups.ts";

export function verify(database: DatabaseSync): Verified {
  // A deferred transaction: all of it sees what was committed when it first looked.
  database.exec("BEGIN");
  try {
    const file = verifyFile(database);
    // What a damaged file says is no finding of its own.
    const checks = file.findings.length > 0 ? [file] : [file, ...CHECKS.map((check) => check(database))];
    return { ok: checks.every(({ findings }) => findings.length === 0), checks };
  } finally {
    database.exec("ROLLBACK");
  }
}

const CHECKS = [
  verifySettled,
  verifyHeld,
  verifyHolds,
  verifyTwice,
  verifyRecords,
  verifyRollups,
  verifyAdjustments,
  verifyMachines,
  verifyTime,
];

function verifyFile(database: DatabaseSync): Checked {
  const rows = rowsOf(database, "PRAGMA quick_check(20)").map((row) => String(Object.values(row)[0]));
  const [pages] = rowsOf(database, "PRAGMA page_count");
  const findings = rows
    .filter((text) => text !== "ok")
    .map((text) => ({
      ...{ check: "file", what: "SQLite finds the file damaged", where: text, unit: "pages" },
      ...{ expected: 0n, found: 1n },
      cure: "stop the gateway, keep the file, and restore a backup",
    }));
  return {
    name: "file",
    of: "pages",
    counted: Number(big(Object.values(pages ?? {})[0])),
    notes: [],
    findings,
  };
}
