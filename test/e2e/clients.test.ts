// The gateway as programs see it: the OpenAI SDK, browsers' pages that should not be there, and clients that
// say who they are by a token.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import OpenAI, { APIError } from "openai";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { CANARY } from "../support/canary.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually, imageBody, jsonOf } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { tunnelHead } from "../support/realtime.ts";
import { rawClient } from "../support/sockets.ts";

const SECRET = `${CANARY}-in-a-query`;
const MODEL = "meta/llama-3.1-8b-instruct";

const POLICY = (nim: Nim, identity = "trusted") => `version: 1
mode: lowest_price
identity: ${identity}
upstreams:
  llama-pod:
    { provider: other, url: "${nim.url}", model: ${MODEL}, price: { usd_per_million_tokens: { input: 10, output: 20 } } }
  flux-pod: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.01 } }
models:
  llama: { upstreams: [llama-pod] }
  flux-dev: { upstreams: [flux-pod] }
clients:
  carol: { token_sha256: ${sha256("carols-own-token")}, role: use }
  canary: { token_sha256: ${sha256(SECRET)}, role: use }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
  - { id: guests, when: { user: guest }, limit_usd: 0.00001, period: daily, on_limit: block }
`;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function begin(t: ExecutionContext, identity?: string): Promise<{ nim: Nim; gateway: Gateway }> {
  const nim = await startNim({ scale: 0.01, models: [MODEL, "flux.1-dev"] });
  const gateway = await startGateway(POLICY(nim, identity));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  return { nim, gateway };
}

const MESSAGES = [{ role: "user" as const, content: "What does a lighthouse cost?" }];

function openai({ url }: Gateway, user = "alice"): OpenAI {
  const defaultHeaders = { "X-BudgetGuard-User": user };
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "not-a-real-key", defaultHeaders, maxRetries: 3 });
}

test("the OpenAI SDK gets its chat completion, and pays for the tokens that were used", async (t) => {
  const { nim, gateway } = await begin(t);
  const asked = { model: "llama", messages: MESSAGES, max_tokens: 32 };
  const { data, response } = await openai(gateway).chat.completions.create(asked).withResponse();
  t.is(typeof data.choices[0]?.message.content, "string");
  t.is(response.headers.get("x-budgetguard-upstream"), "llama-pod");
  t.is(JSON.parse(nim.requests[0]?.body.toString() ?? "").model, MODEL, "the upstream's own name is sent");
  const used = data.usage ?? { prompt_tokens: 0, completion_tokens: 0 };
  const record = await gateway.client.request(response.headers.get("x-budgetguard-request") ?? "");
  t.is(Number(record.charged_usd), (used.prompt_tokens * 10 + used.completion_tokens * 20) / 1e6);
});

