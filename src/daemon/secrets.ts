// Reads the secrets that a policy names: environment, file, systemd credential. Values stay in memory for a
// few seconds, so that a request reads no file and a changed one is soon seen; they are never logged.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { LRUCache } from "lru-cache";
import type { SecretRef } from "../policy/policy.ts";

/** A policy names few; a changed file is seen after this long. */
const KEPT = { max: 1000, ttl: 5000 };
/** Bytes; a token is never longer. */
const LONGEST = 16_384;

export type Secret =
  | { readonly kind: "secret"; readonly value: string }
  /** A sentence that names the place and the cure, never the content. */
  | { readonly kind: "missing"; readonly why: string };

export class Secrets {
  readonly #kept = new LRUCache<string, Secret>(KEPT);
  readonly #missing: (why: string) => void;

  /** `missing` is told, once a reading, what is not there and what to do. */
  constructor(missing: (why: string) => void) {
    this.#missing = missing;
  }

  of(ref: SecretRef): string | undefined {
    const key = ref.kind === "file" ? `file ${ref.path}` : `${ref.kind} ${ref.name}`;
    let secret = this.#kept.get(key);
    if (secret === undefined) {
      secret = readSecret(ref);
      this.#kept.set(key, secret);
      if (secret.kind === "missing") this.#missing(secret.why);
    }
    return secret.kind === "secret" ? secret.value : undefined;
  }
}

export function readSecret(ref: SecretRef): Secret {
  switch (ref.kind) {
    case "env": {
      const value = process.env[ref.name]?.trim();
      if (value) return { kind: "secret", value };
      return { kind: "missing", why: `the environment variable ${ref.name} is not set` };
    }
    case "file":
      return readSecretFile(ref.path);
    case "credential": {
      const folder = process.env.CREDENTIALS_DIRECTORY;
      if (folder === undefined) {
        return {
          kind: "missing",
          why: `credential ${ref.name} needs systemd (LoadCredential=${ref.name}:...)`,
        };
      }
      return readSecretFile(join(folder, basename(ref.name)));
    }
  }
}

/** Refuses symbolic links, and files that group or others can read. */
function readSecretFile(path: string): Secret {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    return { kind: "missing", why: `${path} cannot be read (${code})` };
  }
  try {
    const stat = fstatSync(file);
    if (process.platform !== "win32" && (stat.mode & 0o077) !== 0) {
      return { kind: "missing", why: `${path} can be read by others: chmod 600 it` };
    }
    if (stat.size > LONGEST) return { kind: "missing", why: `${path} is too long for a secret` };
    const value = readFileSync(file, "utf8").trim();
    return value === "" ? { kind: "missing", why: `${path} is empty` } : { kind: "secret", value };
  } finally {
    closeSync(file);
  }
}
