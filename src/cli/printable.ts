// Text from outside, made fit for a terminal: labels and names come from whoever calls the gateway, and an
// escape sequence in one must not reach the screen of an administrator.

import { stripVTControlCharacters } from "node:util";

/** Controls, invisible marks that turn the writing direction, line separators, half characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "\uFFFD");
}

/** The same value with all its strings made printable. */
export function printableDeep<T>(value: T): T {
  return deep(value) as T;
}

function deep(value: unknown): unknown {
  if (typeof value === "string") return printable(value);
  if (Array.isArray(value)) return value.map(deep);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, deep(member)]));
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const EAST_ASIAN = /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\u3000-\u303E\uFF01-\uFF60]/u;
const PICTURE = /^\p{Emoji_Presentation}/u;

/** Terminal columns that `text` takes; its colours take none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(stripVTControlCharacters(text))) {
    width += EAST_ASIAN.test(segment) || PICTURE.test(segment) ? 2 : 1;
  }
  return width;
}

/** Lines that are too long go on below themselves: of a name and its value, below the value. */
export function fitted(text: string, width: number): string {
  const lines = text.split("\n").flatMap((line) => {
    if (widthOf(line) <= width) return [line];
    const head = /^\s*\S+(?: \S+)? {2,}/.exec(line)?.[0] ?? "";
    const indent = Math.min(widthOf(head), Math.floor(width / 2));
    const room = Math.max(1, width - indent);
    return wrap(line.slice(head.length), room).map(
      (part, at) => (at === 0 ? head : " ".repeat(indent)) + part,
    );
  });
  return lines.join("\n");
}

/** Lines of at most `width` columns, broken at spaces, and within a word that is longer. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((whole) => pieces(whole, width))) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (widthOf(longer) <= width) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

function pieces(word: string, width: number): readonly string[] {
  if (widthOf(word) <= width) return [word];
  const found: string[] = [];
  let piece = "";
  for (const { segment } of graphemes.segment(word)) {
    if (piece !== "" && widthOf(piece + segment) > width) {
      found.push(piece);
      piece = "";
    }
    piece += segment;
  }
  return [...found, piece];
}
