// Who has edited the policy file's budgets and why, as the ledger keeps it among what was turned: the file
// itself says neither. Nothing here is ever edited.
//
//   begun ──the file is as it was to become──► done      begun is said before the file is written: a crash in
//     └─────────────it is not────────────────► undone    between is told apart at the next start

import type { TurnRow } from "../ledger/queries.ts";
import type { Instant } from "../metering/time.ts";
import type { PolicyChange } from "./policy-rewrite.ts";

/** The name of these records. */
export const EDITED = "budget_edit";

export interface FileEdit {
  readonly at: Instant;
  readonly what: PolicyChange["kind"];
  readonly budget: string;
  /** Keys and values, as they were said; "" where it was removed. */
  readonly keys: string;
  readonly by: string;
  readonly reason: string;
}

export function isOfFile(change: { readonly kind: string }): change is PolicyChange {
  return ["set", "create", "remove"].includes(change.kind);
}

export function fileEditOf(change: PolicyChange, said: Pick<FileEdit, "at" | "by" | "reason">): FileEdit {
  const { kind: what, budget } = change;
  const keys = change.kind === "set" ? change.to : change.kind === "create" ? change.keys : undefined;
  return { ...said, what, budget, keys: keys === undefined ? "" : JSON.stringify(keys) };
}

/** One that is not known to have been made. */
export interface OpenEdit extends FileEdit {
  /** Of the text that the file was to have. */
  readonly digest: string;
}

interface Kept extends Omit<FileEdit, "at"> {
  /** Absent of one that was made. */
  readonly state?: "begun" | "undone";
  readonly digest?: string;
  readonly at?: Instant;
}

export function begunText(edit: OpenEdit): string {
  return JSON.stringify({ ...edit, state: "begun" } satisfies Kept);
}

/** `isDone`: the file is as it was to become. */
export function endText({ at: _at, ...edit }: FileEdit, isDone: boolean): string {
  return JSON.stringify({ ...edit, ...(!isDone && { state: "undone" }) } satisfies Kept);
}

/** `value`: the last one that was kept; edits are made one after another. */
export function openEdit(value: string | undefined): OpenEdit | undefined {
  if (value === undefined) return undefined;
  const { state, digest, at, ...edit } = JSON.parse(value) as Kept;
  return state === "begun" && digest !== undefined && at !== undefined ? { ...edit, digest, at } : undefined;
}

/** Of those that were made. */
export function fileEdits(rows: readonly TurnRow[]): readonly FileEdit[] {
  return rows.flatMap(({ at, value, by }) => {
    const { state, what, budget, keys, reason } = JSON.parse(value) as Kept;
    return state === undefined ? [{ at, what, budget, keys, by, reason }] : [];
  });
}
