// Reads single top-level values out of JSON that may be cut off anywhere, without parsing the rest of it.
// It does not judge: what it cannot make sense of ends the scan, and json-fault.ts says what is wrong.

/** A value and where it stands: bytes [start, end) of the text. */
export interface Found {
  /** A string, a number, true, false or null; objects and arrays are passed over. */
  readonly value: string | number | boolean | null;
  readonly start: number;
  readonly end: number;
}

/** The wanted keys of the outermost object. Of a key that stands twice the last counts, as in JSON.parse. */
export function scanTopLevel(bytes: Buffer, wanted: ReadonlySet<string>): Map<string, Found> {
  const found = new Map<string, Found>();
  let at = skipSpace(bytes, startOf(bytes));
  if (bytes[at] !== OPEN_BRACE) return found;
  at = skipSpace(bytes, at + 1);
  while (bytes[at] === QUOTE) {
    const keyEnd = stringEnd(bytes, at);
    const colon = keyEnd === undefined ? undefined : skipSpace(bytes, keyEnd);
    if (keyEnd === undefined || colon === undefined || bytes[colon] !== COLON) break;
    const start = skipSpace(bytes, colon + 1);
    const end = valueEnd(bytes, start);
    if (end === undefined) break;
    const key = keyAt(bytes, at, keyEnd);
    if (typeof key === "string" && wanted.has(key)) note(found, key, bytes, start, end);
    at = skipSpace(bytes, end);
    if (bytes[at] !== COMMA) break;
    at = skipSpace(bytes, at + 1);
  }
  return found;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
/** No name or number that is looked for is longer. */
const LONGEST_VALUE = 1024;

/** Past a byte order mark. */
export function startOf(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isSpace(bytes[at])) at++;
  return at;
}

/** Past the closing quote of the string that opens at `from`. */
function stringEnd(bytes: Uint8Array, from: number): number | undefined {
  for (let at = from + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at + 1;
  }
  return undefined;
}

function valueEnd(bytes: Uint8Array, from: number): number | undefined {
  const first = bytes[from];
  if (first === QUOTE) return stringEnd(bytes, from);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return nestedEnd(bytes, from);
  // A number that touches the end of the text may go on beyond it.
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === COMMA || byte === CLOSE_BRACE || isSpace(byte)) return at;
  }
  return undefined;
}

function nestedEnd(bytes: Uint8Array, from: number): number | undefined {
  let depth = 0;
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      const end = stringEnd(bytes, at);
      if (end === undefined) return undefined;
      at = end;
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) return at + 1;
    at++;
  }
  return undefined;
}

function note(found: Map<string, Found>, key: string, bytes: Buffer, start: number, end: number): void {
  const value = decode(bytes, start, end);
  // The last one counts: one that is of no use takes an earlier one's place too.
  if (value === undefined || (typeof value === "object" && value !== null)) found.delete(key);
  else found.set(key, { value, start, end });
}

/** All that is wanted is ASCII: only a key that is written with escapes must be parsed to be known. */
function keyAt(bytes: Buffer, start: number, end: number): Found["value"] | object | undefined {
  const plain = bytes.toString("latin1", start + 1, end - 1);
  return plain.includes("\\") ? decode(bytes, start, end) : plain;
}

function decode(bytes: Buffer, start: number, end: number): Found["value"] | object | undefined {
  if (end - start > LONGEST_VALUE) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8", start, end)) as Found["value"] | object;
  } catch {
    // Not a JSON value: as good as absent here.
    return undefined;
  }
}
