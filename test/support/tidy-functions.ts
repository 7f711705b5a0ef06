// Finds the functions of a source and how many lines each takes. The parser is the one that knip stands on:
// TypeScript 7 has no stable one of its own to call.

import { parseSync, type Span, Visitor } from "oxc-parser";
import { lineAt, type Source } from "./tidy-source.ts";

export interface FunctionSpan {
  /** Where it begins, counted from 1; a method begins with its parameters. */
  readonly line: number;
  /** From there to its end, both included. */
  readonly lines: number;
}

/** Functions, methods, arrows with and without braces, and the static blocks of classes. */
export function functionsOf({ path, text }: Source): FunctionSpan[] {
  const found: FunctionSpan[] = [];
  const add = ({ start, end }: Span): void => {
    const line = lineAt(text, start);
    found.push({ line, lines: lineAt(text, end) - line + 1 });
  };
  new Visitor({
    FunctionDeclaration: add,
    FunctionExpression: add,
    ArrowFunctionExpression: add,
    StaticBlock: add,
  }).visit(parseSync(path, text).program);
  return found;
}
