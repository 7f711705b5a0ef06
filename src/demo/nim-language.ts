// What the three language routes share: which model, how long the answer is, what it says and what it counts.
// A token is a word here, so that a reader can count along.

import { createHash } from "node:crypto";
import { jsonReply, type Reply } from "./nim-reply.ts";
import { type Call, isObject, parseJsonBody, type Simulated } from "./nim-route.ts";

/** Simulated tokens per simulated second: reading the prompt, writing the answer. */
const READ_PER_SECOND = 1000;
const WRITTEN_PER_SECOND = 50;
const MOST_TOKENS = 100_000;
const WORDS = (
  "the light falls on a quiet harbour while small boats turn with the wind and someone counts what " +
  "every hour costs before the lamp is lit again over green water"
).split(" ");

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** What is wrong with a request, thrown out of the reading and turned into a reply in one place. */
export class BadRequest extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;

  constructor(status: number, code: string, param: string | null, message: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** One request body of a language route, read as OpenAI's API reads it. */
export interface LanguageBody {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly model: string;
}

/** Runs a language route; a BadRequest becomes OpenAI's error object. */
export function languageRoute(run: (body: LanguageBody, call: Call) => Reply | Promise<Reply>) {
  return async (call: Call): Promise<Reply> => {
    try {
      return await run(readBody(call.body, call.nim), call);
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      const { message, param, code } = error;
      return jsonReply(error.status, { error: { message, type: "invalid_request_error", param, code } });
    }
  };
}

function readBody(body: Buffer, nim: Simulated): LanguageBody {
  const json = parseJsonBody(body);
  if (!json || !isObject(json.value)) {
    throw new BadRequest(400, "invalid_json", null, "We could not parse the JSON body of your request.");
  }
  const { model } = json.value;
  if (model === undefined) throw missing("model");
  if (typeof model !== "string" || !nim.models.includes(model)) {
    throw new BadRequest(404, "model_not_found", "model", `The model \`${model}\` does not exist.`);
  }
  return { fields: json.value, model };
}

export function missing(param: string): BadRequest {
  return new BadRequest(400, "missing_required_field", param, `Missing required parameter: '${param}'.`);
}

export function illTyped(param: string, expected: string): BadRequest {
  return new BadRequest(400, "invalid_type", param, `Invalid type for '${param}': expected ${expected}.`);
}

/** A whole number from `min` to `max`, or `fallback` where the body has none (or null). */
export function wholeNumber(
  { fields }: LanguageBody,
  param: string,
  { min, max }: { readonly min: number; readonly max: number },
  fallback: number,
): number {
  const value = fields[param] ?? fallback;
  if (typeof value !== "number" || !Number.isInteger(value)) throw illTyped(param, "an integer");
  if (value >= min && value <= max) return value;
  const message = `Invalid '${param}': ${value} is not between ${min} and ${max}.`;
  throw new BadRequest(400, "invalid_value", param, message);
}

export interface Answer {
  /** One word each, with the blank that follows it. */
  readonly tokens: readonly string[];
  readonly finishReason: "stop" | "length";
}

/** Equal prompts get equal answers. `max_tokens` cuts it, `min_tokens` stretches it. */
export function answerTo(body: LanguageBody, prompt: string, choice: number): Answer {
  const range = { min: 1, max: MOST_TOKENS };
  const limit = wholeNumber(body, "max_completion_tokens", range, MOST_TOKENS);
  const most = wholeNumber(body, "max_tokens", range, limit);
  const least = wholeNumber(body, "min_tokens", { min: 0, max: MOST_TOKENS }, 0);
  const bytes = digest(`${choice}\n${prompt}`);
  const natural = Math.max(least, 24 + ((bytes[0] ?? 0) % 41));
  const count = Math.min(natural, most);
  const tokens = Array.from({ length: count }, (_, at) => {
    const word = WORDS[((bytes[at % bytes.length] ?? 0) + at) % WORDS.length] ?? "";
    return at === count - 1 ? word : `${word} `;
  });
  return { tokens, finishReason: count < natural ? "length" : "stop" };
}

export function countTokens(text: string): number {
  return text.split(/\s+/).filter((word) => word !== "").length;
}

/** Simulated seconds until `written` tokens are out. */
export function secondsOf(read: number, written: number): number {
  return read / READ_PER_SECOND + written / WRITTEN_PER_SECOND;
}

/** Counts it in the metrics, too. */
export function usageOf(nim: Simulated, read: number, written: number): Usage {
  nim.tally.promptTokens += read;
  nim.tally.generationTokens += written;
  return { prompt_tokens: read, completion_tokens: written, total_tokens: read + written };
}

export function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
