// The rules of the house, each with the cure that it prints. A finding says where, what and what to do.

import { functionsOf } from "./tidy-functions.ts";
import { trespassesOf } from "./tidy-imports.ts";
import { lineAt, readSource, type Source } from "./tidy-source.ts";

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly rule: Rule;
  readonly cure: string;
}

const RULES = [
  "import-direction",
  "pure-imports",
  "import-extension",
  "pure-globals",
  "file-name",
  "file-length",
  "function-length",
  "line-length",
  "opening-sentence",
  "left-behind",
  "silenced",
  "no-any",
  "default-export",
] as const;
export type Rule = (typeof RULES)[number];
export const ALL_RULES: readonly Rule[] = RULES;

const MOST_LINES = 300;
const MOST_FUNCTION_LINES = 60;
const MOST_COLUMNS = 110;

/** All that is wrong with one file of src/, by line. */
export function inspect(path: string, text: string): Finding[] {
  const source = readSource(path, text);
  const findings = [
    ...trespassesOf(source),
    ...fileName(source),
    ...lengths(source),
    ...openingSentence(source),
    ...(/^src\/(?:metering|policy)\//.test(path) ? matches(source, IMPURE) : []),
    ...matches(source, EVERYWHERE),
  ];
  return findings.map((found) => ({ path, ...found })).sort((a, b) => a.line - b.line);
}

export function formatFinding({ path, line, rule, cure }: Finding): string {
  return `${path}:${line} ${rule}: ${cure}`;
}

type Found = Omit<Finding, "path">;

const BANNED_NAME = /^(?:index|types|common|misc|data|info|service|process)$/;
const BANNED_ENDING = /(?:^|[-.])(?:utils?|helpers?|managers?|handlers?)$/;

function fileName({ path }: Source): Found[] {
  return path
    .replace(/\.[^/]*$/, "")
    .split("/")
    .slice(1)
    .filter((name) => BANNED_NAME.test(name) || BANNED_ENDING.test(name))
    .map((name) => ({
      line: 1,
      rule: "file-name",
      cure: `name it after the noun that it defines, not ${name}`,
    }));
}

function lengths(source: Source): Found[] {
  const found: Found[] = [];
  const lines = source.text.replace(/\n$/, "").split("\n");
  if (lines.length > MOST_LINES) {
    const cure = `${lines.length} lines, at most ${MOST_LINES}: split it where a second noun begins`;
    found.push({ line: MOST_LINES + 1, rule: "file-length", cure });
  }
  for (const { line, lines: count } of functionsOf(source)) {
    if (count <= MOST_FUNCTION_LINES) continue;
    const cure = `${count} lines, at most ${MOST_FUNCTION_LINES}: give its steps names of their own`;
    found.push({ line, rule: "function-length", cure });
  }
  lines.forEach((text, at) => {
    if (text.length <= MOST_COLUMNS) return;
    const cure = `${text.length} characters, at most ${MOST_COLUMNS}: break the line`;
    found.push({ line: at + 1, rule: "line-length", cure });
  });
  return found;
}

function openingSentence({ text, comments }: Source): Found[] {
  const isComment = /^\/[/*]/.test(text);
  const first = comments.split(/\n(?!\s*(?:\/\/|\*))/, 1)[0] ?? "";
  const isSentence = /^[/*\s]*["`\p{Lu}\d/].*[.:](?:\s|$)/su.test(first);
  if (isComment && isSentence) return [];
  const cure = "open with a comment: a sentence on what the file is for and what it refuses to know";
  return [{ line: 1, rule: "opening-sentence", cure }];
}

interface Pattern {
  readonly rule: Rule;
  readonly where: "code" | "comments";
  readonly pattern: RegExp;
  readonly cure: string;
}

/** What makes the core depend on more than its arguments. */
const IMPURE: readonly Pattern[] = [
  {
    rule: "pure-globals",
    where: "code",
    pattern: /\bDate\.now\b|\bnew Date(?:\(\s*\)|(?!\s*\())|\bTemporal\.Now\b|(?<![.\w$])performance\s*[.[]/g,
    cure: "time comes in as a value: take an Instant or a Clock as argument",
  },
  {
    rule: "pure-globals",
    where: "code",
    pattern: /\bMath\.random\b|(?<![.\w$])crypto\s*[.[]/g,
    cure: "take what is random as an argument",
  },
  {
    rule: "pure-globals",
    where: "code",
    pattern:
      /(?<![.\w$])(?:process|console|globalThis)\s*[.[]|(?<![.\w$])(?:fetch|require|queueMicrotask|(?:set|clear)(?:Timeout|Interval|Immediate))\b(?!\??:)/g,
    cure: "return a value and let the shell act on it",
  },
];

const EVERYWHERE: readonly Pattern[] = [
  {
    rule: "left-behind",
    where: "comments",
    pattern: new RegExp(["TO", "DO|FIX", "ME|XX", "X"].join(""), "g"),
    cure: "do it now, or open an issue and say here what is true today",
  },
  {
    rule: "silenced",
    where: "comments",
    pattern: /@ts-(?:ignore|expect-error|nocheck)|(?:biome|eslint)-(?:ignore|disable)/g,
    cure: "change the code until the checker agrees",
  },
  {
    rule: "no-any",
    where: "code",
    pattern: /(?:[:<|&,(=[]|\bas|\bextends)\s*any\b(?!\s*[:(?=])/g,
    cure: "say unknown and parse it at the door",
  },
  {
    rule: "default-export",
    where: "code",
    pattern: /\bexport\s+default\b|\bas\s+default\b/g,
    cure: "export it by name: one name for one thing everywhere",
  },
];

function matches(source: Source, patterns: readonly Pattern[]): Found[] {
  return patterns.flatMap(({ rule, where, pattern, cure }) =>
    [...source[where].matchAll(pattern)].map((match) => ({
      line: lineAt(source.text, match.index),
      rule,
      cure: `${match[0].trim()}: ${cure}`,
    })),
  );
}
