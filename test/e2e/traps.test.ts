// Traps that other gateways fell into, met by the running one over real sockets: those of docs/peers-traps.md
// that no other test stands for.

import { createServer } from "node:http";
import test, { type ExecutionContext } from "ava";
import { cli } from "../support/cli.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually } from "../support/gateway-client.ts";
import { usd } from "../support/policies.ts";
import { slowUpstream } from "../support/slow-upstream.ts";
import { listen, portOf } from "../support/sockets.ts";

async function begin(t: ExecutionContext, policy: (url: string) => string) {
  const upstream = await slowUpstream();
  const gateway = await startGateway(policy(upstream.url));
  t.teardown(async () => {
    upstream.release("all");
    await gateway.stop();
    await upstream.stop();
  });
  return { gateway, upstream };
}

const oneUpstream = (price: string, budgets: string) => (url: string) =>
  `version: 1
timezone: UTC
mode: lowest_price
upstreams:
  pod: { provider: other, url: "${url}", price: { ${price} } }
models:
  flux-dev: { upstreams: [pod], estimate: 3s }
budgets:
${budgets}
`;

async function save(gateway: Gateway, text: string): Promise<void> {
  const before = (await gateway.client.policy()).digest;
  gateway.folder.save(text);
  await eventually("the policy is in force", async () => (await gateway.client.policy()).digest !== before);
}

const as = (user: string) => ({ headers: { "X-BudgetGuard-User": user } });

test.serial("the first requests at once of a user whom nobody knows fit one limit", async (t) => {
  const budget = "  - { id: artist, per: user, limit_requests: 3, period: daily, on_limit: block }";
  const { gateway, upstream } = await begin(t, oneUpstream("usd_per_request: 0.01", budget));
  upstream.release("all");
  const replies = await Promise.all(Array.from({ length: 20 }, () => askImage(gateway.url, as("newcomer"))));
  t.is(replies.filter(({ status }) => status === 200).length, 3);
  t.is(replies.filter(({ status }) => status === 402).length, 17);
  t.is(upstream.seen.length, 3);
});

test.serial(
  "the budget of what a fallback costs is asked, not only that of what was asked for",
  async (t) => {
    const policy = (url: string) => `version: 1
timezone: UTC
mode: lowest_price
upstreams:
  dear: { provider: aws, url: "${url}", price: { usd_per_request: 0.10 } }
  cheap: { provider: gcp, url: "${url}", price: { usd_per_request: 0.04 } }
models:
  flux-dev: { upstreams: [dear], fallback_model: flux-schnell }
  flux-schnell: { upstreams: [cheap] }
budgets:
  - { id: dev, when: { model: flux-dev }, limit_usd: 0.01, period: daily, on_limit: degrade }
  - { id: schnell, when: { model: flux-schnell }, limit_usd: 0.05, period: daily, on_limit: block }
`;
    const { gateway, upstream } = await begin(t, policy);
    upstream.release("all");
    const send = async () => (await askImage(`${gateway.url}/m/flux-dev`)).status;
    t.deepEqual([await send(), await send()], [200, 402]);
    t.is(upstream.seen.length, 1);
  },
);

/** An LLM whose every answer tells this usage. */
async function llm(t: ExecutionContext, usage: object, budget: string): Promise<Gateway> {
  const server = createServer((request, response) => {
    request.resume();
    const text = JSON.stringify({ choices: [], usage });
    request.on("end", () => response.writeHead(200, { "Content-Type": "application/json" }).end(text));
  });
  await listen(server);
  const price = "usd_per_million_tokens: { input: 30, output: 60 }";
  const gateway = await startGateway(oneUpstream(price, budget)(`http://127.0.0.1:${portOf(server)}`));
  t.teardown(async () => {
    await gateway.stop();
    server.close();
  });
  return gateway;
}

const chat = (gateway: Gateway, more: object = {}) =>
  ask(`${gateway.url}/v1/chat/completions`, {
    body: JSON.stringify({ messages: [{ role: "user", content: "three lighthouses" }], ...more }),
    headers: { "X-Request-Id": "chat" },
  });

