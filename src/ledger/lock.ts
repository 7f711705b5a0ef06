// One daemon a data folder. An exclusive SQLite lock on DATA/lock.db: portable, and the system lets go of
// it however the process ends. The file is its owner's alone: whoever could read it could lock it too.

import { chmodSync, closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface FolderLock {
  release(): void;
}

/** A lock that nobody points at any more would be collected, and let go. */
const held = new Set<DatabaseSync>();

/** Undefined when another process has it. */
export function lockFolder(folder: string): FolderLock | undefined {
  const file = join(folder, "lock.db");
  // Not opened where it is there: closing it again would let go of a lock that this process has.
  if (existsSync(file)) chmodSync(file, 0o600);
  else closeSync(openSync(file, "a", 0o600));
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === 5) return undefined;
    throw error;
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      database.close();
    },
  };
}
