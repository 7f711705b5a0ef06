// One JSON file of somebody else's making, read within bounds: what is no such file is told in a sentence
// with what to do. What the JSON means is not known here.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

export type JsonRead =
  | { readonly kind: "json"; readonly value: unknown }
  /** Why it is none, going on from its path, and what to do. Nothing of its content. */
  | { readonly kind: "unusable"; readonly why: string; readonly isMissing: boolean };

/** A file of 88 endpoints has 14 kB. */
export const LARGEST_BYTES = 1024 * 1024;
export const DEEPEST = 32;

const INSTALL =
  "run TechOps' install_credentials.py or export.py, or name the file that it wrote " +
  "(budgetguard_backend_config.json, budgetguard_artists_config.json, endpoints.json)";

/** Never throws for anything that can lie at a path; a pipe or a device is not read. */
export function readJsonFile(path: string): JsonRead {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = fstatSync(file);
    if (stat.isDirectory()) return unusable(`is a folder: ${INSTALL}`);
    if (!stat.isFile()) return unusable(`is no regular file: ${INSTALL}`);
    if (stat.size > LARGEST_BYTES) return unusable(TOO_LARGE);
    return readJson(readFileSync(file));
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return unusable(...(REASONS[String(error.code)] ?? [`cannot be read (${error.code}): ${INSTALL}`]));
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const TOO_LARGE = `is larger than ${LARGEST_BYTES / 1024} KiB, and TechOps' files are not: ${INSTALL}`;
const NOWHERE = [`is not there: ${INSTALL}`, true] as const;
const REASONS: Readonly<Record<string, readonly [string, boolean?]>> = {
  ENOENT: NOWHERE,
  ENOTDIR: NOWHERE,
  EACCES: ["may not be read by this user: change its owner or mode"],
  EPERM: ["may not be read by this user: change its owner or mode"],
  ELOOP: ["is a link that leads in a circle: link it to the file"],
};

export function readJson(bytes: Uint8Array): JsonRead {
  if (bytes.length > LARGEST_BYTES) return unusable(TOO_LARGE);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // TypeError is how the decoder says that the bytes are no UTF-8.
    return unusable(`is not UTF-8, and so not what TechOps writes: ${INSTALL}`);
  }
  if (isTooDeep(text)) return unusable(`nests more than ${DEEPEST} levels deep: ${INSTALL}`);
  try {
    return { kind: "json", value: JSON.parse(text) };
  } catch {
    // The parser's own words quote the text, and that may be a secret.
    return unusable(`is not JSON, or only a part of it: ${INSTALL}`);
  }
}

/** Brackets that stand in texts do not count. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  for (const [mark] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{}]/gs)) {
    if (mark === "[" || mark === "{") depth += 1;
    else if (mark === "]" || mark === "}") depth -= 1;
    if (depth > DEEPEST) return true;
  }
  return false;
}

function unusable(why: string, isMissing = false): JsonRead {
  return { kind: "unusable", why, isMissing };
}
