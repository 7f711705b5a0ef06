// How many images a body asks for, counted while it passes by on its way to the upstream: `n` and `samples`
// may stand behind a large picture, where nobody has looked before the request was decided.

import { formStream } from "./form-scan.ts";
import { type Scalar, TopLevelStream } from "./json-stream.ts";

/** More images in one request are counted as so many; no NIM makes as many. */
const MOST_IMAGES = 10_000;

export const IMAGE_KEYS: ReadonlySet<string> = new Set(["samples", "n"]);

export class ImageCount {
  readonly #stream: { readonly found: ReadonlyMap<string, Scalar>; push(bytes: Buffer): void };

  /** A body of another type is taken for JSON. */
  constructor(contentType: string | undefined) {
    this.#stream = formStream(contentType, IMAGE_KEYS) ?? new TopLevelStream(IMAGE_KEYS);
  }

  push(bytes: Buffer): void {
    this.#stream.push(bytes);
  }

  /** By what has passed so far; 1 where it does not say. */
  get images(): number {
    return imagesOf([...this.#stream.found.values()]);
  }
}

/** The largest of these counts: servers differ in which they take. */
export function imagesOf(said: readonly unknown[]): number {
  const counts = said.flatMap((value) => countOf(value) ?? []);
  return Math.min(MOST_IMAGES, Math.max(0, ...counts) || 1);
}

/**
 * A whole number >= 0. Servers that read leniently (pydantic does) take "4", "+4" and "0_4" for 4, so these
 * count here too: else four images would be had for the price of one. Anything else is the upstream's to
 * reject.
 */
export function countOf(value: unknown): number | undefined {
  const isSaid = typeof value === "string" && LENIENT.test(value);
  const number = isSaid ? Number(value.replaceAll("_", "")) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

const LENIENT = /^\s*\+?\d+(?:_\d+)*(?:\.0*)?\s*$/;
