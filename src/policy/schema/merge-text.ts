// Adds entries to sections of a policy's text and leaves every other byte of it alone: comments, order and
// layout are their author's. What has the same id already stays as it is. It judges no value: the text that
// it makes is parsed like any other.

import { type Document, isMap, isNode, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";

export interface Addition {
  readonly id: string;
  /** For a section in block style: its lines without indent, the key's first. */
  readonly lines: readonly string[];
  /** For one in braces: "id: { … }". */
  readonly inline: string;
  /** What the lines say: an entry that says the same is the same, however it is written. */
  readonly value: unknown;
}

export type MergedText =
  | {
      readonly kind: "merged";
      readonly text: string;
      /** "upstreams.flux-dev-local" */
      readonly added: readonly string[];
      readonly unchanged: readonly string[];
      /** Of the same id, and saying something else. */
      readonly kept: readonly string[];
    }
  | { readonly kind: "refused"; readonly why: string };

/** `sections`: in the order in which those that are absent are appended. */
export function mergeText(
  text: string,
  sections: readonly (readonly [section: string, additions: readonly Addition[]])[],
): MergedText {
  const told = { added: [] as string[], unchanged: [] as string[], kept: [] as string[] };
  let merged = text;
  for (const [section, additions] of sections) {
    const document = parseDocument(merged);
    const root = document.contents;
    if (!isMap(root) || root.flow === true) return refused("its top level is not written line by line");
    const pair = root.items.find(({ key }) => isScalar(key) && key.value === section);
    const held = isMap(pair?.value) ? pair.value : undefined;
    const missing: Addition[] = [];
    for (const addition of additions) {
      const name = `${section}.${addition.id}`;
      const own = held?.items.find(({ key }) => isScalar(key) && sourceOf(key) === addition.id);
      if (own === undefined) missing.push(addition);
      if (own === undefined) told.added.push(name);
      else if (isSame(plain(own.value, document), addition.value)) told.unchanged.push(name);
      else told.kept.push(name);
    }
    if (missing.length === 0) continue;
    const put = insertion(merged, section, pair, missing);
    if (put === undefined) return refused(`${section} is written in a way that cannot be added to here`);
    merged = merged.slice(0, put.at) + put.text + merged.slice(put.at);
  }
  return { kind: "merged", text: merged, ...told };
}

interface Insertion {
  readonly at: number;
  readonly text: string;
}

function insertion(
  text: string,
  section: string,
  pair: Pair | undefined,
  missing: readonly Addition[],
): Insertion | undefined {
  const eol = /\r\n/.test(text) ? "\r\n" : "\n";
  const below = (indent: number) =>
    missing
      .flatMap(({ lines }) => lines)
      .map((line) => `${eol}${" ".repeat(indent)}${line}`)
      .join("");
  if (pair === undefined) {
    const body = text.replace(/\s+$/, "");
    return { at: body.length, text: `${eol}${eol}${section}:${below(2)}` };
  }
  const { value } = pair;
  if (isEmpty(value)) {
    const end = rangeOf(pair.key)?.[1];
    return end === undefined ? undefined : { at: lineEnd(text, end), text: below(2) };
  }
  if (!isMap(value) || value.anchor !== undefined || value.tag !== undefined) return undefined;
  return value.flow === true ? intoBraces(text, value, missing) : atTheEnd(text, value, below);
}

/** Behind its last line: comments that follow are about what follows, or stay where they are. */
function atTheEnd(text: string, section: YAMLMap, below: (indent: number) => string): Insertion | undefined {
  const first = rangeOf(section.items[0]?.key)?.[0];
  const last = section.items.at(-1);
  const end = rangeOf(last?.value)?.[1] ?? rangeOf(last?.key)?.[1];
  if (first === undefined || end === undefined) return undefined;
  const column = first - (text.lastIndexOf("\n", first - 1) + 1);
  // The range of a mapping in block style may end with the line break behind it.
  const within = text.slice(0, end).replace(/\s+$/, "").length;
  return { at: lineEnd(text, within), text: below(column) };
}

function intoBraces(text: string, section: YAMLMap, missing: readonly Addition[]): Insertion | undefined {
  const range = section.range;
  if (!range) return undefined;
  const last = section.items.at(-1);
  const all = missing.map(({ inline }) => inline).join(", ");
  if (last === undefined) return { at: text.lastIndexOf("}", range[1] - 1), text: ` ${all} ` };
  const end = rangeOf(last.value)?.[1] ?? rangeOf(last.key)?.[1];
  return end === undefined ? undefined : { at: end, text: `, ${all}` };
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf("\n", from);
  if (at < 0) return text.length;
  return text[at - 1] === "\r" ? at - 1 : at;
}

/** `upstreams:` and nothing behind it. */
function isEmpty(value: unknown): boolean {
  return value === null || (isScalar(value) && value.value === null && !value.source);
}

function sourceOf(key: { readonly source?: string | undefined; readonly value: unknown }): string {
  return key.source ?? String(key.value);
}

function plain(value: unknown, document: Document): unknown {
  return isNode(value) ? value.toJS(document) : value;
}

function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every(
    (key) => Object.hasOwn(other, key) && isSame(Reflect.get(one, key), Reflect.get(other, key)),
  );
}

function rangeOf(node: unknown): readonly number[] | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined;
  return Array.isArray(node.range) ? node.range : undefined;
}

function refused(why: string): MergedText {
  return { kind: "refused", why };
}
