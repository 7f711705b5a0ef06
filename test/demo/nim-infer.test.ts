import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { type ImageWork, secondsOf } from "../../src/demo/nim-infer.ts";
import { rawExchange } from "./raw-http.ts";
import { readPng } from "./strict-png.ts";

const tiny = { prompt: "a lighthouse", width: 64, height: 64, steps: 1, seed: 3 };

async function withNim(t: ExecutionContext, scale = 0): Promise<Nim> {
  const nim = await startNim({ scale });
  t.teardown(() => nim.close());
  return nim;
}

function post(nim: Nim, body: unknown, signal?: AbortSignal): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "content-type": "application/json" };
  return fetch(`${nim.url}/v1/infer`, { method: "POST", headers, body: text, signal: signal ?? null });
}

interface Artifact {
  readonly base64: string;
  readonly finishReason: string;
  readonly seed: number;
}

async function artifactsOf(reply: Response): Promise<readonly Artifact[]> {
  const { artifacts } = (await reply.json()) as { artifacts: readonly Artifact[] };
  return artifacts;
}

test("the exact bytes of the ComfyUI node get a PNG of the asked size", async (t) => {
  const nim = await withNim(t);
  const body =
    '{"width": 1024, "height": 768, "text_prompts": [{"text": "a lighthouse at dusk"}], ' +
    '"mode": "base", "cfg_scale": 3.5, "seed": 7, "steps": 4}';
  const request =
    "POST /v1/infer HTTP/1.1\r\nHost: localhost:5000\r\nUser-Agent: python-requests/2.34.2\r\n" +
    "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n" +
    `Content-Length: 139\r\nContent-Type: application/json\r\n\r\n${body}`;
  t.is(body.length, 139);
  const { text } = await rawExchange(nim.port, request.replace("keep-alive", "close"));
  const [head = "", json = ""] = text.split("\r\n\r\n");
  t.regex(head, /^HTTP\/1\.1 200 OK\r\n/);
  t.regex(head, new RegExp(`content-length: ${json.length}`, "i"));
  const [artifact] = (JSON.parse(json) as { artifacts: readonly Artifact[] }).artifacts;
  t.is(artifact?.finishReason, "SUCCESS");
  t.is(artifact?.seed, 7);
  const { width, height } = readPng(Buffer.from(artifact?.base64 ?? "", "base64"));
  t.deepEqual({ width, height }, { width: 1024, height: 768 });
  t.is(nim.requests[0]?.body.toString(), body);
});

test("the documented body gets as many pictures as samples, with rising seeds", async (t) => {
  const nim = await withNim(t);
  const artifacts = await artifactsOf(await post(nim, { ...tiny, samples: 3 }));
  t.deepEqual(
    artifacts.map(({ seed }) => seed),
    [3, 4, 5],
  );
  for (const { base64 } of artifacts) t.is(readPng(Buffer.from(base64, "base64")).width, 64);
});

test("a prompt means the same picture in either body", async (t) => {
  const nim = await withNim(t);
  const { prompt, ...rest } = tiny;
  const documented = await artifactsOf(await post(nim, tiny));
  t.deepEqual(await artifactsOf(await post(nim, { ...rest, text_prompts: [{ text: prompt }] })), documented);
});

type Problem = { type: string; loc: unknown[]; msg: string; input: unknown };

async function refuses(t: ExecutionContext, given: object, expected: readonly Problem[]): Promise<void> {
  const nim = await withNim(t);
  const reply = await post(nim, given);
  t.is(reply.status, 422);
  t.deepEqual(await reply.json(), { detail: expected });
}

