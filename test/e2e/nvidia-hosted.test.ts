// NVIDIA's hosted API behind the gateway, as an artist, an operator and whoever looks for our key see it.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { COMFYUI_BODY } from "../../src/demo/artist.ts";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { cli } from "../support/cli.ts";
import { ANSWER, type Behaviour, type FakeNvidia, fakeNvidia, JPEG } from "../support/fake-nvidia.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { rawClient, within } from "../support/sockets.ts";

const KEY = "nvapi-canary-0123456789";
const PROMPT = "a prompt that nobody else may read";
process.env.NVIDIA_KEY_OF_THE_TEST = KEY;

const POLICY = ({ origin }: FakeNvidia, nim: Nim) => `version: 1
mode: lowest_price
upstreams:
  hosted-dev:
    provider: nvidia-hosted
    url: "${origin}/v1/genai/black-forest-labs/flux.1-dev"
    auth: { bearer: { env: NVIDIA_KEY_OF_THE_TEST } }
    price: { usd_per_image: 0.01 }
  hosted-schnell:
    provider: nvidia-hosted
    url: "${origin}/v1/genai/black-forest-labs/flux.1-schnell"
    auth: { bearer: { env: NVIDIA_KEY_OF_THE_TEST } }
    price: { usd_per_image: 0.01 }
  pod: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.02 } }
models:
  schnell: { upstreams: [hosted-schnell] }
  dev: { upstreams: [hosted-dev, pod] }
  dev-hosted: { upstreams: [hosted-dev] }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
`;

let nvidia: FakeNvidia;
let nim: Nim;
let gateway: Gateway;

test.before(async () => {
  nvidia = await fakeNvidia(KEY);
  nim = await startNim({ scale: 0.01 });
  gateway = await startGateway(POLICY(nvidia, nim));
});
test.after.always(async () => {
  await gateway?.stop();
  await Promise.all([nvidia?.close(), nim?.close()]);
});

const infer = (model: string, body: string) => ask(`${gateway.url}/m/${model}/v1/infer`, { body });

/** As ComfyUI's node reads a reply: JSON before the status, then a finishReason that is text. */
function asNode(reply: Reply): Buffer {
  const body = jsonOf(reply) as { artifacts?: { base64: string; finishReason: unknown }[] };
  if (reply.status >= 400) throw new Error(`${reply.status} Error: ${reply.reason}`);
  const [first] = body.artifacts ?? [];
  if (typeof first?.finishReason !== "string") throw new Error("no finishReason");
  return Buffer.from(first.base64, "base64");
}

async function recordOf(reply: Reply) {
  return gateway.client.request(String(reply.headers["x-budgetguard-request"]));
}

test.serial("the ComfyUI node's bytes become NVIDIA's, and its picture reaches the node", async (t) => {
  nvidia.behave({ kind: "accepted", polls: 2, heldMs: 30 });
  const { port } = new URL(gateway.url);
  const head = [
    "POST /m/schnell/v1/infer HTTP/1.1",
    `Host: localhost:${port}`,
    "User-Agent: python-requests/2.34.2",
    "Accept-Encoding: gzip, deflate",
    "Accept: */*",
    "Connection: keep-alive",
    "Content-Length: 139",
    "Content-Type: application/json",
  ];
  const raw = await rawClient(Number(port), `${head.join("\r\n")}\r\n\r\n${COMFYUI_BODY}`);
  const text = await raw.until((all) => all.endsWith(ANSWER));
  raw.socket.destroy();
  t.regex(text, /^HTTP\/1.1 200 OK\r\n/);
  t.deepEqual(JSON.parse(nvidia.got[0]?.body ?? ""), {
    prompt: "a lighthouse at dusk",
    width: 1024,
    height: 768,
    mode: "base",
    seed: 7,
    steps: 4,
  });
  t.deepEqual(asNode(await infer("schnell", COMFYUI_BODY)), Buffer.from(JPEG, "base64"));
});

test.serial(
  "time runs from the first byte to the last, over all polls, and one image is charged",
  async (t) => {
    nvidia.behave({ kind: "accepted", polls: 2, heldMs: 150 });
    const reply = await infer("schnell", COMFYUI_BODY);
    const record = await recordOf(reply);
    t.like(record, { outcome: "relayed", status: 200, charged_usd: "0.01", provider: "nvidia-hosted" });
    t.true(Number(record.elapsed_us) >= 300_000, `${record.elapsed_us} us`);
  },
);

const withImage = () => {
  const image = `data:image/png;base64,${Buffer.alloc(300, 1).toString("base64")}`;
  const own = {
    ...JSON.parse(COMFYUI_BODY),
    text_prompts: [{ text: PROMPT }],
    steps: 30,
    mode: "canny",
    image,
  };
  return JSON.stringify(own);
};

