// Rewrites the policy file for an edit of a budget: parsed before it is written, written whole or not at all,
// and in force when it is done. The file is the one truth about limits (DESIGN §5), so an edit lives there.

import type { Note } from "../policy/policy.ts";
import { addBudgetText, type BudgetKeys, removeBudgetText } from "../policy/schema/budget-list.ts";
import { type EditedText, editBudgetText } from "../policy/schema/budget-text.ts";
import type { InForce } from "./in-force.ts";
import type { PolicyParser } from "./policy-parser.ts";
import { digestOf, readText } from "./policy-text.ts";
import { replaceFile } from "./replace-file.ts";

/** Of the list of budgets in the file; keys and values as they are written there. */
export type PolicyChange =
  | { readonly kind: "set"; readonly budget: string; readonly to: Readonly<Record<string, string>> }
  | { readonly kind: "create"; readonly budget: string; readonly keys: BudgetKeys }
  | { readonly kind: "remove"; readonly budget: string };

export type Rewritten =
  /** It is in force. */
  | { readonly kind: "set" }
  | { readonly kind: "refused"; readonly why: string }
  /** Of the text that it would have become: nothing was written. */
  | { readonly kind: "problems"; readonly problems: readonly Note[] }
  | { readonly kind: "read_only"; readonly why: string };

export interface RewriteParts {
  readonly path: string;
  readonly parser: Pick<PolicyParser, "parse">;
  readonly inForce: Pick<InForce, "file" | "problems">;
  /** Reads the file again; resolves when what it says is in force, or refused. */
  reload(): Promise<void>;
}

/** `begin`: told the digest of the new text, and waited for, before the file is written. */
export async function rewritePolicy(
  { path, parser, inForce, reload }: RewriteParts,
  change: PolicyChange,
  begin: (digest: string) => Promise<void>,
): Promise<Rewritten> {
  const found = readText(path);
  if (found.kind === "problems") return found;
  const edited = editedText(found.text, change);
  if (edited.kind === "refused") return edited;
  const read = await parser.parse(edited.text);
  if (read.kind === "problems") return read;
  if (edited.text !== found.text) {
    await begin(digestOf(edited.text));
    // An editor may have saved it meanwhile: what it wrote is not ours to undo.
    const now = readText(path);
    if (now.kind === "problems" || now.text !== found.text) return CHANGED;
    const refusal = await replaceFile(path, edited.text);
    if (refusal !== undefined) return { kind: "read_only", why: refusal };
  }
  await reload();
  if (inForce.file.policy.digest === digestOf(edited.text)) return { kind: "set" };
  return { kind: "refused", why: inForce.problems[0]?.text ?? CHANGED.why };
}

function editedText(text: string, change: PolicyChange): EditedText {
  switch (change.kind) {
    case "set":
      return editBudgetText(text, change.budget, change.to);
    case "create":
      return addBudgetText(text, change.budget, change.keys);
    case "remove":
      return removeBudgetText(text, change.budget);
  }
}

const CHANGED = {
  kind: "refused",
  why: "the policy file was changed meanwhile: look at it, and try again",
} as const;
