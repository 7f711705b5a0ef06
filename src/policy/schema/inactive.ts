// The one table of keys that are read and checked, but whose behaviour this version lacks. `check` notes each
// that a file uses, so that nothing is ignored in silence. Whoever builds a behaviour deletes its line here.

import { textOf } from "./scalar.ts";
import type { Path } from "./source.ts";

interface Row {
  /** `*` stands for any name or index. */
  readonly key: string;
  /** What happens instead. */
  readonly instead?: string;
  /** Only these values; without it every value. */
  readonly values?: readonly string[];
}

const INACTIVE: readonly Row[] = [
  { key: "when_ledger_fails", values: ["serve_free", "spool"], instead: "acts as refuse" },
  { key: "limits.label_values" },
  { key: "metrics.labels" },
  { key: "comfyui" },
  { key: "prices.entries" },
];

/** Calls `note` for each inactive key of the file's values. */
export function noteInactive(value: unknown, note: (path: Path, text: string) => void): void {
  for (const row of INACTIVE) {
    for (const { path, found } of matches(value, row.key.split("."), [])) {
      if (row.values && !row.values.includes(textOf(found) ?? "")) continue;
      note(path, row.instead === undefined ? "not active yet" : `not active yet: ${row.instead}`);
    }
  }
}

function* matches(
  value: unknown,
  keys: readonly string[],
  path: Path,
): Generator<{ path: Path; found: unknown }> {
  const [key, ...rest] = keys;
  if (key === undefined) return yield { path, found: value };
  if (typeof value !== "object" || value === null) return;
  const isList = Array.isArray(value);
  for (const [name, inner] of Object.entries(value)) {
    if (key === "*" || key === name) yield* matches(inner, rest, [...path, isList ? Number(name) : name]);
  }
}