test.serial(
  "a body with the artist's image is not offered: another upstream serves, and explain says why",
  async (t) => {
    const before = nvidia.got.length;
    const reply = await infer("dev", withImage());
    t.is(reply.headers["x-budgetguard-upstream"], "pod");
    t.is(nvidia.got.length, before);
    const record = await recordOf(reply);
    const left = record.explanation.candidates.find(({ upstream }) => upstream === "hosted-dev");
    t.is(left?.left_out, "nvidia-hosted takes no images of the user's own");
    const told = await cli(["explain", record.id, "--admin", gateway.daemon.admin]);
    t.regex(told.stdout.replace(/\s+/g, " "), /hosted-dev cannot serve this request/);
  },
);

test.serial("where only NVIDIA may serve it, the answer is a 422 that says what to change", async (t) => {
  const before = nvidia.got.length;
  const reply = await infer("dev-hosted", COMFYUI_BODY);
  t.is(reply.status, 422);
  t.regex(
    reply.reason,
    /^BudgetGuard: no upstream of dev-hosted can serve this request: .*5 to 100 steps, this asks for 4$/,
  );
  t.like(jsonOf(reply), { error: { code: "unservable_request", type: "invalid_request_error" } });
  t.is(reply.headers["x-should-retry"], "false");
  t.is(nvidia.got.length, before);
  t.like(await recordOf(reply), { outcome: "no_upstream", charged_usd: null });
});