test.serial("a request without max_tokens does not hold all that is left", async (t) => {
  const budget = "  - { id: day, limit_usd: 100, period: daily, on_limit: block }";
  const gateway = await llm(t, { prompt_tokens: 10, completion_tokens: 10 }, budget);
  t.is((await chat(gateway)).status, 200);
  const { hold_usd } = await gateway.client.request("chat");
  t.true(usd(hold_usd ?? "0") > 0n);
  t.true(usd(hold_usd ?? "0") < usd("1"), `${hold_usd} USD were held of 100`);
});

test.serial("a usage of no tokens at all costs nothing, whatever was held", async (t) => {
  const budget = "  - { id: day, limit_usd: 100, period: daily, on_limit: block }";
  const gateway = await llm(t, { prompt_tokens: 0, completion_tokens: 0 }, budget);
  t.is((await chat(gateway, { max_tokens: 500 })).status, 200);
  const record = await gateway.client.request("chat");
  t.true(usd(record.hold_usd ?? "0") > 0n);
  t.is(record.charged_usd, "0.00");
  t.like((await gateway.client.status()).budgets[0], { settled: "0.00", held: "0.00" });
});

const DAY = "  - { id: day, limit_usd: 9, period: daily, on_limit: block }";

async function exported({ folder }: Gateway): Promise<string[]> {
  const { stdout } = await cli(["ledger", "export", "--data", folder.dataPath]);
  return stdout.split("\n").filter((line) => line.includes('"settled"'));
}

test.serial("what a request writes does not grow with the policy's prices", async (t) => {
  const small = oneUpstream("usd_per_request: 0.01", DAY);
  const { gateway, upstream } = await begin(t, small);
  upstream.release("all");
  t.is((await askImage(gateway.url)).status, 200);
  const names = Array.from({ length: 60 }, (_, index) => `catalogue-entry-${index}`);
  const entries = names.map((name) => `    ${name}: { usd_per_hour: 1 }`).join("\n");
  await save(gateway, `${small(upstream.url)}prices:\n  entries:\n${entries}\n`);
  t.is((await askImage(gateway.url)).status, 200);
  const lines = await exported(gateway);
  t.is(lines.length, 2);
  const [first = "", second = ""] = lines;
  t.true(Math.abs(second.length - first.length) < 20, `${first}\n${second}`);
});

test.serial("a millisecond of the cheapest machine is not free", async (t) => {
  const { gateway, upstream } = await begin(t, oneUpstream("usd_per_hour: 0.04", DAY));
  upstream.release("all");
  const reply = await askImage(gateway.url);
  const record = await gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.true(usd(record.charged_usd ?? "0") > 0n);
  t.true(usd(record.charged_usd ?? "0") < usd("0.001"), record.charged_usd ?? "");
});

test.serial("a price that changes leaves what was charged as it was", async (t) => {
  const { gateway, upstream } = await begin(t, oneUpstream("usd_per_request: 0.01", DAY));
  upstream.release("all");
  t.is((await askImage(gateway.url)).status, 200);
  await save(gateway, oneUpstream("usd_per_request: 0.50", DAY)(upstream.url));
  t.is((await askImage(gateway.url)).status, 200);
  const amounts = (await exported(gateway)).map((line) => JSON.parse(line).amount_usd);
  t.deepEqual(amounts, ["0.01", "0.50"]);
  t.is((await gateway.client.status()).budgets[0]?.settled, "0.51");
});

test.serial(
  "a budget that was removed is no longer in the metrics, and no number there is infinite",
  async (t) => {
    const gone = "  - { id: gone, limit_usd: 5, period: daily, on_limit: block }";
    const price = "usd_per_request: 0.01";
    const { gateway, upstream } = await begin(t, oneUpstream(price, `${DAY}\n${gone}`));
    upstream.release("all");
    t.is((await askImage(gateway.url)).status, 200);
    t.regex(await gateway.client.metrics(), /^budgetguard_budget_remaining_usd\{budget="gone"/m);
    await save(gateway, oneUpstream(price, DAY)(upstream.url));
    const metrics = await gateway.client.metrics();
    t.regex(metrics, /^budgetguard_budget_remaining_usd\{budget="day"/m);
    t.notRegex(metrics, /^budgetguard_budget_\w+\{budget="gone"/m);
    t.notRegex(metrics, /^budgetguard_\w+(?:\{(?!le=)[^}]*\})? [+-]?(?:Inf|NaN)/m);
  },
);
