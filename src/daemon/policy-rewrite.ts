// Rewrites the policy file for an edit of a budget: parsed before it is written, written whole or not at all,
// and in force when it is done. The file is the one truth about limits (DESIGN §5), so an edit lives there.

import { randomUUID } from "node:crypto";
import { chmod, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Note } from "../policy/policy.ts";
import { addBudgetText, type BudgetKeys, removeBudgetText } from "../policy/schema/budget-list.ts";
import { type EditedText, editBudgetText } from "../policy/schema/budget-text.ts";
import type { InForce } from "./in-force.ts";
import type { PolicyParser } from "./policy-parser.ts";
import { digestOf, readText } from "./policy-text.ts";

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

export async function rewritePolicy(
  { path, parser, inForce, reload }: RewriteParts,
  change: PolicyChange,
): Promise<Rewritten> {
  const found = readText(path);
  if (found.kind === "problems") return found;
  const edited = editedText(found.text, change);
  if (edited.kind === "refused") return edited;
  const read = await parser.parse(edited.text);
  if (read.kind === "problems") return read;
  if (edited.text !== found.text) {
    // An editor may have saved it meanwhile: what it wrote is not ours to undo.
    const now = readText(path);
    if (now.kind === "problems" || now.text !== found.text) return CHANGED;
    const refusal = await replace(path, edited.text);
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

/** By an atomic rename beside it, so that nobody ever reads half of it. What keeps it from being written. */
async function replace(path: string, text: string): Promise<string | undefined> {
  let beside: string | undefined;
  try {
    // A link stays a link, and its target keeps its mode.
    const file = await realpath(path);
    const { mode } = await stat(file);
    if ((mode & 0o222) === 0) return `${path} is read-only: edit it where it comes from`;
    beside = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
    const handle = await open(beside, "wx", mode & 0o777);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // The mask of this process may have taken some of it away.
    await chmod(beside, mode & 0o777);
    await rename(beside, file);
    return undefined;
  } catch (error) {
    if (beside !== undefined) await rm(beside, { force: true });
    if (error instanceof Error && "code" in error)
      return `${path} cannot be written (${error.code}): edit it where it comes from`;
    throw error;
  }
}