test.serial("another path is not offered to it, and a body of 70 kB neither", async (t) => {
  const chat = await ask(`${gateway.url}/m/dev-hosted/v1/images/generations`, { body: '{"prompt": "x"}' });
  t.regex(chat.reason, /nothing but POST \/v1\/infer/);
  const long = JSON.stringify({ ...JSON.parse(COMFYUI_BODY), steps: 30, image: "x".repeat(70_000) });
  const reply = await infer("dev-hosted", long);
  t.is(reply.status, 422);
  t.regex(reply.reason, /no images of the user's own$/);
});

test.serial("an estimate knows by the size that NVIDIA would not take it", async (t) => {
  const fits = await gateway.client.estimate({ model: "dev", width: 1024, height: 768, steps: 30 });
  t.is(fits.explanation.chosen, "hosted-dev");
  const odd = await gateway.client.estimate({ model: "dev", width: 672, height: 768, steps: 30 });
  t.is(odd.explanation.chosen, "pod");
  const told = await cli(["estimate", "dev-hosted", "--size", "672x768", "--admin", gateway.daemon.admin]);
  t.is(told.code, 1);
  t.regex(
    told.stdout.replace(/\s+/g, " "),
    /width and height of 768 to 1344 in steps of 64, this asks for 672/,
  );
});

const problem = (status: number, title: string, detail: string, retryAfter?: string): Behaviour => ({
  kind: "problem",
  status,
  title,
  detail,
  ...(retryAfter !== undefined && { retryAfter }),
});

interface Expected {
  readonly status: number;
  readonly says: RegExp;
  readonly retryAfter?: string;
  readonly mayRetry?: true;
}

async function failing(t: ExecutionContext, behaviour: Behaviour, expected: Expected) {
  for (const each of [behaviour, { kind: "accepted", polls: 1, end: behaviour } as const]) {
    nvidia.behave(each);
    const reply = await infer("schnell", COMFYUI_BODY);
    t.true(reply.isWhole);
    const body = jsonOf(reply) as { detail: string; error: Record<string, unknown> };
    t.is(reply.status, expected.status);
    t.regex(reply.reason, /^nvidia-hosted: upstream hosted-schnell: /);
    t.regex(reply.reason, expected.says);
    t.is(reply.reason, `nvidia-hosted: ${body.detail}`);
    t.like(body.error, { code: "upstream_refused", type: "upstream_error", message: body.detail });
    t.is(reply.headers["retry-after"], expected.retryAfter);
    t.is(reply.headers["x-should-retry"], expected.mayRetry === true ? undefined : "false");
    t.is((await recordOf(reply)).charged_usd, "0.00", "no image was made");
  }
}

test.serial("its 402 is not a budget's", failing, problem(402, "Payment Required", "Cloud credits expired"), {
  status: 402,
  says: /it answered 402 Payment Required: Cloud credits expired$/,
});
test.serial(
  "its 429 keeps Retry-After, and may be tried again",
  failing,
  problem(429, "Too Many Requests", "queue full", "17"),
  {
    status: 429,
    says: /queue full$/,
    retryAfter: "17",
    mayRetry: true,
  },
);
test.serial(
  "its 503 says for how long it is offline",
  failing,
  problem(503, "Service Unavailable", "offline", "10800"),
  {
    status: 503,
    says: /offline$/,
    retryAfter: "10800",
    mayRetry: true,
  },
);
test.serial("its 400", failing, problem(400, "Bad Request", "bad header"), {
  status: 400,
  says: /bad header$/,
});
test.serial(
  "its 401 does not show the key that it shows",
  failing,
  problem(401, "Unauthorized", `Bearer ${KEY} is wrong`),
  {
    status: 401,
    says: /Bearer nvapi-\*\*\* is wrong$/,
  },
);
test.serial("its 403", failing, problem(403, "Forbidden", "not your function"), {
  status: 403,
  says: /not your function$/,
});
test.serial(
  "its empty 504 is JSON",
  failing,
  { kind: "errored" },
  {
    status: 504,
    says: /it answered 504 Gateway Timeout: no worker took the request in time/,
  },
);
test.serial(
  "a download is told, not fetched",
  failing,
  { kind: "storage", location: "https://s3.invalid/x.zip?sig=1" },
  {
    status: 502,
    says: /too large to be sent \(it redirects to a download\): ask for less, such as a smaller image/,
  },
);

test.serial("404 and 410 of the path are NVIDIA's, in JSON", async (t) => {
  nvidia.behave(
    { kind: "text", status: 404, text: "404 page not found" },
    problem(410, "Gone", "end of life"),
  );
  for (const [status, says] of [
    [404, /it answered 404 Not Found: 404 page not found$/],
    [410, /it answered 410 Gone: end of life$/],
  ] as const) {
    const reply = await infer("schnell", COMFYUI_BODY);
    t.is(reply.status, status);
    t.regex(reply.reason, says);
    t.is(jsonOf(reply).detail, reply.reason.replace("nvidia-hosted: ", ""));
  }
});

test.serial("its 402 is not a budget's in any shape, and other JSON errors pass as they are", async (t) => {
  const words = '{"error":{"message":"no credits","code":"budget_exceeded"}}';
  const type = "application/json";
  nvidia.behave(
    { kind: "text", status: 402, text: words, type },
    { kind: "text", status: 400, text: words, type },
  );
  const spent = await infer("schnell", COMFYUI_BODY);
  t.is(spent.status, 402);
  t.regex(spent.reason, /^nvidia-hosted: .*402 Payment Required: no credits$/);
  t.like(jsonOf(spent), { error: { code: "upstream_refused" } });
  const wrong = await infer("schnell", COMFYUI_BODY);
  t.is(wrong.reason, "Bad Request");
  t.is(wrong.body.toString(), `${words}\n`);
});

test.serial("a connection that breaks is a 502, and the POST is not repeated", async (t) => {
  nvidia.behave({ kind: "abrupt" });
  const before = nvidia.got.length;
  const reply = await infer("dev", COMFYUI_BODY.replace('"steps": 4', '"steps": 30'));
  t.is(reply.status, 502);
  t.is(nvidia.got.length, before + 1);
});

test.serial("cancelling by the API closes what NVIDIA holds within a second", async (t) => {
  nvidia.behave({ kind: "accepted", polls: 1, heldMs: 60_000 });
  const before = nvidia.got.length;
  const reply = infer("schnell", COMFYUI_BODY);
  await eventually("the poll is held", () => nvidia.got.length === before + 2);
  const [running] = (await gateway.client.requests({ limit: 1 })).items;
  await gateway.client.cancel(running?.id ?? "");
  await within(1000, nvidia.got.at(-1)?.gone ?? Promise.reject(), "NVIDIA's connection to close");
  t.is((await reply).status, 499);
});

test.serial(
  "of the key and the prompts nothing is found in the log, the API, the ledger or the metrics",
  async (t) => {
    nvidia.behave(problem(400, "Bad Request", `your prompt "${PROMPT}" with ${KEY}`));
    const body = COMFYUI_BODY.replace("a lighthouse at dusk", PROMPT);
    const told = await infer("schnell", body);
    t.true(told.reason.includes(PROMPT), "the artist may read her own prompt");
    t.false(told.body.includes(KEY));
    const record = await recordOf(told);
    const list = await gateway.client.requests({ limit: 100 });
    const metrics = await ask(`${gateway.daemon.admin}/metrics`, { method: "GET" });
    const explained = await cli(["explain", record.id, "--admin", gateway.daemon.admin]);
    await gateway.daemon.stop();
    const { dataPath } = gateway.folder;
    const files = readdirSync(dataPath).map((name) => readFileSync(join(dataPath, name), "latin1"));
    const places = [record, list, gateway.accessLines(), explained, metrics.body.toString(), files];
    for (const canary of [KEY, PROMPT]) {
      for (const place of places) t.false(JSON.stringify(place).includes(canary), canary);
    }
    t.true(nvidia.got.every(({ headers }) => headers.authorization === `Bearer ${KEY}`));
    t.false(JSON.stringify(nim.requests.map(({ headers }) => headers)).includes(KEY));
  },
);
