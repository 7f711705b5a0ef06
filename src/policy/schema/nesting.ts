// Whether a YAML text is too much to be parsed, found in one pass without recursion: the parser behind it
// recurses and makes an object of each mistake: 100 000 brackets would hold up the whole gateway.

import { CST, Lexer } from "yaml";

/** What a text may have: levels, and tokens besides space and comments. */
export interface Bounds {
  readonly levels: number;
  readonly tokens: number;
}

/**
 * The offset at which the text passes one of the bounds, if it does. Levels of flow collections are counted
 * exactly; those of block collections are told by the columns at which keys and dashes stand, which may count
 * one or two more than there are, and at least half of them.
 */
export function beyond(
  text: string,
  most: Bounds,
): { readonly bound: keyof Bounds; readonly offset: number } | undefined {
  const columns: number[] = [];
  let flows = 0;
  let tokens = 0;
  for (const { type, token, offset, column } of pieces(text)) {
    if (type === "flow-seq-start" || type === "flow-map-start") flows += 1;
    else if (type === "flow-seq-end" || type === "flow-map-end") flows = Math.max(0, flows - 1);
    else if (flows === 0 && OPENS_BLOCK.has(type)) enter(columns, column);
    if (flows + columns.length > most.levels) return { bound: "levels", offset };
    tokens += weight(type, token);
    if (tokens > most.tokens) return { bound: "tokens", offset };
  }
  return undefined;
}

/** Each token, and each escape in a text, can become an error object of the parser's. */
function weight(type: PieceType, token: string): number {
  if (type === "space" || type === "newline" || type === "comment") return 0;
  return type === "double-quoted-scalar" ? token.split("\\").length : 1;
}

type PieceType = CST.TokenType | null;

const OPENS_BLOCK: ReadonlySet<PieceType> = new Set<PieceType>([
  "seq-item-ind",
  "explicit-key-ind",
  "map-value-ind",
  "alias",
  "scalar",
  "single-quoted-scalar",
  "double-quoted-scalar",
]);

function enter(columns: number[], column: number): void {
  while ((columns.at(-1) ?? -1) > column) columns.pop();
  if ((columns.at(-1) ?? -1) < column) columns.push(column);
}

interface Piece {
  readonly type: PieceType;
  readonly token: string;
  readonly offset: number;
  readonly column: number;
}

/** The lexer's tokens with their places, and without its marks, which are no text of the file. */
function* pieces(text: string): Generator<Piece> {
  let offset = 0;
  let lineStart = 0;
  let marked = false;
  let inBlockScalar = false;
  for (const token of new Lexer().lex(text)) {
    if (token === CST.DOCUMENT || token === CST.FLOW_END || token === CST.SCALAR) {
      marked = token === CST.SCALAR;
      continue;
    }
    // The text of a scalar may look like any other token; that of a block scalar begins at column 0.
    const type: PieceType = marked ? (inBlockScalar ? null : "scalar") : CST.tokenType(token);
    yield { type, token, offset, column: offset - lineStart };
    inBlockScalar = type === "block-scalar-header" || (inBlockScalar && !marked);
    marked = false;
    offset += token.length;
    const lineBreak = token.lastIndexOf("\n");
    if (lineBreak >= 0) lineStart = offset - token.length + lineBreak + 1;
  }
}
