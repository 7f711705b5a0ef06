import test, { type ExecutionContext } from "ava";
import OpenAI from "openai";
import { type Nim, startNim } from "../../src/demo/nim.ts";

const model = "meta/llama-3.1-8b-instruct";
const messages = [
  { role: "system", content: "be brief" },
  { role: "user", content: [{ type: "text", text: "what does an hour cost" }] },
];

async function withNim(t: ExecutionContext): Promise<Nim> {
  const nim = await startNim({ scale: 0, models: [model] });
  t.teardown(() => nim.close());
  return nim;
}

function post(nim: Nim, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(`${nim.url}${path}`, { method: "POST", headers, body: text });
}

interface Chunk {
  readonly choices: readonly {
    readonly delta: { content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

interface Answer {
  readonly choices: readonly { readonly message: { content: string }; readonly finish_reason: string }[];
  readonly usage: { readonly completion_tokens: number };
}

async function answerOf(reply: Response): Promise<Answer> {
  return (await reply.json()) as Answer;
}

/** Insists on `data: …` and one empty line for each event, and on [DONE] as the last. */
function eventsOf(t: ExecutionContext, text: string): readonly Chunk[] {
  t.true(text.endsWith("\n\n"));
  const events = text.slice(0, -2).split("\n\n");
  for (const event of events) t.regex(event, /^data: [^\n]+$/);
  t.is(events.at(-1), "data: [DONE]");
  return events.slice(0, -1).map((event) => JSON.parse(event.slice(6)) as Chunk);
}

test("usage counts the words of the messages and of the answer", async (t) => {
  const nim = await withNim(t);
  const reply = await post(nim, "/v1/chat/completions", { model, messages, max_tokens: 5 });
  const { choices, usage } = await answerOf(reply);
  t.is(choices[0]?.message.content.split(" ").length, 5);
  t.is(choices[0]?.finish_reason, "length");
  t.deepEqual(usage, { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 });
});

test("equal questions get equal bytes", async (t) => {
  const nim = await withNim(t);
  const ask = async (): Promise<string> =>
    (await post(nim, "/v1/chat/completions", { model, messages })).text();
  t.is(await ask(), await ask());
});

test("a stream says in pieces what the whole answer says, and ends with usage and [DONE]", async (t) => {
  const nim = await withNim(t);
  const whole = await answerOf(await post(nim, "/v1/chat/completions", { model, messages }));
  const reply = await post(nim, "/v1/chat/completions", {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  t.is(reply.headers.get("content-type"), "text/event-stream; charset=utf-8");
  t.is(reply.headers.get("content-length"), null);
  const chunks = eventsOf(t, await reply.text());
  const last = chunks.at(-1);
  t.deepEqual(last?.choices, []);
  t.deepEqual(last?.usage, whole.usage);
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  t.is(text, whole.choices[0]?.message.content ?? "");
  t.is(chunks.at(-2)?.choices[0]?.finish_reason, "stop");
});

test("a stream without include_usage has no usage anywhere", async (t) => {
  const nim = await withNim(t);
  const reply = await post(nim, "/v1/chat/completions", { model, messages, stream: true });
  t.true(eventsOf(t, await reply.text()).every((chunk) => !("usage" in chunk) && chunk.choices.length === 1));
});

test("the OpenAI SDK reads chat, stream and embeddings", async (t) => {
  const nim = await withNim(t);
  const client = new OpenAI({ baseURL: `${nim.url}/v1`, apiKey: "none", maxRetries: 0 });
  const question = { model, messages: [{ role: "user" as const, content: "how much" }], max_tokens: 4 };
  const answer = await client.chat.completions.create(question);
  const stream = await client.chat.completions.create({ ...question, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  t.is(text, answer.choices[0]?.message.content ?? "");
  const { data } = await client.embeddings.create({ model, input: ["one two", "three"], dimensions: 8 });
  t.is(data.length, 2);
  const [first] = data;
  t.true(Math.abs(Math.hypot(...(first?.embedding ?? [])) - 1) < 1e-6);
});

test("completions answer each prompt n times", async (t) => {
  const nim = await withNim(t);
  const reply = await post(nim, "/v1/completions", { model, prompt: ["a b", "c"], n: 2, max_tokens: 3 });
  const { choices, usage } = await answerOf(reply);
  t.is(choices.length, 4);
  t.deepEqual(usage, { prompt_tokens: 3, completion_tokens: 12, total_tokens: 15 });
});

test("min_tokens makes an answer as long as a test needs", async (t) => {
  const nim = await withNim(t);
  const reply = await post(nim, "/v1/completions", { model, prompt: "x", min_tokens: 5000 });
  t.is((await answerOf(reply)).usage.completion_tokens, 5000);
});

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
}

async function refuses(t: ExecutionContext, given: unknown, expected: Refusal): Promise<void> {
  const nim = await withNim(t);
  const reply = await post(nim, "/v1/chat/completions", given);
  const { error } = (await reply.json()) as { error: { readonly message: unknown } };
  t.like(error, { type: "invalid_request_error", code: expected.code, param: expected.param });
  t.is(typeof error.message, "string");
  t.is(reply.status, expected.status);
}

test(
  "an unknown model is 404",
  refuses,
  { model: "gpt-9", messages },
  {
    status: 404,
    code: "model_not_found",
    param: "model",
  },
);
test(
  "no messages are 400",
  refuses,
  { model },
  {
    status: 400,
    code: "missing_required_field",
    param: "messages",
  },
);
test(
  "max_tokens of 0 is 400",
  refuses,
  { model, messages, max_tokens: 0 },
  {
    status: 400,
    code: "invalid_value",
    param: "max_tokens",
  },
);
test(
  "a message without a role is 400",
  refuses,
  { model, messages: [{ content: "x" }] },
  {
    status: 400,
    code: "missing_required_field",
    param: "messages[0].role",
  },
);
test("a body that is no JSON is 400", refuses, "{", { status: 400, code: "invalid_json", param: null });
