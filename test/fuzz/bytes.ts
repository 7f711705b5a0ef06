// How a message is spoilt and how it is cut into pieces: what both sides of the torture have in common.

import fc from "fast-check";

/** A message as the parts that a spoiler works on; joined, it is what would be sent. */
export type Parts = readonly string[];

export interface Spoiling {
  readonly at: number;
  readonly how: "delete" | "double" | "swap" | "flip" | "replace" | "insert" | "cut";
  readonly bit: number;
  readonly nasty: string;
}

/** Pieces of HTTP that have fooled parsers; the two long ones are named, so that a failing case can be read. */
export const NASTY: readonly string[] = [
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  "\x0b",
  "\xff",
  ":",
  "\r\n",
  "\r\n\r\n",
  "\r\n folded",
  "Content-Length: 5\r\n",
  "content-length: 0\r\n",
  "Content-Length: -1\r\n",
  "Content-Length: +5\r\n",
  "Content-Length: 5, 5\r\n",
  "Content-Length: 99999999999999999999\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: \x0bchunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "Connection: close\r\n",
  "Connection: Content-Length\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "Expect: 100-continue\r\n",
  "Trailer: X\r\n",
  "__proto__: x\r\n",
  "LONG",
  "MANY",
  "0\r\n\r\n",
  "-1\r\n",
  "5;a=\r\n",
  '5;a="\n"\r\n',
  "ffffffffffffffff\r\n",
  "0x5\r\n",
  "5 \r\n",
  " HTTP/1.0",
  " HTTP/2.0",
];

const spoiling: fc.Arbitrary<Spoiling> = fc.record({
  at: fc.nat({ max: 10_000 }),
  how: fc.constantFrom("delete", "double", "swap", "flip", "replace", "insert", "cut"),
  bit: fc.nat({ max: 4095 }),
  nasty: fc.constantFrom(...NASTY),
});

/** None in about every fifth case: what is right must get through. */
export const spoilings: fc.Arbitrary<Spoiling[]> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Spoiling[]>([]) },
  { weight: 4, arbitrary: fc.array(spoiling, { minLength: 1, maxLength: 3 }) },
);

export function spoil(parts: Parts, all: readonly Spoiling[]): string {
  let spoilt = [...parts];
  for (const { at, how, bit, nasty } of all) {
    if (spoilt.length === 0) break;
    const place = at % spoilt.length;
    const [part = "", next = ""] = [spoilt[place], spoilt[place + 1]];
    if (how === "delete") spoilt.splice(place, 1);
    else if (how === "double") spoilt.splice(place, 0, part);
    else if (how === "swap") spoilt.splice(place, 2, next, part);
    else if (how === "flip") spoilt[place] = flip(part, bit);
    else if (how === "replace") spoilt[place] = nasty;
    else if (how === "insert") spoilt.splice(place, 0, nasty);
    else spoilt = spoilt.slice(0, place);
  }
  return spoilt
    .join("")
    .replace("LONG", `X-Long: ${"y".repeat(20_000)}\r\n`)
    .replace("MANY", "X-Many: y\r\n".repeat(500));
}

function flip(part: string, bit: number): string {
  const bytes = Buffer.from(part, "latin1");
  const at = bytes.length === 0 ? 0 : (bit >> 3) % bytes.length;
  if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
  return bytes.toString("latin1");
}

/** Whole, byte by byte, or at so many places. */
export const cuts: fc.Arbitrary<"whole" | "bytes" | number[]> = fc.oneof(
  fc.constant("whole" as const),
  fc.constant("bytes" as const),
  fc.array(fc.nat({ max: 5000 }), { minLength: 1, maxLength: 6 }),
);

/** Beyond this a message is not sent byte by byte: it would take a second to say what a hundred say. */
const MOST_PIECES = 400;

export function cut(text: string, how: "whole" | "bytes" | readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  if (how === "whole" || bytes.length === 0) return [bytes];
  const size = Math.ceil(bytes.length / MOST_PIECES);
  const places =
    how === "bytes"
      ? Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => at * size)
      : how.map((place) => place % bytes.length);
  const sorted = [...new Set([0, ...places, bytes.length])].sort((a, b) => a - b);
  return sorted.slice(1).map((end, at) => bytes.subarray(sorted[at], end));
}

/** A body as chunks of these sizes, in turn; every other one has an extension. */
export function chunked(body: string, sizes: readonly number[]): string[] {
  const parts: string[] = [];
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const size = Math.min(sizes[turn % sizes.length] ?? 1, body.length - at);
    parts.push(size.toString(16), turn % 2 === 0 ? "" : ";ext=1", "\r\n", body.slice(at, at + size), "\r\n");
    at += size;
  }
  return [...parts, "0", "\r\n", "\r\n"];
}

/** Longer than all windows and buffers on its way; named, so that a failing case can be read. */
export function grown(body: string): string {
  return body === "BIG" ? JSON.stringify("big".repeat(40_000)) : body;
}
