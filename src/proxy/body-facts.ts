// What a request body says about the work it asks for: read from its first 64 KiB, or found to be no JSON.
// It knows nothing of where the body comes from or what is decided by it.

import type { Picture, Work } from "../policy/task.ts";
import { formStream } from "./form-scan.ts";
import { countOf, IMAGE_KEYS, imagesOf } from "./image-count.ts";
import { findJsonFault, type JsonFault } from "./json-fault.ts";
import { type Found, scanTopLevel, startOf } from "./json-scan.ts";
import { pictureOf } from "./picture-facts.ts";

export type BodyFacts =
  | {
      readonly kind: "facts";
      readonly work: Omit<Work, "bytes">;
      readonly model: ModelName | undefined;
      /** `background: true`, as lenient servers read it. */
      readonly isBackground: boolean;
    }
  /** The whole body was looked at and is not JSON, though it says that it is. */
  | { readonly kind: "invalid"; readonly fault: JsonFault };

/** The JSON `model` value, and which bytes of the body it takes, quotes included. */
export interface ModelName {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export interface Body {
  readonly bytes: Buffer;
  /** Whether `bytes` is all of it. */
  readonly isWhole: boolean;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

/** A larger number says "no limit", or nothing: no model writes a reply of as many tokens. */
const MOST_TOKENS = 100_000_000;

export function readFacts(body: Body): BodyFacts {
  if (!isPlain(body.contentEncoding) || body.bytes.length === 0) return facts(new Map(), UNREAD);
  let picture: Picture = UNREAD;
  if (body.isWhole && saysJson(body.contentType)) {
    const parsed = parse(body.bytes);
    const fault = parsed === undefined ? findJsonFault(body.bytes) : undefined;
    if (fault !== undefined) return { kind: "invalid", fault };
    if (parsed !== undefined) picture = pictureOf(parsed.value);
  }
  const form = formStream(body.contentType, IMAGE_KEYS);
  if (form !== undefined) {
    // Of a form no more is read: how many pictures it asks for.
    form.push(body.bytes);
    return facts(new Map([...form.found].map(([key, value]) => [key, { value, start: 0, end: 0 }])), UNREAD);
  }
  return facts(scanTopLevel(body.bytes, WANTED), picture);
}

const UNREAD: Picture = { kind: "unread" };

const WANTED: ReadonlySet<string> = new Set([
  "model",
  "width",
  "height",
  "steps",
  "samples",
  "n",
  "stream",
  "background",
  "max_tokens",
  "max_completion_tokens",
  "max_output_tokens",
]);

function facts(found: ReadonlyMap<string, Found>, picture: Picture): BodyFacts {
  const model = found.get("model");
  const name = typeof model?.value === "string" ? model.value : undefined;
  return {
    kind: "facts",
    model:
      model === undefined || name === undefined ? undefined : { name, start: model.start, end: model.end },
    isBackground: YES.test(String(found.get("background")?.value)),
    work: {
      images: imagesOf([...IMAGE_KEYS].map((key) => found.get(key)?.value)),
      width: countOf(found.get("width")?.value),
      height: countOf(found.get("height")?.value),
      steps: countOf(found.get("steps")?.value),
      maxTokens: largest(found, ["max_tokens", "max_completion_tokens", "max_output_tokens"]),
      stream: found.get("stream")?.value === true,
      picture,
    },
  };
}

/** Of the counts that these keys have; one above the most is not said. */
function largest(found: ReadonlyMap<string, Found>, keys: readonly string[]): number | undefined {
  const all = keys.flatMap((key) => countOf(found.get(key)?.value) ?? []);
  const counts = all.filter((each) => each <= MOST_TOKENS);
  return counts.length === 0 ? undefined : Math.max(...counts);
}

/** What pydantic takes for true. */
const YES = /^(?:true|1|1\.0|t|yes|y|on)$/i;

export function isPlain(encoding: string | undefined): boolean {
  return encoding === undefined || encoding.trim().toLowerCase() === "identity";
}

/** A body without a type is taken for JSON, as NIMs take it. */
function saysJson(type: string | undefined): boolean {
  return type === undefined || /^\s*application\/(?:[\w.-]+\+)?json\b/i.test(type);
}

function parse(bytes: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(bytes.toString("utf8", startOf(bytes))) };
  } catch {
    // What is wrong, and where, is findJsonFault's to say.
    return undefined;
  }
}
