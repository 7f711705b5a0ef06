// From the policy file on disk to its text, or to the one problem that it has as a file. How files are looked
// at is the caller's: check and serve must agree on what can be read.

import type { Note } from "./policy.ts";

export const LARGEST_BYTES = 256 * 1024;
export const TOO_LARGE = `is too large: a policy has at most ${LARGEST_BYTES / 1024} KiB`;

/** One path, links followed. Both throw what Node's file functions throw. */
export interface FileOnDisk {
  stat(): { readonly size: number; isFile(): boolean; isDirectory(): boolean };
  read(): Uint8Array;
}

export type PolicyText =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "problems"; readonly problems: readonly [Note, ...Note[]] };

/** A pipe or a device is never opened: it could keep whoever reads it waiting, or never end. */
export function readPolicyFile(file: FileOnDisk): PolicyText {
  try {
    const stat = file.stat();
    if (stat.isDirectory()) return unusable("is a folder: name the file in it");
    if (!stat.isFile()) return unusable("is no regular file: name another");
    if (stat.size > LARGEST_BYTES) return unusable(TOO_LARGE);
    return decodePolicy(file.read());
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return unusable(REASONS[String(error.code)] ?? `cannot be read (${error.code}): name another`);
  }
}

const NOWHERE = "there is no such file: name another (serve: with --policy)";
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: NOWHERE,
  ENOTDIR: NOWHERE,
  EACCES: "may not be read by this user: change its mode or owner",
  ELOOP: "is a link that leads in a circle: link it to the file",
};

/** A byte order mark is kept: the digest is that of the file. */
function decodePolicy(bytes: Uint8Array): PolicyText {
  if (bytes.length > LARGEST_BYTES) return unusable(TOO_LARGE);
  try {
    return { kind: "text", text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    // TypeError is how the decoder says that the bytes are no UTF-8; read again loosely, it shows where.
    const [before = ""] = new TextDecoder().decode(bytes).split("\uFFFD", 1);
    const rows = before.split("\n");
    const column = (rows.at(-1)?.length ?? 0) + 1;
    return unusable("is not UTF-8: save it as UTF-8", rows.length, column);
  }
}

function unusable(text: string, line = 1, column = 1): PolicyText {
  return { kind: "problems", problems: [{ line, column, path: "", text }] };
}
