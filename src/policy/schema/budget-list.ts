// Adds a budget to the text of a policy file, at the end of its list, or takes one out. Every other byte
// stays: comments, order and layout are their author's. It judges no key and no value: the text that it makes
// is parsed like any other.

import {
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { type EditedText, refused, type Splice, scalarText, spliced } from "./budget-text.ts";

/** As a policy says it: `{ limit_usd: "5", per: "user", when: { provider: ["aws", "gcp"] } }`. */
export type BudgetKeys = Readonly<Record<string, KeyValue | Readonly<Record<string, KeyValue>>>>;
type KeyValue = string | readonly string[];

const FOREIGN = "the policy file is written in a way that cannot be edited here: edit it by hand";

export function addBudgetText(text: string, id: string, keys: BudgetKeys): EditedText {
  if (Object.hasOwn(keys, "id")) return refused("the id of a budget is its name, and no key beside it");
  const document = parseDocument(text);
  const put = flowText({ id, ...keys });
  if (!isMap(document.contents) || document.contents.flow === true) return refused(FOREIGN);
  const splice = additionTo(text, document.contents, put);
  if (splice === undefined) return refused(FOREIGN);
  const edited = spliced(text, [splice]);
  const added = parseDocument(`[${put}]`).toJS() as readonly unknown[];
  return isAs(edited, text, (budgets) => [...budgets, ...added]) ? edited : refused(FOREIGN);
}

export function removeBudgetText(text: string, id: string): EditedText {
  const { contents } = parseDocument(text, { keepSourceTokens: true });
  const pair = isMap(contents) ? pairOf(contents) : undefined;
  const list = pair?.value;
  const at = isSeq(list) ? list.items.findIndex((item) => isMap(item) && item.get("id") === id) : -1;
  if (pair === undefined || !isSeq(list) || at < 0)
    return refused(`budget ${id} does not stand in the list of budgets: edit the policy file`);
  const splices = list.flow === true ? cutFromFlow(list, at) : cutFromBlock(text, list, at);
  if (splices === undefined) return refused(FOREIGN);
  // A key without a value is no empty list.
  const end = rangeOf(pair.key)?.[1];
  const isEmpty = list.items.length === 1 && list.flow !== true && end !== undefined;
  const emptied = isEmpty ? [{ from: end + 1, to: end + 1, text: " []" }] : [];
  const edited = spliced(text, [...splices, ...emptied]);
  return isAs(edited, text, (budgets) => budgets.filter((_, index) => index !== at))
    ? edited
    : refused(FOREIGN);
}

function pairOf(root: YAMLMap) {
  return root.items.find(({ key }) => isScalar(key) && key.value === "budgets");
}

function additionTo(text: string, root: YAMLMap, put: string): Splice | undefined {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const pair = pairOf(root);
  if (pair === undefined) {
    const start = text === "" || text.endsWith("\n") ? "" : eol;
    return at(text.length, `${start}budgets:${eol}  - ${put}${eol}`);
  }
  const list = pair.value;
  if (isScalar(list) && list.value === null && list.range) {
    const [from, to] = list.range;
    const key = rangeOf(pair.key)?.[1];
    if (key === undefined) return undefined;
    return from === to ? at(lineEnd(text, key), `${eol}  - ${put}`) : { from, to, text: `[${put}]` };
  }
  if (!isSeq(list) || list.anchor !== undefined || !list.range) return undefined;
  const end = endOf(list.items.at(-1));
  if (list.flow === true) return end === undefined ? at(list.range[0] + 1, put) : at(end, `, ${put}`);
  if (end === undefined) return undefined;
  const column = list.range[0] - (text.lastIndexOf("\n", list.range[0] - 1) + 1);
  return at(lineEnd(text, end), `${eol}${" ".repeat(column)}- ${put}`);
}

function at(from: number, text: string): Splice {
  return { from, to: from, text };
}

/** Before the end of the line that `from` lies in; what a comment there is about stays with it. */
function lineEnd(text: string, from: number): number {
  // A block of lines ends behind its last one.
  const start = text[from - 1] === "\n" ? from - 1 : text.indexOf("\n", from);
  const end = start < 0 ? text.length : start;
  return text[end - 1] === "\r" ? end - 1 : end;
}

/** Behind the last byte that is its own. */
function endOf(node: unknown): number | undefined {
  if (isCollection(node) && node.flow !== true) {
    const last = node.items.at(-1) as { key?: unknown; value?: unknown } | undefined;
    if (isMap(node)) return endOf(last?.value) ?? endOf(last?.key);
    return endOf(last);
  }
  return isScalar(node) || isAlias(node) || isCollection(node) ? node.range?.[1] : undefined;
}

function cutFromFlow({ items }: YAMLSeq, index: number): readonly Splice[] | undefined {
  const own = rangeOf(items[index]);
  if (own === undefined) return undefined;
  const [before, next] = [rangeOf(items[index - 1]), rangeOf(items[index + 1])];
  if (next !== undefined) return [{ from: own[0], to: next[0], text: "" }];
  return [{ from: before?.[1] ?? own[0], to: own[1], text: "" }];
}

/** Its lines, with the comment behind the last of them; those above it are left. */
function cutFromBlock(text: string, list: YAMLSeq, index: number): readonly Splice[] | undefined {
  const token = list.srcToken;
  if (token?.type !== "block-seq") return undefined;
  const signs = token.items.flatMap(({ start }) => start.filter(({ type }) => type === "seq-item-ind"));
  const [sign, end] = [signs[index], endOf(list.items[index])];
  if (sign === undefined || end === undefined) return undefined;
  const from = text.lastIndexOf("\n", sign.offset - 1) + 1;
  const to = text[end - 1] === "\n" ? end : text.indexOf("\n", end) + 1;
  return [{ from, to: to === 0 ? text.length : to, text: "" }];
}

function rangeOf(node: unknown): readonly [number, number] | undefined {
  if (typeof node !== "object" || node === null || !("range" in node) || !Array.isArray(node.range))
    return undefined;
  return [Number(node.range[0]), Number(node.range[1])];
}

/** Whether the text says what the other one says, but for its budgets: nothing else may have moved. */
function isAs(
  edited: EditedText,
  before: string,
  change: (budgets: readonly unknown[]) => readonly unknown[],
): boolean {
  if (edited.kind === "refused") return true;
  const [was, is] = [saidIn(before), saidIn(edited.text)];
  if (was === undefined || is === undefined) return false;
  const wanted = change((was.budgets as readonly unknown[] | null | undefined) ?? []);
  const rest = (all: Record<string, unknown>) => JSON.stringify({ ...all, budgets: undefined });
  return JSON.stringify(is.budgets) === JSON.stringify(wanted) && rest(was) === rest(is);
}

/** Undefined where an alias has lost what it names, or there are too many of them. */
function saidIn(text: string): Record<string, unknown> | undefined {
  try {
    return (parseDocument(text).toJS() ?? {}) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

function flowText(keys: BudgetKeys): string {
  const pairs = Object.entries(keys).map(([key, value]) => `${wordText(key)}: ${valueText(key, value)}`);
  return `{ ${pairs.join(", ")} }`;
}

function valueText(key: string, value: BudgetKeys[string]): string {
  if (typeof value === "string") return key === "description" ? wordText(value) : scalarText(value);
  if (isList(value)) return listText(value);
  const pairs = Object.entries(value).map(
    ([scope, of]) => `${wordText(scope)}: ${typeof of === "string" ? wordText(of) : listText(of)}`,
  );
  return `{ ${pairs.join(", ")} }`;
}

function isList(value: BudgetKeys[string]): value is readonly string[] {
  return Array.isArray(value);
}

function listText(values: readonly string[]): string {
  return `[${values.map(wordText).join(", ")}]`;
}

/** A text that is no number, flag or date, whatever it looks like. */
function wordText(value: string): string {
  const isWord =
    /^[A-Za-z][A-Za-z0-9._-]*$/.test(value) && !/^(true|false|null|y|n|yes|no|on|off)$/i.test(value);
  return isWord ? value : JSON.stringify(value);
}
