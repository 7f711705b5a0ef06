// The policy's text as plain values, and where in the text each of them stands. Everything that YAML can do
// and a policy must not is stopped here: size, depth, tags, merge keys, duplicate keys, alias bombs.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import type { Note } from "../policy.ts";
import { LARGEST_BYTES, TOO_LARGE } from "../policy-bytes.ts";
import { beyond } from "./nesting.ts";
import { numeral, quote } from "./scalar.ts";
import { syntaxText } from "./syntax.ts";

export const DEEPEST = 32;
/** Keys, values and punctuation; a policy of the largest size has about 25 000. */
const MOST_TOKENS = 40_000;
/** Values after aliases are followed; without aliases there are always fewer than tokens. */
const MOST_NODES = 50_000;
const MOST_SYNTAX_PROBLEMS = 20;

export type Path = readonly PropertyKey[];
export type Problem = { readonly path: Path; readonly text: string };

/** The text was read, though some of it may be wrong. */
export class Source {
  /** Mappings are objects without a prototype, numbers are numerals. Owned by whoever reads it. */
  readonly value: unknown;
  readonly problems: readonly Note[];
  readonly #root: Node | null;
  readonly #lines: LineCounter;
  readonly #pairs: ReadonlyMap<YAMLMap, ReadonlyMap<string, Pair>>;

  constructor(walk: Walk, lines: LineCounter, document: Document.Parsed) {
    this.#root = document.contents;
    this.#lines = lines;
    this.#pairs = walk.pairs;
    this.value = walk.value(this.#root, [], 0);
    this.problems = walk.found.map(({ offset, path, text }) => noteAt(lines, offset, path, text));
  }

  /** The place of a value; of a mapping or list, its key; of something absent, what it is absent from. */
  note(path: Path, text: string, at: "key" | "value" = "value"): Note {
    return noteAt(this.#lines, this.#offsetOf(path, at), path, text);
  }

  #offsetOf(path: Path, at: "key" | "value"): number {
    let node: unknown = this.#root;
    let offset = 0;
    for (const [depth, key] of path.entries()) {
      if (isMap(node)) {
        const pair = this.#pairs.get(node)?.get(String(key));
        if (!pair) return offset;
        offset = offsetOf(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(key)];
        offset = offsetOf(node) ?? offset;
      } else return offset;
      const isLast = depth === path.length - 1;
      if (isLast && at === "value" && (isAlias(node) || isScalar(node)) && !isAbsent(node)) {
        offset = offsetOf(node) ?? offset;
      }
    }
    return offset;
  }
}

export function readSource(text: string): Source | readonly [Note, ...Note[]] {
  const sound = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const size = sound.length > LARGEST_BYTES ? sound.length : new TextEncoder().encode(sound).length;
  if (size > LARGEST_BYTES) return [{ line: 1, column: 1, path: "", text: TOO_LARGE }];
  const lines = linesOf(sound);
  const strange = sound.search(/(?![\t\n\r\u0085])\p{Cc}/u);
  if (strange >= 0)
    return [noteAt(lines, strange, [], "has a control character: remove it (is this a text file?)")];
  const excess = beyond(sound, { levels: DEEPEST + 2, tokens: MOST_TOKENS });
  if (excess) return [noteAt(lines, excess.offset, [], excess.bound === "levels" ? TOO_DEEP : TOO_MANY)];

  // Keys are compared in the walk: the parser's own check takes time in the square of their number.
  const document = parseDocument(sound, {
    version: "1.2",
    schema: "core",
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
  });
  // What follows at the same place is the parser's second opinion of the same mistake.
  const [first, ...others] = document.errors
    .filter((error, index, all) => error.pos[0] !== all[index - 1]?.pos[0])
    .slice(0, MOST_SYNTAX_PROBLEMS)
    .map((error) => fromSyntax(lines, error));
  if (first) return [first, ...others];
  if (document.directives.yaml.explicit)
    return [noteAt(lines, 0, [], "has a %YAML directive: remove that line")];
  if (!isMap(document.contents)) {
    const found = document.contents === null || isAbsent(document.contents) ? "is empty" : "is no mapping";
    return [noteAt(lines, offsetOf(document.contents) ?? 0, [], `${found}: begin with the line version: 1`)];
  }
  return new Source(new Walk(), lines, document);
}

const TOO_DEEP = `nests too deep: at most ${DEEPEST} levels are allowed`;
const TOO_MANY = `has too many keys and values: at most ${MOST_TOKENS} are allowed`;

function fromSyntax(lines: LineCounter, error: YAMLError): Note {
  return noteAt(lines, error.pos[0], [], syntaxText(error.code));
}

function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (const { index } of text.matchAll(/\n/g)) lines.addNewLine(index + 1);
  return lines;
}

