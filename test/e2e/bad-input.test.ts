// What goes wrong between a client, the gateway and its upstreams: each is answered in JSON with the right
// status and a reason phrase that says it, each is accounted for, and the gateway goes on serving.

import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { add, formatUsd } from "../../src/metering/money.ts";
import { freePort } from "../support/free-port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Asked, ask, eventually, imageBody, jsonOf, type Reply } from "../support/gateway-client.ts";
import { usd } from "../support/policies.ts";

const POLICY = (nim: Nim, nobody: number) => `version: 1
mode: lowest_price
limits: { body: 100kB }
upstreams:
  flux-down: { provider: other, url: "http://127.0.0.1:${nobody}", price: { usd_per_request: 0.01 } }
  flux-pod: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.02 } }
  flux-timed: { provider: other, url: "${nim.url}", price: { usd_per_hour: 3.6 } }
models:
  flux-dev: { upstreams: [flux-pod] }
  flux-timed: { upstreams: [flux-timed] }
  flux-failover: { upstreams: [flux-down, flux-pod] }
  flux-down: { upstreams: [flux-down] }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
`;

let nim: Nim;
let gateway: Gateway;

test.before("start a gateway with an upstream that is there and one that is not", async () => {
  nim = await startNim({ scale: 0.05 });
  gateway = await startGateway(POLICY(nim, await freePort()));
});

test.after.always("stop them", async () => {
  await gateway.stop();
  await nim.close();
});

interface Expected {
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
}

async function isTold(t: ExecutionContext, path: string, asked: Asked, expected: Expected): Promise<Reply> {
  const reply = await ask(`${gateway.url}${path}`, asked);
  t.true(reply.isWhole);
  t.is(reply.status, expected.status);
  t.is(reply.headers["content-type"], "application/json");
  const { detail, error } = jsonOf(reply) as { detail: string; error: Record<string, unknown> };
  t.is(error.code, expected.code);
  t.is(error.message, detail);
  t.regex(detail, expected.says);
  t.true(reply.reason.startsWith("BudgetGuard: "), reply.reason);
  await stillServes(t);
  return reply;
}

async function stillServes(t: ExecutionContext): Promise<void> {
  const { status, isWhole } = await ask(`${gateway.url}/m/flux-dev/v1/infer`, { body: imageBody() });
  t.true(status === 200 && isWhole, "the gateway no longer serves");
}

const check = test.macro(async (t, path: string, asked: Asked, expected: Expected) => {
  await isTold(t, path, asked, expected);
});

test(
  "an unknown model is a 404 that lists the models",
  check,
  "/m/flux-pro/v1/infer",
  { body: imageBody() },
  {
    status: 404,
    code: "unknown_model",
    says: /there is no model "flux-pro"; the models are flux-dev, /,
  },
);
test(
  "an unknown model in the body is a 404 too",
  check,
  "/v1/chat/completions",
  { body: '{"model": "gpt-4", "messages": []}' },
  { status: 404, code: "unknown_model", says: /"gpt-4"/ },
);
test(
  "no model where several are served is a 404 that says how to name one",
  check,
  "/v1/infer",
  { body: imageBody() },
  {
    status: 404,
    code: "model_required",
    says: /X-BudgetGuard-Model/,
  },
);
test(
  "an unknown path is a 404 that names a path",
  check,
  "/v3/infer",
  { body: "{}" },
  {
    status: 404,
    code: "unknown_path",
    says: /POST \/v3\/infer is not a path of a NIM/,
  },
);
test(
  "invalid JSON is a 400 with its place",
  check,
  "/m/flux-dev/v1/infer",
  { body: '{"width": 64,\n nonsense}' },
  {
    status: 400,
    code: "invalid_json",
    says: /line 2, column 2/,
  },
);
test(
  "a compressed body is a 415: what it asks for could not be priced",
  check,
  "/m/flux-dev/v1/infer",
  { body: gzipSync('{"samples": 8}'), headers: { "Content-Encoding": "gzip" } },
  { status: 415, code: "encoded_body", says: /without a Content-Encoding/ },
);
test(
  "a body that announces too much is a 413",
  check,
  "/m/flux-dev/v1/infer",
  { body: JSON.stringify({ image: "a".repeat(200_000) }) },
  { status: 413, code: "body_too_large", says: /limits\.body/ },
);
test(
  "a body that turns out too long is a 413",
  check,
  "/m/flux-dev/v1/infer",
  {
    body: JSON.stringify({ image: "a".repeat(200_000) }),
    headers: { "Transfer-Encoding": "chunked" },
  },
  { status: 413, code: "body_too_large", says: /./ },
);
test(
  "an upstream that is down is a 502 that names it",
  check,
  "/m/flux-down/v1/infer",
  { body: imageBody() },
  {
    status: 502,
    code: "upstream_unreachable",
    says: /flux-down.*ECONNREFUSED/,
  },
);
test(
  "an upstream that breaks the connection is a 502 that is not to be retried",
  check,
  "/m/flux-dev/v1/infer",
  { body: imageBody(), headers: { "X-Nim-Fault": "reset" } },
  { status: 502, code: "upstream_failed", says: /flux-pod/ },
);
test(
  "an upstream that does not speak HTTP is a 502",
  check,
  "/m/flux-dev/v1/infer",
  { body: imageBody(), headers: { "X-Nim-Fault": "garbage" } },
  { status: 502, code: "upstream_failed", says: /flux-pod/ },
);

