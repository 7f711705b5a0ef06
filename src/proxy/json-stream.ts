// Reads single top-level values out of JSON that passes by in pieces and is never held, as json-scan.ts does
// of its beginning. It does not judge: what is no JSON says nothing, or nonsense that nobody asked for.

import { isSpace } from "./json-scan.ts";

export type Scalar = string | number | boolean | null;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x7b, 0x5b]);
const CLOSE = new Set([0x7d, 0x5d]);
const OPEN_BRACE = 0x7b;
const COLON = 0x3a;
const COMMA = 0x2c;
/** Of a key or value that is kept: a longer one is passed over. */
const LONGEST = 256;

export class TopLevelStream {
  readonly #wanted: ReadonlySet<string>;
  readonly #found = new Map<string, Scalar>();
  #depth = 0;
  #isOver = false;
  #inString = false;
  #isEscaped = false;
  /** Of the outermost object: what stands there now, as it was written; undefined where it is too long. */
  #token: string | undefined = "";
  #key: string | undefined;
  #isValue = false;

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  /** The wanted keys so far. Of a key that stands twice the last counts, as in JSON.parse. */
  get found(): ReadonlyMap<string, Scalar> {
    return this.#found;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.#isOver; at++) {
      const byte = bytes[at] as number;
      if (this.#inString) this.#inText(byte);
      else if (this.#depth === 0) this.#begin(byte);
      else this.#between(byte);
    }
  }

  #inText(byte: number): void {
    if (this.#depth === 1) this.#keep(byte);
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  /** Past a byte order mark and space. */
  #begin(byte: number): void {
    if (byte === OPEN_BRACE) this.#depth = 1;
    else if (!isSpace(byte) && byte < 0x80) this.#isOver = true;
  }

  #between(byte: number): void {
    if (byte === QUOTE) this.#inString = true;
    if (OPEN.has(byte)) this.#depth += 1;
    const isOuter = this.#depth === 1;
    if (CLOSE.has(byte)) {
      if (isOuter) this.#endValue();
      this.#depth -= 1;
      this.#isOver = this.#depth === 0;
      // An object or a list is no value that is wanted, and takes the place of an earlier one.
      if (this.#depth === 1) this.#token = undefined;
      return;
    }
    if (!isOuter || isSpace(byte)) return;
    if (byte === COMMA) this.#endValue();
    else if (byte === COLON && !this.#isValue) this.#endKey();
    else this.#keep(byte);
  }

  #keep(byte: number): void {
    if (this.#token === undefined) return;
    if (this.#token.length < LONGEST) this.#token += String.fromCharCode(byte);
    else this.#token = undefined;
  }

  #endKey(): void {
    const key = parsed(this.#token);
    this.#key = typeof key === "string" && this.#wanted.has(key) ? key : undefined;
    this.#token = "";
    this.#isValue = true;
  }

  #endValue(): void {
    const value = parsed(this.#token);
    if (this.#isValue && this.#key !== undefined) {
      if (value === undefined) this.#found.delete(this.#key);
      else this.#found.set(this.#key, value);
    }
    this.#token = "";
    this.#key = undefined;
    this.#isValue = false;
  }
}

function parsed(token: string | undefined): Scalar | undefined {
  if (token === undefined || token === "") return undefined;
  try {
    return JSON.parse(token) as Scalar;
  } catch {
    // Not a JSON value: as good as absent here.
    return undefined;
  }
}
