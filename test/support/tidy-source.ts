// Reads TypeScript just far enough for the house rules: what is code, what is comment, what is quoted.
// It knows no syntax beyond that, because TypeScript 7 has no stable parser to call.

export interface Source {
  /** Relative to the project, with forward slashes: "src/policy/rank.ts". */
  readonly path: string;
  readonly text: string;
  /** As long as `text`, but blank where comments, quoted text and regular expressions stand. */
  readonly code: string;
  /** As long as `text`, but blank where anything but comments stands. */
  readonly comments: string;
}

export function readSource(path: string, text: string): Source {
  let code = "";
  let comments = "";
  for (const token of tokens(text)) {
    const blank = token.text.replace(/[^\n]/g, " ");
    code += token.kind === "code" ? token.text : token.kind === "quoted" ? onlyEnds(token.text) : blank;
    comments += token.kind === "comment" ? token.text : blank;
  }
  return { path, text, code, comments };
}

/** Counts from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** The text between the quotes that open at `offset` of the code. */
export function quotedAt(source: Source, offset: number): string {
  const quote = source.code.charAt(offset);
  return source.text.slice(offset + 1, source.code.indexOf(quote, offset + 1));
}

interface Token {
  readonly kind: "code" | "comment" | "quoted";
  readonly text: string;
}

const COMMENT = /\/\/[^\n]*|\/\*.*?(?:\*\/|$)/sy;
const STRING = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/sy;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//y;
/** From a backtick, or from the brace that ends an inserted expression, to the next insertion or the end. */
const TEMPLATE = /[`}](?:\\.|\$(?!\{)|[^`$\\])*(?:`|\$\{|$)/sy;
const WORD = /[\w$]+|\s+|./sy;

function* tokens(text: string): Generator<Token> {
  const braces: ("block" | "template")[] = [];
  let before = "";
  for (let at = 0; at < text.length; ) {
    const match = (pattern: RegExp) => {
      pattern.lastIndex = at;
      return pattern.exec(text)?.[0];
    };
    const next = text.charAt(at);
    const comment = match(COMMENT);
    const inTemplate = next === "`" || (next === "}" && braces.pop() === "template");
    const regexp = next === "/" && expectsValue(before) ? match(REGEXP) : undefined;
    const quoted = inTemplate ? match(TEMPLATE) : (regexp ?? match(STRING));
    const taken = comment ?? quoted ?? match(WORD) ?? next;
    if (inTemplate && taken.endsWith("${")) braces.push("template");
    else if (next === "{") braces.push("block");
    if (comment === undefined && taken.trim() !== "") before = taken;
    at += taken.length;
    yield { kind: comment ? "comment" : quoted ? "quoted" : "code", text: taken };
  }
}

/** Whether a slash after this token begins a regular expression, not a division. */
function expectsValue(before: string): boolean {
  return /^(?:return|typeof|case|in|of|await|yield|=>|[^\w$)\]}"'`]|)$/.test(before);
}

/** Blanks all but the quotes, and the braces of an insertion, so that brackets stay balanced. */
function onlyEnds(quoted: string): string {
  const last = quoted.endsWith("${") ? 2 : 1;
  const inside = quoted.slice(1, -last).replace(/[^\n]/g, " ");
  return quoted.charAt(0) + inside + quoted.slice(-last);
}