test("cfg_scale over 9 is refused as FastAPI does", refuses, { ...tiny, cfg_scale: 10 }, [
  {
    type: "less_than_equal",
    loc: ["body", "cfg_scale"],
    msg: "Input should be less than or equal to 9",
    input: 10,
  },
]);
test("no prompt at all is a missing field", refuses, { seed: 1 }, [
  { type: "missing", loc: ["body", "prompt"], msg: "Field required", input: { seed: 1 } },
]);
test("all problems are told at once", refuses, { text_prompts: [{ txt: "x" }], width: 8, steps: "many" }, [
  { type: "missing", loc: ["body", "text_prompts", 0, "text"], msg: "Field required", input: { txt: "x" } },
  {
    type: "greater_than_equal",
    loc: ["body", "width"],
    msg: "Input should be greater than or equal to 64",
    input: 8,
  },
  {
    type: "int_parsing",
    loc: ["body", "steps"],
    msg: "Input should be a valid integer, unable to parse string as an integer",
    input: "many",
  },
]);
test("half a step is no integer", refuses, { ...tiny, steps: 1.5 }, [
  {
    type: "int_from_float",
    loc: ["body", "steps"],
    msg: "Input should be a valid integer, got a number with a fractional part",
    input: 1.5,
  },
]);
test("an unknown mode is told which ones exist", refuses, { ...tiny, mode: "sketch" }, [
  {
    type: "literal_error",
    loc: ["body", "mode"],
    msg: "Input should be 'base', 'canny' or 'depth'",
    input: "sketch",
  },
]);
test("canny without a picture is refused", refuses, { ...tiny, mode: "canny" }, [
  {
    type: "value_error",
    loc: ["body", "image"],
    msg: "Value error, image is required in mode canny",
    input: null,
  },
]);
test(
  "a list is no body",
  refuses,
  [],
  [
    {
      type: "model_attributes_type",
      loc: ["body"],
      msg: "Input should be a valid dictionary or object to extract fields from",
      input: [],
    },
    { type: "missing", loc: ["body", "prompt"], msg: "Field required", input: {} },
  ],
);

test("canny with a picture of 10 MB is served", async (t) => {
  const nim = await withNim(t);
  const image = `data:image/png;base64,${"A".repeat(10_000_000)}`;
  t.is((await post(nim, { ...tiny, mode: "canny", image })).status, 200);
  t.is(nim.requests[0]?.body.length, 65_536);
  t.true((nim.requests[0]?.bytes ?? 0) > 10_000_000);
});

test("a body that is no JSON is 400", async (t) => {
  const nim = await withNim(t);
  const reply = await post(nim, '{"prompt": ');
  t.is(reply.status, 400);
  t.deepEqual(await reply.json(), { detail: "There was an error parsing the body" });
});

function takes(t: ExecutionContext, given: Partial<ImageWork>, expected: number): void {
  const base = { prompt: "", seed: 0, width: 1024, height: 1024, steps: 20, samples: 1 };
  t.is(secondsOf({ ...base, ...given }), expected);
}

test("1024x1024 at 20 steps takes 10 simulated seconds", takes, {}, 10);
test("twice the steps take twice as long", takes, { steps: 40 }, 20);
test("a quarter of the pixels takes a quarter", takes, { width: 512, height: 512 }, 2.5);
test("three pictures take three times as long", takes, { samples: 3 }, 30);

test("an answer is not there before its scaled time is over", async (t) => {
  const nim = await withNim(t, 1);
  const work = { ...tiny, steps: 100 };
  const start = performance.now();
  await (await post(nim, work)).text();
  const elapsed = performance.now() - start;
  t.true(elapsed >= 1000 * secondsOf({ ...work, samples: 1 }) - 1, `it took ${elapsed} ms`);
});

test("a client that leaves stops the work and is counted", async (t) => {
  const nim = await withNim(t, 1000);
  const leave = new AbortController();
  const reply = post(nim, { ...tiny, steps: 100 }, leave.signal);
  while (nim.inFlight() === 0) await sleep(5);
  leave.abort();
  await t.throwsAsync(reply, { name: "AbortError" });
  while (nim.inFlight() > 0) await sleep(5);
  t.is(nim.aborted(), 1);
  t.is(nim.requests[0]?.ending, "aborted");
  const metrics = await (await fetch(`${nim.url}/v1/metrics`)).text();
  t.regex(metrics, /^images_total 0$/m);
  t.regex(metrics, /^aborted_requests_total 1$/m);
});