test("the OpenAI SDK streams, with usage, and pays for the tokens that were used", async (t) => {
  const { gateway } = await begin(t);
  const stream = await openai(gateway).chat.completions.create({
    model: "llama",
    messages: MESSAGES,
    max_tokens: 32,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let used = { prompt_tokens: 0, completion_tokens: 0 };
  for await (const { choices, usage } of stream) {
    text += choices[0]?.delta.content ?? "";
    if (usage) used = usage;
  }
  t.true(text.length > 0);
  t.true(used.completion_tokens > 0);
  const [record] = (await gateway.client.requests()).items;
  t.is(record?.outcome, "relayed");
  t.is(Number(record?.charged_usd), (used.prompt_tokens * 10 + used.completion_tokens * 20) / 1e6);
});

test("a budget's refusal reaches the OpenAI SDK as one request: it does not try again", async (t) => {
  const { nim, gateway } = await begin(t);
  const asked = openai(gateway, "guest").chat.completions.create({ model: "llama", messages: MESSAGES });
  const error = await t.throwsAsync(asked, { instanceOf: APIError });
  t.is(error?.status, 402);
  t.is(error?.code, "budget_exceeded");
  t.is(error?.type, "budget_error");
  t.regex(error?.message ?? "", /budget guests has 0\.00 of 0\.00001 USD left|budget guests /);
  await eventually("the access log is written", () => gateway.accessLines().length > 0);
  t.is((await gateway.client.requests()).items.length, 1);
  t.is(nim.requests.length, 0);
});

test("the models are listed as the OpenAI SDK reads them", async (t) => {
  const { gateway } = await begin(t);
  const models = await openai(gateway).models.list();
  t.deepEqual(models.data.map(({ id }) => id).sort(), ["flux-dev", "llama"]);
});

const isTurnedAway = test.macro(async (t, headers: Record<string, string>, status: number) => {
  const { nim, gateway } = await begin(t);
  const served = await ask(`${gateway.url}/m/flux-dev/v1/infer`, { body: imageBody(), headers });
  t.is(served.status, status);
  t.truthy(jsonOf(served).detail);
  const read = await ask(`${gateway.daemon.admin}/api/v1/status`, { method: "GET", headers });
  t.is(read.status, status);
  const write = await ask(`${gateway.daemon.admin}/api/v1/mode`, {
    method: "PUT",
    headers: {
      ...headers,
      Authorization: `Bearer ${gateway.daemon.adminToken}`,
      "Transfer-Encoding": "chunked",
    },
    body: '{"mode":"local"}',
  });
  t.is(write.status, status);
  t.is((await gateway.client.mode()).mode, "lowest_price");
  t.is(nim.requests.length, 0);
});

test(
  "a page that had its name rebound is turned away at both ports",
  isTurnedAway,
  { Host: "evil.example" },
  421,
);
test(
  "a page of another origin is turned away at both ports",
  isTurnedAway,
  { Origin: "http://evil.example" },
  403,
);
test("a page without an origin is turned away at both ports", isTurnedAway, { Origin: "null" }, 403);
test(
  "a request that a foreign page began is turned away",
  isTurnedAway,
  { "Sec-Fetch-Site": "cross-site" },
  403,
);

test("two Host headers are no request", async (t) => {
  const { nim, gateway } = await begin(t);
  const { port, host } = new URL(gateway.url);
  const text = `GET /v1/metadata HTTP/1.1\r\nHost: ${host}\r\nHost: evil.example\r\nConnection: close\r\n\r\n`;
  const client = await rawClient(Number(port), text);
  t.regex(await client.until(/\r\n\r\n/), /^HTTP\/1\.1 400 /);
  client.socket.destroy();
  t.is(nim.requests.length, 0);
});

test("writes need the admin token; reads on this machine need none", async (t) => {
  const { gateway } = await begin(t);
  const put = (headers: Record<string, string>) =>
    ask(`${gateway.daemon.admin}/api/v1/mode`, {
      method: "PUT",
      headers: { ...headers, "Transfer-Encoding": "chunked" },
      body: '{"mode":"local"}',
    });
  t.is((await put({})).status, 401);
  t.is((await put({ Authorization: "Bearer guessed" })).status, 401);
  t.is((await ask(`${gateway.daemon.admin}/api/v1/status`, { method: "GET" })).status, 200);
  t.is((await gateway.client.mode()).mode, "lowest_price");
  t.is((await put({ Authorization: `Bearer ${gateway.daemon.adminToken}` })).status, 200);
});

test("a token names its user, whatever the header says, and never reaches the upstream", async (t) => {
  const { nim, gateway } = await begin(t);
  const { token } = await gateway.client.createToken({ id: "dave", role: "use" });
  const asks = async (headers: Record<string, string>) => {
    const reply = await askImage(`${gateway.url}/m/flux-dev`, {
      headers: { "X-BudgetGuard-User": "mallory", ...headers },
    });
    t.is(reply.status, 200);
    return (await gateway.client.request(String(reply.headers["x-budgetguard-request"]))).labels.user;
  };
  t.is(await asks({ Authorization: `Bearer ${token}` }), "dave");
  t.is(await asks({ "X-API-Key": token }), "dave");
  t.is(await asks({ Authorization: `Basic ${btoa(`dave:${token}`)}` }), "dave");
  t.is(await asks({ Authorization: "Bearer carols-own-token" }), "carol");
  t.is(await asks({}), "mallory");
  t.false(nim.requests.some(({ rawHeaders }) => rawHeaders.join().includes(token)));
  const byUser = await gateway.client.spend({ by: "user" });
  t.deepEqual(byUser.rows.map(({ value, requests }) => [value, requests]).sort(), [
    ["carol", 1],
    ["dave", 3],
    ["mallory", 1],
  ]);
});

for (const identity of ["trusted", "token"]) {
  test(`under \`identity: ${identity}\` a token in the query is a 400 that says where to put it, and reaches nobody`, async (t) => {
    const { nim, gateway } = await begin(t, identity);
    const port = Number(new URL(gateway.url).port);
    for (const path of [
      `/m/flux-dev/v1/infer?api_key=${SECRET}`,
      `/m/flux-dev/v1/infer?seed=1&access_token=${encodeURIComponent(SECRET)}`,
      `/m/flux-dev/v1/metadata?key=${SECRET}`,
      `/v1/models?token=${SECRET}`,
    ]) {
      const headers = { Authorization: "Bearer carols-own-token" };
      const method = path.includes("infer") ? "POST" : "GET";
      const reply = await ask(gateway.url + path, { method, headers, body: method === "POST" ? "{}" : "" });
      t.is(reply.status, 400, path);
      t.regex(reply.reason, /send it in Authorization: Bearer TOKEN or X-API-Key/);
      t.like(jsonOf(reply), { error: { code: "token_in_query" } });
      t.notRegex(`${reply.reason}${reply.body}${JSON.stringify(reply.headers)}`, new RegExp(SECRET));
    }
    const tunnel = await rawClient(port, tunnelHead(port, [], `/m/flux-dev/v1/realtime?api_key=${SECRET}`));
    t.regex(await tunnel.until(/\}$/), /^HTTP\/1.1 400 .*token_in_query/s);
    t.is(nim.requests.length, 0);
    const other = await ask(`${gateway.url}/m/flux-dev/v1/metadata?api_key=of-somebody-else`, {
      method: "GET",
      headers: { Authorization: "Bearer carols-own-token" },
    });
    t.is(other.status, 200, "what is no token of the gateway's goes on");
    t.is(nim.requests.length, 1);
    // Their ends are in the log by now, and the gateway's end searches log, ledger and API for the word.
    await eventually("the access log is written", () => gateway.accessLines().length >= 6);
  });
}

test("under `identity: token` nobody gets in without one", async (t) => {
  const { nim, gateway } = await begin(t, "token");
  const reply = await askImage(`${gateway.url}/m/flux-dev`, { headers: { "X-BudgetGuard-User": "alice" } });
  t.is(reply.status, 401);
  t.is(nim.requests.length, 0);
  const headers = { Authorization: "Bearer carols-own-token" };
  t.is((await askImage(`${gateway.url}/m/flux-dev`, { headers })).status, 200);
  t.is((await ask(`${gateway.url}/v1/health/ready`, { method: "GET" })).status, 200);
});

test("a token survives a restart, and is kept and shown nowhere", async (t) => {
  const nim = await startNim({ scale: 0.01 });
  const folder = makeFolder(POLICY(nim, "token"));
  const first = await startGateway(undefined, { folder });
  const { token } = await first.client.createToken({ id: "erin", role: "use" });
  const second = await first.client.createToken({ id: "erin", role: "use" }).catch((error) => error.status);
  t.is(second, 409);
  await first.stop();
  const again = await startGateway(undefined, { folder });
  t.teardown(async () => {
    await again.stop();
    await nim.close();
    folder.remove();
  });
  const headers = { Authorization: `Bearer ${token}` };
  t.is((await askImage(`${again.url}/m/flux-dev`, { headers })).status, 200);
  const { items } = await again.client.requests();
  t.is(items[0]?.labels.user, "erin");
  const told = JSON.stringify([items, again.accessLines(), await again.client.status()]);
  t.false(`${told}${await again.client.metrics()}`.includes(token));
  const files = readdirSync(folder.dataPath).map((name) =>
    readFileSync(join(folder.dataPath, name), "latin1"),
  );
  t.false(files.join("").includes(token));
});

test("a label that is too long is cut, marked and counted", async (t) => {
  const { gateway } = await begin(t);
  const headers = { "X-BudgetGuard-Workflow": "w".repeat(500) };
  const reply = await askImage(`${gateway.url}/m/flux-dev`, { headers });
  const { labels } = await gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.is(labels.workflow, `${"w".repeat(127)}~`);
  t.regex(await gateway.client.metrics(), /^budgetguard_cut_labels_total 1$/m);
});
