// The file's values against the schema. Schemas stop at the first layer that is wrong, and an operator wants
// all problems at once: so what is wrong is noted, cut out, and the rest is read again until it is sound.

import { z } from "zod";
import { didYouMean, listed } from "./near.ts";
import { type PolicyFile, policyFile, withSections } from "./policy-file.ts";
import type { Path, Problem } from "./source.ts";

export interface Shape {
  /** What is left when everything wrong was cut out. */
  readonly file: PolicyFile;
  readonly problems: readonly (Problem & { readonly at: "key" | "value" })[];
  /** Where a value of `file` stands in the text: items of lists move up when others are cut out. */
  original(path: Path): Path;
}

const MOST_PROBLEMS = 1000;
/** Each round cuts at least one value out; there are at most 32 levels with a few rules each. */
const MOST_ROUNDS = 200;

/** `value` is taken over, and cut. */
export function readShape(value: unknown): Shape {
  const cuts = new Cuts(value);
  const problems: (Problem & { readonly at: "key" | "value" })[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const read = policyFile.safeParse(value);
    if (read.success) {
      return { file: withSections(read.data), problems, original: (path) => cuts.original(path) };
    }
    for (const issue of read.error.issues) {
      for (const { path, text, at } of faultsOf(issue, value)) {
        cuts.mark(path);
        const original = cuts.original(path);
        const isConsequence = round > 0 && problems.some((known) => touches(known.path, original));
        if (isConsequence || isEmptySection(issue, value) || problems.length >= MOST_PROBLEMS) continue;
        problems.push({ path: original, text: text(), at });
      }
    }
    cuts.apply();
  }
  throw new Error("the policy's shape did not settle: this is a bug");
}

/** `budgets:` and nothing after it: an absent section, not a mistake. */
function isEmptySection(issue: z.core.$ZodIssue, value: unknown): boolean {
  return issue.code === "invalid_type" && issue.path.length === 1 && valueAt(value, issue.path) === null;
}

/** Whether one of the paths leads to the other or to a part of it. */
export function touches(a: Path, b: Path): boolean {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return false;
  return true;
}

interface Fault {
  readonly path: Path;
  readonly at: "key" | "value";
  /** Made only when it is shown: guessing what was meant takes time. */
  text(): string;
}

function* faultsOf(issue: z.core.$ZodIssue, value: unknown): Generator<Fault> {
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(issue.path);
    for (const key of issue.keys) {
      const text = () => `is no key that is known here${didYouMean(key, known)}; allowed: ${listed(known)}`;
      yield { path: [...issue.path, key], at: "key", text };
    }
  } else if (issue.code === "invalid_key") {
    yield { path: issue.path, at: "key", text: () => issue.issues[0]?.message ?? issue.message };
  } else {
    const at = valueAt(value, issue.path) === undefined ? "key" : "value";
    yield { path: issue.path, at, text: () => issue.message };
  }
}

/** The keys that the schema knows in the mapping at `path`. */
function keysAt(path: Path): readonly string[] {
  let schema = unwrap(policyFile);
  for (const key of path) {
    if (schema instanceof z.ZodObject) schema = unwrap(schema.shape[String(key)]);
    else if (schema instanceof z.ZodRecord) schema = unwrap(schema.valueType);
    else if (schema instanceof z.ZodArray) schema = unwrap(schema.element);
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodOptional) inner = inner.unwrap();
    else if (inner instanceof z.ZodPipe) inner = inner.in;
    else return inner;
  }
}

function valueAt(value: unknown, path: Path): unknown {
  let inner = value;
  for (const key of path) inner = isHolder(inner) ? inner[key as string] : undefined;
  return inner;
}

type Holder = Record<string, unknown>;

function isHolder(value: unknown): value is Holder {
  return typeof value === "object" && value !== null;
}

const HOLE = Symbol("cut out");

/** Cuts values out of a tree, and remembers which items of its lists are left. */
class Cuts {
  readonly #root: unknown;
  readonly #left = new Map<unknown, number[]>();
  #marked: { readonly holder: Holder; readonly key: string }[] = [];

  constructor(root: unknown) {
    this.#root = root;
  }

  /** What is at `path` goes; if nothing is there, it is missed by what holds it, and that goes. */
  mark(path: Path): void {
    for (let length = path.length; length > 0; length--) {
      const holder = valueAt(this.#root, path.slice(0, length - 1));
      const key = String(path[length - 1]);
      if (!isHolder(holder) || !Object.hasOwn(holder, key)) continue;
      this.#marked.push({ holder, key });
      return;
    }
  }

  /** Only now, so that one cut does not make the next one look like something missing. */
  apply(): void {
    const lists = new Set<unknown[]>();
    for (const { holder, key } of this.#marked) {
      if (Array.isArray(holder)) {
        holder[Number(key)] = HOLE;
        lists.add(holder);
      } else delete holder[key];
    }
    for (const list of lists) this.#close(list);
    this.#marked = [];
  }

  #close(list: unknown[]): void {
    const before = this.#left.get(list) ?? list.map((_, index) => index);
    const left = before.filter((_, index) => list[index] !== HOLE);
    this.#left.set(list, left);
    const kept = list.filter((item) => item !== HOLE);
    list.length = 0;
    for (const item of kept) list.push(item);
  }

  /** An index into one text that stands where a list of texts could is no place of its own. */
  original(path: Path): Path {
    let holder = this.#root;
    const whole: PropertyKey[] = [];
    for (const key of path) {
      if (typeof key === "number" && !Array.isArray(holder)) break;
      whole.push((Array.isArray(holder) ? this.#left.get(holder)?.[Number(key)] : undefined) ?? key);
      holder = isHolder(holder) ? holder[String(key)] : undefined;
    }
    return whole;
  }
}
