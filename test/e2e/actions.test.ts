// What each action of a budget does to a client, over real sockets.

import { writeFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { askImage, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { type SlowUpstream, slowUpstream } from "../support/slow-upstream.ts";

interface Bench {
  readonly gateway: Gateway;
  readonly upstream: SlowUpstream;
  send(name: string): Promise<Reply>;
  /** Until so many wait. */
  waits(count: number): Promise<unknown>;
}

async function begin(t: ExecutionContext, budgets: string, more = ""): Promise<Bench> {
  const upstream = await slowUpstream();
  const gateway = await startGateway(policyOf(upstream.url, budgets, more));
  t.teardown(async () => {
    upstream.release("all");
    await gateway.stop();
    await upstream.stop();
  });
  const send = (name: string) =>
    askImage(gateway.url, { headers: { "X-Name": name, "X-BudgetGuard-User": name } });
  const waits = (count: number) =>
    eventually(`${count} wait`, async () => (await gateway.client.status()).waiting === count);
  return { gateway, upstream, send, waits };
}

function policyOf(url: string, budgets: string, more = ""): string {
  return `version: 1
timezone: UTC
mode: manual
${more}
upstreams:
  dear: { provider: aws, url: "${url}", price: { usd_per_request: 0.10 } }
  cheap: { provider: gcp, url: "${url}", price: { usd_per_request: 0.01 } }
  schnell: { provider: gcp, url: "${url}", price: { usd_per_request: 0.001 } }
models:
  flux-dev: { upstreams: [dear, cheap], manual: dear, fallback_model: flux-schnell }
  flux-schnell: { upstreams: [schnell], port: 0 }
budgets:
${budgets}
`.replace(", port: 0", "");
}

/** With two models the request names one. */
const TO_DEV = "/m/flux-dev";

async function ended(bench: Bench, reply: Promise<Reply>): Promise<Reply> {
  const before = bench.upstream.seen.length;
  await eventually(
    "it runs",
    async () => bench.upstream.running() > 0 || bench.upstream.seen.length > before,
  );
  bench.upstream.release("all");
  return reply;
}

function dev(bench: Bench, name = "alice"): Promise<Reply> {
  return askImage(`${bench.gateway.url}${TO_DEV}`, {
    headers: { "X-Name": name, "X-BudgetGuard-User": name },
  });
}

test("soft_limit lets through and names what is cheaper", async (t) => {
  const bench = await begin(t, "  - { id: day, limit_usd: 0.11, on_limit: soft_limit, period: daily }");
  const reply = await ended(bench, dev(bench));
  t.is(reply.status, 200);
  t.is(
    reply.headers["x-budgetguard-warning"],
    "budget day runs low: 0.10 of 0.11 USD used or held; cheaper: cheap (0.01 USD)",
  );
});

test("degrade goes to a cheaper upstream, and says so in headers, record and rule", async (t) => {
  const bench = await begin(t, "  - { id: day, limit_usd: 0.05, on_limit: degrade, period: daily }");
  const reply = await ended(bench, dev(bench));
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-upstream"], "cheap");
  t.is(reply.headers["x-budgetguard-degraded"], "from dear to cheap, for budget day");
  const record = await bench.gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.is(record.upstream, "cheap");
  t.is(record.charged_usd, "0.01");
  t.is(
    record.explanation.rule,
    "budget day does not have what this needs, and its on_limit is degrade: from dear to cheap",
  );
});

test("degrade goes to the fallback model, and what it costs counts there", async (t) => {
  const bench = await begin(
    t,
    "  - { id: dev, limit_usd: 0.005, when: { model: flux-dev }, on_limit: degrade, period: daily }",
  );
  const reply = await ended(bench, dev(bench));
  t.is(reply.status, 200);
  t.is(
    reply.headers["x-budgetguard-degraded"],
    "from flux-dev at dear to flux-schnell at schnell, for budget dev",
  );
  const record = await bench.gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  t.is(record.model, "flux-schnell");
  t.is(record.charged_usd, "0.001");
  t.is((await bench.gateway.client.status()).budgets[0]?.settled, "0.00");
});

test("where nothing cheaper fits, then decides: 402", async (t) => {
  const bench = await begin(t, "  - { id: day, limit_usd: 0.0005, on_limit: degrade, period: daily }");
  const reply = await dev(bench);
  t.is(reply.status, 402);
  t.regex(reply.reason, /^BudgetGuard: budget day has 0\.0005 of 0\.0005 USD left, this needs about 0\.10/);
});

test("queue lets wait until what is held is free again, in the order of arrival", async (t) => {
  const bench = await begin(
    t,
    "  - { id: one, limit_requests: 2, period: hourly, on_limit: queue }\n" +
      "  - { id: at-once, limit_usd: 0.10, period: hourly, on_limit: queue, max_wait: 1h }",
  );
  bench.upstream.answer(422);
  const first = dev(bench, "first");
  await eventually("the first runs", async () => bench.upstream.running() === 1);
  const second = dev(bench, "second");
  await bench.waits(1);
  const third = dev(bench, "third");
  await bench.waits(2);
  const waiting = (await bench.gateway.client.requests({ limit: 5 })).items.filter(
    ({ outcome }) => outcome === "running",
  );
  t.is(waiting.length, 3);
  const record = await bench.gateway.client.request(waiting[0]?.id ?? "");
  t.regex(record.explanation.rule, /^budget (one|at-once) .* it waits .*; number 2 in line$/);
  t.is(bench.upstream.running(), 1, "who waits holds nothing and is not sent");
  await bench.gateway.client.cancel(waiting[0]?.id ?? "");
  t.is((await third).status, 499);
  bench.upstream.release("one");
  t.is((await first).status, 422);
  await bench.waits(1);
  t.like(
    (await bench.gateway.client.status()).budgets.find(({ id }) => id === "one"),
    { settled: "1", held: "0" },
  );
  await bench.gateway.client.cancel(waiting[1]?.id ?? "");
  t.is((await second).status, 499);
});

test("who waited as long as the budget says is refused with its 402, which says how long", async (t) => {
  const bench = await begin(
    t,
    "  - { id: day, limit_requests: 1, period: daily, on_limit: queue, max_wait: 1s }",
  );
  const first = dev(bench, "first");
  await eventually("the first runs", async () => bench.upstream.running() === 1);
  const reply = await dev(bench, "second");
  t.is(reply.status, 402);
  t.regex(
    reply.reason,
    /^BudgetGuard: budget day is spent \(1 of 1 requests\), after a wait of \d s, resets /,
  );
  const { budgetguard } = jsonOf(reply) as { budgetguard: Record<string, unknown> };
  t.like(budgetguard, { budget: "day", limit_requests: "1", settled_requests: "0", held_requests: "1" });
  bench.upstream.release("all");
  t.is((await first).status, 200);
});

test("a raise by a reload wakes who waits, and the reply says how long it waited", async (t) => {
  const bench = await begin(t, "  - { id: day, limit_requests: 1, period: daily, on_limit: queue }");
  bench.upstream.release("all");
  t.is((await dev(bench, "first")).status, 200);
  const second = dev(bench, "second");
  await bench.waits(1);
  writeFileSync(
    bench.gateway.folder.policyPath,
    policyOf(bench.upstream.url, "  - { id: day, limit_requests: 2, period: daily, on_limit: queue }"),
  );
  const reply = await second;
  t.is(reply.status, 200);
  t.regex(String(reply.headers["x-budgetguard-waited-seconds"]), /^\d+\.\d{3}$/);
});

test("a full room refuses with 402 who would wait for money", async (t) => {
  const bench = await begin(
    t,
    "  - { id: day, limit_requests: 1, period: daily, on_limit: queue }",
    "limits: { waiting: 0 }",
  );
  const first = dev(bench, "first");
  await eventually("the first runs", async () => bench.upstream.running() === 1);
  t.is((await dev(bench, "second")).status, 402);
  bench.upstream.release("all");
  t.is((await first).status, 200);
});
