// The sentence in an upstream's error body, for an answer of our own: whichever of the usual shapes it has
// (problem+json, OpenAI's, FastAPI's, plain text). Web pages and what looks like a key are left out.

/** Bytes of an error body that are read for what they say. */
export const MOST_SAID = 16 * 1024;
/** A reason phrase holds 200 bytes, of which the rest says whose words these are. */
const LONGEST_WORDS = 160;

/** One line of printable ASCII; empty where it says nothing. */
export function saidIn(body: Uint8Array): string {
  const all = text.decode(body).trim();
  const words = all.startsWith("{") || all.startsWith("[") ? wordsOf(parse(all)) : all;
  if (words.startsWith("<")) return "";
  const line = words
    .replace(/\s+/g, " ")
    .replace(/[^ -~]/g, "?")
    .replace(KEY, "nvapi-***")
    .trim();
  return line.length > LONGEST_WORDS ? `${line.slice(0, LONGEST_WORDS - 3)}...` : line;
}

/** NVIDIA's keys: an upstream that says ours back must not say it to the client. */
const KEY = /nvapi-[\w-]+/g;

const text = new TextDecoder();

function parse(all: string): unknown {
  try {
    return JSON.parse(all);
  } catch {
    // Cut short or broken: it says nothing that can be shown.
    return undefined;
  }
}

function wordsOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  const { title, detail, message, error } = value as Readonly<Record<string, unknown>>;
  const [first] = Array.isArray(detail) ? detail : [];
  const said = [title, detail, message, error, memberOf(error, "message"), memberOf(first, "msg")];
  const words = said.filter((each) => typeof each === "string" && each !== "");
  return [...new Set(words)].join(": ");
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
