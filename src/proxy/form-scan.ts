// Reads single short fields out of forms that pass by in pieces and may be cut off anywhere: multipart (RFC
// 7578) and urlencoded. It does not judge, looks into no file, and holds no more than one short field.

/** Of a field that stands several times the largest counts: some servers take the first, some the last. */
export interface FormStream {
  readonly found: ReadonlyMap<string, string>;
  push(bytes: Buffer): void;
}

/** Undefined where the type is no form's. */
export function formStream(
  contentType: string | undefined,
  wanted: ReadonlySet<string>,
): FormStream | undefined {
  const boundary = boundaryOf(contentType);
  if (boundary !== undefined) return new PartStream(boundary, wanted);
  const isEncoded = /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i.test(contentType ?? "");
  return isEncoded ? new PairStream(wanted) : undefined;
}

function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^\s*multipart\/form-data\s*;/i.test(contentType ?? "")) return undefined;
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? "") ?? [];
  return quoted ?? plain;
}

class Fields {
  readonly found = new Map<string, string>();
  readonly #wanted: ReadonlySet<string>;

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  note(name: string, value: string): void {
    const before = this.found.get(name);
    if (!this.#wanted.has(name) || (before !== undefined && Number(before) >= Number(value))) return;
    this.found.set(name, value);
  }
}

/** A part with its head; a longer one is a file, and passed over. */
const LONGEST_PART = 4096;

class PartStream implements FormStream {
  readonly #fields: Fields;
  readonly #sign: Buffer;
  /** From the beginning of the part that has begun, or the end of one that is passed over. */
  #kept: Buffer = Buffer.alloc(0);
  #isPart = false;

  constructor(boundary: string, wanted: ReadonlySet<string>) {
    this.#fields = new Fields(wanted);
    this.#sign = Buffer.from(`--${boundary}`, "latin1");
  }

  get found(): ReadonlyMap<string, string> {
    return this.#fields.found;
  }

  push(bytes: Buffer): void {
    const sign = this.#sign;
    const all = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    // A sign may have begun in what was kept.
    let from = Math.max(0, this.#kept.length - sign.length + 1);
    let start = this.#isPart ? 0 : undefined;
    for (let at = all.indexOf(sign, from); at >= 0; at = all.indexOf(sign, from)) {
      if (start !== undefined && at - start <= LONGEST_PART) this.#note(all.toString("latin1", start, at));
      start = at + sign.length;
      from = start;
    }
    this.#isPart = start !== undefined && all.length - start <= LONGEST_PART;
    const rest = this.#isPart ? start : Math.max(0, all.length - sign.length + 1);
    // Copied: a view would keep the whole piece.
    this.#kept = Buffer.from(all.subarray(rest));
  }

  #note(part: string): void {
    const [, head = "", value = ""] = PART.exec(part) ?? [];
    const [, quoted, plain] = DISPOSITION.exec(head) ?? [];
    this.#fields.note(quoted ?? plain ?? "", value);
  }
}

const PART = /^[^\n]*\n((?:[^\r\n]+\r?\n)+)\r?\n([\s\S]{0,64}?)\r?\n$/;
const DISPOSITION = /^content-disposition:[^\n]*?;\s*name=(?:"([^"\n]*)"|([^\s;"]+))/im;

/** Of a name and its value, percent signs included. */
const LONGEST_PAIR = 256;

class PairStream implements FormStream {
  readonly #fields: Fields;
  /** What has begun; undefined where it is too long to be wanted. */
  #kept: string | undefined = "";

  constructor(wanted: ReadonlySet<string>) {
    this.#fields = new Fields(wanted);
  }

  get found(): ReadonlyMap<string, string> {
    // The last one ends with the form.
    this.#note(this.#kept);
    return this.#fields.found;
  }

  push(bytes: Buffer): void {
    const [first = "", ...others] = bytes.toString("latin1").split("&");
    this.#keep(this.#kept, first);
    for (const pair of others) {
      this.#note(this.#kept);
      this.#keep("", pair);
    }
  }

  #keep(before: string | undefined, more: string): void {
    const isShort = before !== undefined && before.length + more.length <= LONGEST_PAIR;
    this.#kept = isShort ? before + more : undefined;
  }

  #note(pair: string | undefined): void {
    for (const [name, value] of new URLSearchParams(pair ?? "")) this.#fields.note(name, value);
  }
}
