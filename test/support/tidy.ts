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
  "class-name",
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
const MOST_TEST_LINES = 400;
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

/**
 * Of test/, bench/, tools/ and bin/ only the files' length is held to: a file of tests is a list, and may be
 * longer, and what it expects is not broken into pieces.
 */
export function inspectOther(path: string, text: string): Finding[] {
  return fileLength(readSource(path, text), MOST_TEST_LINES).map((found) => ({ path, ...found }));
}

export function formatFinding({ path, line, rule, cure }: Finding): string {
  return `${path}:${line} ${rule}: ${cure}`;
}

type Found = Omit<Finding, "path">;

const BANNED_NAME = /^(?:index|types|common|misc|shared|constants)$/;
const BANNED_ENDING = /(?:^|[-.])(?:utils?|helpers?|managers?|handlers?|data|info|service|process)$/;
/** Names that DESIGN §6 gives to commands. */
const COMMAND_NAME = /^src\/cli\/(?:un)?install-service\.ts$/;

function fileName({ path }: Source): Found[] {
  if (COMMAND_NAME.test(path)) return [];
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
  return [...fileLength(source, MOST_LINES), ...functionLengths(source), ...lineLengths(source)];
}

function functionLengths(source: Source): Found[] {
  const found: Found[] = [];
  for (const { line, lines: count } of functionsOf(source)) {
    if (count <= MOST_FUNCTION_LINES) continue;
    const cure = `${count} lines, at most ${MOST_FUNCTION_LINES}: give its steps names of their own`;
    found.push({ line, rule: "function-length", cure });
  }
  return found;
}

function fileLength({ text }: Source, mostLines: number): Found[] {
  const count = text.replace(/\n$/, "").split("\n").length;
  if (count <= mostLines) return [];
  const cure = `${count} lines, at most ${mostLines}: split it where a second noun begins`;
  return [{ line: mostLines + 1, rule: "file-length", cure }];
}

function lineLengths({ text }: Source): Found[] {
  return text.split("\n").flatMap((line, at): Found[] => {
    if (line.length <= MOST_COLUMNS) return [];
    const cure = `${line.length} characters, at most ${MOST_COLUMNS}: break the line`;
    return [{ line: at + 1, rule: "line-length", cure }];
  });
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

/** A global by its bare name, so that it cannot be had under another; as a key or a member it is no global. */
function bare(names: string): string {
  return `(?<![.\\w$])(?:${names})\\b(?!\\??:)`;
}

/** What makes the core depend on more than its arguments. Of a whole namespace, some members are pure. */
const IMPURE: readonly Pattern[] = [
  {
    rule: "pure-globals",
    where: "code",
    pattern: new RegExp(
      [
        `(?<!new )${bare("Date")}`,
        String.raw`\bnew Date(?:\(\s*(?:\)|\.\.\.)|(?!\s*\())`,
        String.raw`${bare("Temporal")}(?!\.(?!Now\b)\w)`,
        bare("performance"),
      ].join("|"),
      "g",
    ),
    cure: "time comes in as a value: take an Instant or a Clock as argument",
  },
  {
    rule: "pure-globals",
    where: "code",
    pattern:
      /\bDateTimeFormat\b(?!\(\s*"\s*",\s*\{\s*timeZone\b)|\.toLocale\w*String\b|\.getTimezoneOffset\b/g,
    cure: "the time zone comes in as a value: name it",
  },
  {
    rule: "pure-globals",
    where: "code",
    pattern: new RegExp(String.raw`${bare("Math")}(?!\.(?!random\b)\w)|${bare("crypto")}`, "g"),
    cure: "take what is random as an argument",
  },
  {
    rule: "pure-globals",
    where: "code",
    pattern: new RegExp(
      [
        bare("process|console|globalThis|global|self|navigator|eval|Function|require"),
        bare("fetch|WebSocket|EventSource|XMLHttpRequest|AbortSignal|Worker|BroadcastChannel"),
        bare("queueMicrotask|(?:set|clear)(?:Timeout|Interval|Immediate)"),
        String.raw`\bimport\s*[(.]`,
      ].join("|"),
      "g",
    ),
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
    rule: "class-name",
    where: "code",
    pattern: /\bclass\s+\w*(?:Manager|Helper|Util|Handler|Service|Info|Data|Process)s?\b/g,
    cure: "name it after what it guards",
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
