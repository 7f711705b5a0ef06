// Finds the functions of a source and how many lines each takes, by its brackets alone.

import { lineAt, type Source } from "./tidy-source.ts";

export interface FunctionSpan {
  /** The line of its parameters' opening bracket, counted from 1. */
  readonly line: number;
  /** From there to its closing brace, both included. */
  readonly lines: number;
}

/** Functions with a body in braces; an arrow with a bare expression is as long as its statement. */
export function functionsOf(source: Source): FunctionSpan[] {
  const found: FunctionSpan[] = [];
  const open: number[] = [];
  for (const match of source.code.matchAll(/[{}]/g)) {
    if (match[0] === "{") {
      open.push(match.index);
      continue;
    }
    const body = open.pop();
    const start = body === undefined ? undefined : functionStart(source.code, body);
    if (start === undefined) continue;
    const line = lineAt(source.code, start);
    found.push({ line, lines: lineAt(source.code, match.index) - line + 1 });
  }
  return found;
}

const CONTROL = /\b(?:if|for|while|switch|catch|with|await)\s*$/;
/** What may stand between a parameter list and its body: a return type, and an arrow. */
const RETURN_TYPE = /\)\s*(?::(?:[^;{}()]|\([^()]*\)|(?<=(?:[:|&<,]|\bis)\s*)\{[^{}]*\})*)?(?:=>)?\s*$/;

/** Where the parameters of the function whose body opens at `body` begin; undefined if it is no function. */
function functionStart(code: string, body: number): number | undefined {
  const head = code.slice(0, body);
  const close = RETURN_TYPE.exec(head)?.index;
  if (close === undefined || /[:?&|(,=<]\s*$/.test(head)) return /=>\s*$/.test(head) ? body : undefined;
  const start = openingOf(head, close);
  return CONTROL.test(head.slice(0, start)) ? undefined : start;
}

function openingOf(code: string, close: number): number {
  let depth = 0;
  for (let at = close; at >= 0; at--) {
    if (code.charAt(at) === ")") depth++;
    else if (code.charAt(at) === "(" && --depth === 0) return at;
  }
  return 0;
}
