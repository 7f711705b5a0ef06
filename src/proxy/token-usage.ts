// How many tokens a reply says it took: read from the `usage` object at the end of an LLM's reply, streamed
// or not, of which only the tail is kept. What it does not find it does not guess.

/** Bytes of a reply that are kept; `usage` is the last thing in it. */
const TAIL_BYTES = 8 * 1024;

export interface TokenUsage {
  readonly input: number;
  readonly output: number;
}

/** Whether an LLM's reply to it ends with its usage, however it is priced. */
export function countsTokens(path: string): boolean {
  return LANGUAGE.test(path);
}

const LANGUAGE = /^\/v1\/(?:(?:chat\/)?completions|embeddings|responses|messages|ranking)(?:\?|$)/;

/**
 * Copies: a piece of a few bytes may be a view of a read of 64 KiB, and thousands of them would keep each
 * read alive, where an upstream pads its chunks with extensions.
 */
export class ReplyTail {
  /** Twice the tail, so that it moves down once in a while and not with each event. */
  readonly #kept = Buffer.allocUnsafe(2 * TAIL_BYTES);
  #end = 0;

  add(chunk: Buffer): void {
    const piece = chunk.subarray(-TAIL_BYTES);
    if (this.#end + piece.length > this.#kept.length) {
      this.#kept.copyWithin(0, this.#end - TAIL_BYTES, this.#end);
      this.#end = TAIL_BYTES;
    }
    this.#end += piece.copy(this.#kept, this.#end);
  }

  usage(): TokenUsage | undefined {
    return readUsage(this.#kept.toString("utf8", Math.max(0, this.#end - TAIL_BYTES), this.#end));
  }
}

/** The last `usage` that is an object with counts; a stream's earlier ones are null. */
export function readUsage(text: string): TokenUsage | undefined {
  for (let at = text.lastIndexOf(KEY); at !== -1; at = at === 0 ? -1 : text.lastIndexOf(KEY, at - 1)) {
    // Inside a string, where a model only talks about usage, the quote has a backslash before it.
    if (text.charAt(at - 1) === "\\") continue;
    const counts = countsIn(objectAfter(text, at + KEY.length));
    if (counts !== undefined) return counts;
  }
  return undefined;
}

const KEY = '"usage"';
/** Longer ones are not looked into. */
const LONGEST_USAGE = 2048;

function objectAfter(text: string, from: number): unknown {
  const open = /^\s*:\s*(?=\{)/.exec(text.slice(from, from + 64));
  if (open === null) return undefined;
  const start = from + open[0].length;
  let depth = 0;
  for (let at = start; at < Math.min(text.length, start + LONGEST_USAGE); at++) {
    const char = text.charAt(at);
    if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return parsed(text.slice(start, at + 1));
  }
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not the object that was looked for.
    return undefined;
  }
}

type Counter = "prompt_tokens" | "completion_tokens" | "input_tokens" | "output_tokens" | "total_tokens";

/** OpenAI says prompt and completion, its newer paths and Anthropic's say input and output. */
function countsIn(usage: unknown): TokenUsage | undefined {
  if (typeof usage !== "object" || usage === null) return undefined;
  const counts: Partial<Record<Counter, unknown>> = usage;
  const input = count(counts.prompt_tokens ?? counts.input_tokens);
  const output = count(counts.completion_tokens ?? counts.output_tokens);
  const total = count(counts.total_tokens);
  if (input === undefined) return undefined;
  if (output !== undefined) return { input, output };
  return total === undefined || total < input ? undefined : { input, output: total - input };
}

/** No reply takes as many: a larger count is a fault of the upstream, and then nobody counted. */
const MOST_TOKENS = 100_000_000;

function count(value: unknown): number | undefined {
  const isCount = typeof value === "number" && Number.isInteger(value) && value >= 0;
  return isCount && value <= MOST_TOKENS ? value : undefined;
}
