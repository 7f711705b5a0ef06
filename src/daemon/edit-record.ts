// Who has edited the policy file's budgets and why, as the ledger keeps it among what was turned: the file
// itself says neither. Nothing here is ever edited.

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

export function editText(change: PolicyChange, reason: string): string {
  const { kind: what, budget } = change;
  const keys = change.kind === "set" ? change.to : change.kind === "create" ? change.keys : undefined;
  return JSON.stringify({ what, budget, keys: keys === undefined ? "" : JSON.stringify(keys), reason });
}

export function fileEdit({ at, value, by }: TurnRow): FileEdit {
  const { what, budget, keys, reason } = JSON.parse(value) as Omit<FileEdit, "at" | "by">;
  return { at, what, budget, keys, by, reason };
}
