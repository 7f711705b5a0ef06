// POST /v1/chat/completions and /v1/completions: one way to generate, two shapes to say it in, whole or as
// server-sent events.

import { CREATED } from "./nim-about.ts";
import {
  type Answer,
  answerTo,
  countTokens,
  digest,
  type LanguageBody,
  languageRoute,
  secondsOf,
  usageOf,
  wholeNumber,
} from "./nim-language.ts";
import { startPace } from "./nim-pace.ts";
import { readMessages, readPrompts } from "./nim-prompt.ts";
import { eventReply, jsonReply, type Reply } from "./nim-reply.ts";
import { type Call, isObject } from "./nim-route.ts";

type Finish = "stop" | "length" | null;

/** How one API shapes what another says in other words. */
interface Shape {
  readonly idPrefix: string;
  readonly object: string;
  readonly chunkObject: string;
  readonly whole: (text: string) => object;
  /** undefined where the shape has no opening chunk. */
  readonly opening: object | undefined;
  readonly piece: (text: string) => object;
  readonly closing: object;
}

const CHAT: Shape = {
  idPrefix: "chatcmpl-",
  object: "chat.completion",
  chunkObject: "chat.completion.chunk",
  whole: (text) => ({ message: { role: "assistant", content: text } }),
  opening: { delta: { role: "assistant", content: "" } },
  piece: (text) => ({ delta: { content: text } }),
  closing: { delta: {} },
};

const COMPLETION: Shape = {
  idPrefix: "cmpl-",
  object: "text_completion",
  chunkObject: "text_completion",
  whole: (text) => ({ text }),
  opening: undefined,
  piece: (text) => ({ text }),
  closing: { text: "" },
};

export const chatCompletions = languageRoute((body, call) =>
  generate(CHAT, [readMessages(body)], body, call),
);

export const completions = languageRoute((body, call) =>
  generate(COMPLETION, readPrompts(body, "prompt"), body, call),
);

/** Everything that is decided before the first token. */
interface Job {
  readonly shape: Shape;
  readonly head: { readonly id: string; readonly created: number; readonly model: string };
  readonly answers: readonly Answer[];
  readonly read: number;
  readonly written: number;
}

async function generate(
  shape: Shape,
  prompts: readonly string[],
  body: LanguageBody,
  call: Call,
): Promise<Reply> {
  const n = wholeNumber(body, "n", { min: 1, max: 8 }, 1);
  const answers = prompts.flatMap((prompt) =>
    Array.from({ length: n }, (_, choice) => answerTo(body, prompt, choice)),
  );
  const id = shape.idPrefix + digest(prompts.join("\n")).toString("hex", 0, 12);
  const job: Job = {
    shape,
    head: { id, created: CREATED, model: body.model },
    answers,
    read: prompts.reduce((sum, prompt) => sum + countTokens(prompt), 0),
    written: answers.reduce((sum, answer) => sum + answer.tokens.length, 0),
  };
  if (body.fields.stream === true) return eventReply(stream(job, wantsUsage(body), call));
  await startPace(call.nim.scale, call.signal).until(secondsOf(job.read, job.written));
  return jsonReply(200, wholeAnswer(job, call));
}

function wantsUsage({ fields }: LanguageBody): boolean {
  return isObject(fields.stream_options) && fields.stream_options.include_usage === true;
}

function wholeAnswer({ shape, head, answers, read, written }: Job, { nim }: Call): object {
  const choices = answers.map(({ tokens, finishReason }, index) => ({
    index,
    ...shape.whole(tokens.join("")),
    logprobs: null,
    finish_reason: finishReason,
  }));
  return { ...head, object: shape.object, choices, usage: usageOf(nim, read, written) };
}

async function* stream(job: Job, withUsage: boolean, { nim, signal }: Call): AsyncIterable<object> {
  const { shape, answers, read } = job;
  const head = { ...job.head, object: shape.chunkObject };
  // With include_usage every chunk has the key, null until the last.
  const noUsage = withUsage ? { usage: null } : {};
  const chunk = (index: number, part: object, finish: Finish): object => ({
    ...head,
    choices: [{ index, ...part, logprobs: null, finish_reason: finish }],
    ...noUsage,
  });

  const pace = startPace(nim.scale, signal);
  let written = 0;
  for (const [index, { tokens, finishReason }] of answers.entries()) {
    if (shape.opening) yield chunk(index, shape.opening, null);
    for (const token of tokens) {
      written += 1;
      await pace.until(secondsOf(read, written));
      yield chunk(index, shape.piece(token), null);
    }
    yield chunk(index, shape.closing, finishReason);
  }
  const usage = usageOf(nim, read, written);
  if (withUsage) yield { ...head, choices: [], usage };
}