test("where one upstream is down the next one serves, and only that one is charged", async (t) => {
  const reply = await ask(`${gateway.url}/m/flux-failover/v1/infer`, { body: imageBody() });
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-upstream"], "flux-pod");
  const record = await gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.like(record, { upstream: "flux-pod", outcome: "relayed", charged_usd: "0.02" });
});

test("nothing is charged for an upstream that is down", async (t) => {
  const reply = await ask(`${gateway.url}/m/flux-down/v1/infer`, { body: imageBody() });
  const record = await gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.like(record, { outcome: "no_upstream", charged_usd: null });
});

test("an upstream's own error body passes through as it is", async (t) => {
  const fault = { kind: "refuse", status: 500, body: '{"detail":"CUDA out of memory"}' };
  const reply = await ask(`${gateway.url}/m/flux-dev/v1/infer`, {
    body: imageBody(),
    headers: { "X-Nim-Fault": JSON.stringify(fault) },
  });
  t.is(reply.status, 500);
  t.is(reply.body.toString(), fault.body);
  await stillServes(t);
});

test("an upstream's 422 passes through, and the time it took is charged", async (t) => {
  const reply = await ask(`${gateway.url}/m/flux-timed/v1/infer`, {
    body: '{"text_prompts": [{"text": "x"}], "cfg_scale": 10}',
    headers: { "X-Nim-Fault": '{"kind":"slow_head","ms":50}' },
  });
  t.is(reply.status, 422);
  const [problem] = jsonOf(reply).detail as Record<string, unknown>[];
  t.like(problem, { loc: ["body", "cfg_scale"] });
  const record = await gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.like(record, { outcome: "relayed", status: 422 });
  t.true(Number(record.charged_usd) > 0);
});

test("the requests of this file add up to what the usage says", async (t) => {
  await eventually("the sums agree while nothing runs", async () => {
    const { items } = await gateway.client.requests({ limit: 100 });
    const { amount_usd, requests } = await gateway.client.usage();
    const sent = items.filter(({ elapsed_us }) => Number(elapsed_us) > 0);
    const charged = add(usd("0"), ...items.map(({ charged_usd }) => usd(charged_usd ?? "0")));
    return sent.length === requests && formatUsd(charged) === amount_usd;
  });
  t.pass();
});

test("a request that comes back through the gateway it went through is refused, not passed on for ever", async (t) => {
  await stillServes(t);
  const via = nim.requests.at(-1)?.headers.via;
  t.truthy(via);
  await isTold(
    t,
    "/m/flux-dev/v1/infer",
    { body: imageBody(), headers: { Via: String(via) } },
    { status: 508, code: "loop_detected", says: /passed through here before/ },
  );
});
