// What the YAML parser complains about, in words that say what to do, and that never repeat the file: its own
// messages quote the text, which may be a secret.

import type { ErrorCode } from "yaml";

const TEXTS: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: "refers to an anchor (&) that is not above it; a text that begins with * or & needs quotes",
  BAD_COLLECTION_TYPE: "has a tag (!): remove it",
  BAD_DIRECTIVE: "has a directive (%): remove that line",
  BAD_DQ_ESCAPE: "has an unknown \\ sequence: double the \\, or use single quotes",
  BAD_INDENT:
    "is indented wrongly, or a bracket before it is not closed: keys of one mapping begin in one column",
  BAD_SCALAR_START: "begins with a character that needs quotes around the text",
  BLOCK_AS_IMPLICIT_KEY:
    'has two "key:" on one line, or the next line is indented too far; a text with ": " needs quotes',
  BLOCK_IN_FLOW: "begins lines of its own inside [ ] or { }: close the bracket first",
  DUPLICATE_KEY: "is written twice: remove one of them",
  KEY_OVER_1024_CHARS: "has a key that is too long",
  MISSING_CHAR: "lacks a character here: a closing quote or bracket, a comma, or the : and space after a key",
  MULTILINE_IMPLICIT_KEY:
    "has a key over several lines, or the next line is indented too far: is a : or a closing quote missing?",
  MULTIPLE_ANCHORS: "has two anchors (&): remove one",
  MULTIPLE_DOCS: "has a second document after ---: a policy is one document",
  MULTIPLE_TAGS: "has two tags (!): remove them",
  TAB_AS_INDENT: "is indented with a tab: use spaces",
  TAG_RESOLVE_FAILED: "has a tag (!): remove it",
};

/**
 * `20,00` in braces is 20 and a key named 00. `before` is the line up to that key; undefined where the key is
 * not the rest of a number.
 */
export function commaText(before: string, key: PropertyKey | undefined): string | undefined {
  const whole = /(?:^|[\s:])(\d+)[ \t]*,[ \t]*$/.exec(before)?.[1];
  const rest = String(key);
  if (whole === undefined || !/^\d+$/.test(rest)) return undefined;
  const thousands = rest.length === 3 ? `, or ${whole}${rest} without the comma` : "";
  return `is the rest of a number with a comma: write ${whole}.${rest}, with a point${thousands}`;
}

export function syntaxText(code: ErrorCode): string {
  return (
    TEXTS[code] ?? "cannot be read as YAML here: look for a missing quote, bracket, comma or : just before"
  );
}
