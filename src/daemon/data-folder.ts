// DATA: the one folder that the daemon writes to. Its owner's alone (0700), locked against a second daemon,
// and holding the admin token. Whatever is wrong with it is one sentence that says what to do.
//
// One that others can read is closed to them and said. One that they could write to is refused, because what
// is in it may be theirs; so is a folder of other things, which others may have a reason to read.

import { accessSync, chmodSync, constants, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type FolderLock, lockFolder } from "../ledger/lock.ts";
import { adminToken } from "./admin-token.ts";

export type Opened =
  | { readonly kind: "open"; readonly folder: DataFolder }
  | { readonly kind: "refused"; readonly why: string };

export interface DataFolder {
  readonly path: string;
  readonly adminToken: string;
  readonly lock: FolderLock;
  /** Others could read it until now. */
  readonly wasOpen: boolean;
}

export function openDataFolder(path: string): Opened {
  try {
    makeFolder(resolve(path));
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    return refused(`the data folder ${path} cannot be written (${codeOf(error)}): name another with --data`);
  }
  const stat = statSync(path);
  const wasOpen = process.platform !== "win32" && (stat.mode & 0o077) !== 0;
  if (!stat.isDirectory()) return refused(`${path} is not a folder: name another with --data`);
  if (typeof process.getuid === "function") {
    if (stat.uid !== process.getuid()) {
      return refused(`the data folder ${path} belongs to another user: name one of your own with --data`);
    }
    if ((stat.mode & 0o022) !== 0) {
      return refused(`others can write to the data folder ${path}: chmod 700 ${path}`);
    }
    if (wasOpen && !isDataFolder(path)) {
      return refused(`others can read ${path}, which holds other things: name a folder apart with --data`);
    }
  }
  let lock: FolderLock | undefined;
  try {
    if (wasOpen) chmodSync(path, 0o700);
    lock = lockFolder(path);
  } catch (error) {
    return refused(`the data folder ${path} cannot be locked (${codeOf(error)}): name another with --data`);
  }
  if (lock === undefined) {
    return refused(`another budgetguard uses the data folder ${path}: stop it, or name another with --data`);
  }
  const admin = adminToken(path);
  if (admin.kind === "refused") {
    lock.release();
    return admin;
  }
  return { kind: "open", folder: { path, adminToken: admin.token, lock, wasOpen } };
}

/** Made by the daemon, or for it. */
function isDataFolder(path: string): boolean {
  const names = readdirSync(path);
  return names.length === 0 || names.includes("lock.db");
}

/**
 * One folder after another: Node's own recursive mkdir tries for ever where a parent that exists takes no
 * folder and says ENOENT, as /proc does.
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path, { mode: 0o700 });
}

function refused(why: string): Opened {
  return { kind: "refused", why };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
