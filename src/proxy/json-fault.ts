// Says where a text stops being JSON. JSON.parse tells that only for some faults, and quotes the text, which
// holds prompts; this tells line and column and nothing else. Walked without recursion: depth costs no stack.

import { startOf } from "./json-scan.ts";

/** Counts from 1; columns are bytes. */
export interface JsonFault {
  readonly line: number;
  readonly column: number;
}

type Expecting = "value" | "key" | "colon" | "more";

/** Undefined when all of `bytes` is one JSON value. */
export function findJsonFault(bytes: Uint8Array): JsonFault | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const closers: string[] = [];
  let expecting: Expecting = "value";
  let justOpened = false;
  let at = skipSpace(text, startOf(bytes));
  while (at < text.length) {
    const char = text.charAt(at);
    let end: number | undefined = at + 1;
    if (char === closers.at(-1) && (expecting === "more" || justOpened)) {
      closers.pop();
      expecting = "more";
    } else if (expecting === "value" && (char === "{" || char === "[")) {
      closers.push(char === "{" ? "}" : "]");
      expecting = char === "{" ? "key" : "value";
      justOpened = true;
      at = skipSpace(text, end);
      continue;
    } else if (expecting === "value") {
      end = scalarEnd(text, at);
      expecting = "more";
    } else if (expecting === "key") {
      end = match(STRING, text, at);
      expecting = "colon";
    } else if (expecting === "colon") {
      end = char === ":" ? end : undefined;
      expecting = "value";
    } else {
      end = char === "," && closers.length > 0 ? end : undefined;
      expecting = closers.at(-1) === "}" ? "key" : "value";
    }
    if (end === undefined) return placeOf(text, at);
    justOpened = false;
    at = skipSpace(text, end);
  }
  return expecting === "more" && closers.length === 0 ? undefined : placeOf(text, text.length);
}

/** Sticky, and without nested repetition: linear in the length of the text. A character here is a byte. */
const STRING = /"(?:[ !#-[\]-\xff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

function scalarEnd(text: string, at: number): number | undefined {
  return match(STRING, text, at) ?? match(NUMBER, text, at) ?? match(WORD, text, at);
}

function skipSpace(text: string, at: number): number {
  return match(SPACE, text, at) ?? at;
}

function match(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function placeOf(text: string, at: number): JsonFault {
  const before = text.slice(0, at);
  return { line: before.split("\n").length, column: at - before.lastIndexOf("\n") };
}
