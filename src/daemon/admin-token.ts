// DATA/admin-token: made once, whole or not at all, and for its owner alone. Anything else in its place is
// refused, for an empty token would let everybody in.

import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

type AdminToken =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "refused"; readonly why: string };

const TOKEN = /^bg-[0-9a-f]{64}$/;

/** The folder is locked by this process: nobody else makes one at the same time. */
export function adminToken(folder: string): AdminToken {
  const file = join(folder, "admin-token");
  try {
    if (!existsSync(file)) make(file);
    // Windows has no such bits; there the folder is its user's own.
    if (process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0) {
      return refused(`others can read or write the admin token ${file}: chmod 600 ${file}`);
    }
    const token = readFileSync(file, "utf8").trim();
    if (TOKEN.test(token)) return { kind: "token", token };
    return refused(`${file} holds no admin token: delete it, and the next start makes a new one`);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return refused(`the admin token ${file} cannot be read or made (${code}): look at it, or delete it`);
  }
}

/** Under another name first: a crash or a full disk must not leave an empty one under its own. */
function make(file: string): void {
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  const descriptor = openSync(draft, "wx", 0o600);
  try {
    writeFileSync(descriptor, `bg-${randomBytes(32).toString("hex")}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, file);
}

function refused(why: string): AdminToken {
  return { kind: "refused", why };
}
