// Opens DATA/ledger.db the one way that keeps its promises: WAL, synchronous=FULL, STRICT tables.

import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS, SCHEMA, SCHEMA_VERSION } from "./sqlite-schema.ts";

/** Creates it when it is not there. Throws with a sentence when it is of a later version or corrupt. */
export function openLedger(folder: string): DatabaseSync {
  const file = join(folder, "ledger.db");
  const isNew = !existsSync(file);
  const database = opening(file, () => new DatabaseSync(file, { timeout: 5000 }));
  try {
    if (isNew) chmodSync(file, 0o600);
    opening(file, () => prepare(database, file));
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function prepare(database: DatabaseSync, file: string): void {
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
  if (version > SCHEMA_VERSION) {
    throw new Error(
      `${file} was written by a later version of budgetguard (schema ${version}, this one knows ` +
        `${SCHEMA_VERSION}): start that version, or name another --data folder`,
    );
  }
  // A new file has version 0 and gets the tables as they are now; all or nothing, whatever happens meanwhile.
  const steps = version === 0 ? [] : versionsFrom(version).map((each) => MIGRATIONS[each] ?? "");
  const all = [...steps, SCHEMA, `PRAGMA user_version = ${SCHEMA_VERSION};`].join("\n");
  database.exec(`BEGIN IMMEDIATE; ${all} COMMIT;`);
}

function versionsFrom(version: number): readonly number[] {
  return Array.from({ length: SCHEMA_VERSION - version }, (_, step) => version + step);
}

/** By SQLite's primary codes: what an operator can do about it. */
const CURES: Readonly<Record<number, string>> = {
  5: "is in use by another program: end that one",
  8: "cannot be written: make it and its folder writable for this user",
  10: "cannot be read or written: look at the disk that it is on",
  11: "is damaged: keep it, and restore a backup or start with another --data folder",
  13: "has no space left: free some on its disk",
  14: "cannot be opened: look at its permissions, and that its folder is there",
  26: "is not a ledger, or is damaged: keep it, and restore a backup or start with another --data folder",
};

function opening<T>(file: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
    const cure = CURES[code];
    if (cure === undefined || !(error instanceof Error)) throw error;
    throw new Error(`${file} ${cure} (${error.message})`, { cause: error });
  }
}

/** For questions only; sees what is committed. Throws when there is no ledger. */
export function openLedgerToRead(folder: string): DatabaseSync {
  const file = join(folder, "ledger.db");
  if (!existsSync(file)) throw new Error(`there is no ledger at ${file}: name the daemon's --data folder`);
  return new DatabaseSync(file, { readOnly: true, timeout: 5000 });
}