function noteAt(lines: LineCounter, offset: number, path: Path, text: string): Note {
  const { line, col } = lines.linePos(offset);
  return { line, column: col, path: pathText(path), text };
}

/** budgets[2].on_limit */
export function pathText(path: Path): string {
  let all = "";
  for (const key of path) {
    if (typeof key === "number") all += `[${key}]`;
    else
      all +=
        (all === "" ? "" : ".") + (/^[\w.-]{1,64}$/.test(String(key)) ? String(key) : quote(String(key)));
  }
  return all;
}

function offsetOf(node: unknown): number | undefined {
  return isAlias(node) || isScalar(node) || isMap(node) || isSeq(node) ? node.range?.[0] : undefined;
}

/** Nothing was written, not even null. */
function isAbsent(node: unknown): boolean {
  return isScalar(node) && node.value === null && !node.source;
}

interface Found {
  readonly offset: number;
  readonly path: Path;
  readonly text: string;
}

/** One pass over the parsed text. Recursion is bounded by DEEPEST, the whole by MOST_NODES. */
class Walk {
  readonly found: Found[] = [];
  readonly pairs = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  readonly #anchors = new Map<string, Node>();
  #nodes = 0;

  value(node: unknown, path: Path, depth: number): unknown {
    this.#nodes += 1;
    if (this.#nodes > MOST_NODES) {
      if (this.#nodes === MOST_NODES + 1)
        this.#complain(node, path, "grows too large through its aliases: write it out");
      return null;
    }
    if (depth > DEEPEST) {
      this.#complain(node, path, TOO_DEEP);
      return null;
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target) return this.value(target, path, depth + 1);
      this.#complain(node, path, "refers to an anchor (&) that is not above it");
      return null;
    }
    if (isMap(node) || isSeq(node) || isScalar(node)) {
      if (node.tag !== undefined) this.#complain(node, path, "has a tag (!): remove it");
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    }
    if (isMap(node)) return this.#mapping(node, path, depth);
    if (isSeq(node)) return node.items.map((item, index) => this.value(item, [...path, index], depth + 1));
    if (!isScalar(node)) return null;
    if (typeof node.value === "number" || typeof node.value === "bigint") return numeral(node.source ?? "");
    return node.value;
  }

  #mapping(node: YAMLMap, path: Path, depth: number): unknown {
    const value: Record<string, unknown> = Object.create(null);
    const pairs = new Map<string, Pair>();
    this.pairs.set(node, pairs);
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? (pair.key.source ?? String(pair.key.value ?? "")) : undefined;
      if (key === undefined || key === "__proto__" || key === "<<" || (isScalar(pair.key) && pair.key.tag)) {
        this.#complain(
          pair.key,
          path,
          "this key is not allowed: write a plain word (no merge, list or mapping)",
        );
      } else if (pairs.has(key)) {
        this.#complain(pair.key, [...path, key], "is written twice: remove one of them");
      } else {
        pairs.set(key, pair);
        value[key] = this.value(pair.value, [...path, key], depth + 1);
      }
    }
    return value;
  }

  #complain(node: unknown, path: Path, text: string): void {
    if (this.found.length < 200) this.found.push({ offset: offsetOf(node) ?? 0, path, text });
  }
}
