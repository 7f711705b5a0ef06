// Sets keys of one budget in the text of a policy file, and leaves every other byte of it alone: comments,
// order and layout are their author's. It judges no value: the text that it makes is parsed like any other.

import { isMap, isScalar, isSeq, type Pair, parseDocument, type YAMLMap } from "yaml";

export type EditedText =
  | { readonly kind: "edited"; readonly text: string }
  | { readonly kind: "refused"; readonly why: string };

/** Those that change no balance: what is counted, and by what name, stays as it is (MONEY §4). */
export const SETTABLE = [
  ...["limit_usd", "limit_requests", "limit_images", "limit_seconds", "limit_tokens"],
  ...["on_limit", "then", "max_wait", "warn_at", "critical_at", "priority", "overrun", "shadow", "enabled"],
  ...["from", "until", "description"],
] as const;

/** `to`: values as they are said; text that YAML might take for something else is quoted. */
export function editBudgetText(text: string, id: string, to: Readonly<Record<string, string>>): EditedText {
  const foreign = Object.keys(to).find((key) => !SETTABLE.some((known) => known === key));
  if (foreign !== undefined) return refused(`${foreign} cannot be set; these can: ${SETTABLE.join(", ")}`);
  const budget = budgetIn(text, id);
  if (budget === undefined)
    return refused(`budget ${id} does not stand in the list of budgets: edit the policy file`);
  const splices = Object.entries(to).map(([key, value]) => spliceFor(text, budget, key, scalarText(value)));
  if (splices.includes(undefined))
    return refused(`budget ${id} is written in a way that cannot be edited here: edit the policy file`);
  return spliced(text, splices as readonly Splice[]);
}

export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

export function spliced(text: string, splices: readonly Splice[]): EditedText {
  // From the end, so that places before stay where they are.
  const sorted = [...splices].sort((a, b) => b.from - a.from);
  let edited = text;
  for (const { from, to: end, text: put } of sorted) edited = edited.slice(0, from) + put + edited.slice(end);
  return { kind: "edited", text: edited };
}

function budgetIn(text: string, id: string): YAMLMap | undefined {
  const budgets = parseDocument(text).get("budgets");
  if (!isSeq(budgets)) return undefined;
  return budgets.items.find((item): item is YAMLMap => isMap(item) && item.get("id") === id);
}

/** Undefined where it is an alias, an anchor or a block of lines: what hangs on it is not ours to know. */
function spliceFor(text: string, budget: YAMLMap, key: string, value: string): Splice | undefined {
  const pair = budget.items.find((one) => isScalar(one.key) && one.key.value === key);
  const last = budget.items.at(-1);
  if (pair === undefined) return last && insertion(text, budget, last, `${key}: ${value}`);
  const node = pair.value;
  if (!isScalar(node) || node.anchor !== undefined || !isInline(node.type) || !node.range) return undefined;
  return { from: node.range[0], to: node.range[1], text: value };
}

function isInline(type: unknown): boolean {
  return type === "PLAIN" || type === "QUOTE_DOUBLE" || type === "QUOTE_SINGLE";
}

function insertion(text: string, budget: YAMLMap, last: Pair, put: string): Splice | undefined {
  const end = rangeOf(last.value)?.[1] ?? rangeOf(last.key)?.[1];
  if (end === undefined) return undefined;
  if (budget.flow === true) return { from: end, to: end, text: `, ${put}` };
  const first = rangeOf(budget.items[0]?.key)?.[0];
  if (first === undefined) return undefined;
  // Behind the `id`, on a line of its own: what a comment at the end of a line is about stays with it.
  const column = first - (text.lastIndexOf("\n", first - 1) + 1);
  const lineEnd = text.indexOf("\n", end);
  const at = lineEnd < 0 ? text.length : lineEnd;
  const eol = text[at - 1] === "\r" ? "\r\n" : "\n";
  const from = eol === "\r\n" ? at - 1 : at;
  return { from, to: from, text: `${eol}${" ".repeat(column)}${put}` };
}

function rangeOf(node: unknown): readonly number[] | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined;
  return Array.isArray(node.range) ? node.range : undefined;
}

/** What is a plain scalar in flow and block alike stays one; the rest is JSON, which YAML contains. */
export function scalarText(value: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value) ? value : JSON.stringify(value);
}

export function refused(why: string): EditedText {
  return { kind: "refused", why };
}
