// POST /v1/embeddings: a vector of length 1 per input, made from its hash.

import {
  countTokens,
  digest,
  type LanguageBody,
  languageRoute,
  secondsOf,
  usageOf,
  wholeNumber,
} from "./nim-language.ts";
import { startPace } from "./nim-pace.ts";
import { readPrompts } from "./nim-prompt.ts";
import { jsonReply } from "./nim-reply.ts";

const DIMENSIONS = 64;

export const embeddings = languageRoute(async (body, { nim, signal }) => {
  const inputs = readPrompts(body, "input");
  const dimensions = wholeNumber(body, "dimensions", { min: 1, max: 4096 }, DIMENSIONS);
  const read = inputs.reduce((sum, input) => sum + countTokens(input), 0);
  await startPace(nim.scale, signal).until(secondsOf(read, 0));
  const data = inputs.map((input, index) => ({
    object: "embedding",
    index,
    embedding: encode(body, vectorOf(input, dimensions)),
  }));
  const { prompt_tokens, total_tokens } = usageOf(nim, read, 0);
  return jsonReply(200, { object: "list", data, model: body.model, usage: { prompt_tokens, total_tokens } });
});

/** OpenAI's JavaScript client asks for base64 unless told otherwise. */
function encode({ fields }: LanguageBody, vector: Float32Array): string | readonly number[] {
  if (fields.encoding_format !== "base64") return [...vector];
  return Buffer.from(vector.buffer).toString("base64");
}

function vectorOf(text: string, dimensions: number): Float32Array {
  const bytes = digest(text);
  const raw = Float32Array.from({ length: dimensions }, (_, at) =>
    Math.sin((bytes[at % bytes.length] ?? 0) + at),
  );
  const length = Math.hypot(...raw) || 1;
  return raw.map((value) => value / length);
}
