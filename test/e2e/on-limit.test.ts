// Each on_limit action as a client meets it, over real sockets: what is told, who serves, and what is written down.

import { createServer } from "node:http";
import test, { type ExecutionContext } from "ava";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { type SlowUpstream, slowUpstream } from "../support/slow-upstream.ts";
import { listen, portOf } from "../support/sockets.ts";

interface Bench {
  readonly gateway: Gateway;
  readonly big: SlowUpstream;
  readonly small: SlowUpstream;
}

/** A dear and a cheap upstream; the budgets as they stand in the file. */
async function begin(t: ExecutionContext, budgets: string, top = "mode: manual"): Promise<Bench> {
  const [big, small] = [await slowUpstream(), await slowUpstream()];
  const gateway = await startGateway(policyOf(big, small, budgets, top));
  t.teardown(async () => {
    big.release("all");
    small.release("all");
    await gateway.stop();
    await big.stop();
    await small.stop();
  });
  return { gateway, big, small };
}

function policyOf(big: SlowUpstream, small: SlowUpstream, budgets: string, top = "mode: manual"): string {
  return `version: 1
timezone: UTC
${top}
upstreams:
  big: { provider: aws, url: "${big.url}", gpu_tier: a100, price: { usd_per_request: 0.30 } }
  small: { provider: other, url: "${small.url}", gpu_tier: t4, price: { usd_per_request: 0.10 } }
models:
  flux-dev: { upstreams: [big, small], manual: big, fallback_model: flux-schnell }
  flux-schnell: { upstreams: [small] }
budgets:
${budgets}
`;
}

const image = ({ gateway }: Bench, id: string): Promise<Reply> =>
  askImage(gateway.url, { headers: { "X-BudgetGuard-Model": "flux-dev", "X-Request-Id": id } });

const budgetLine = (more: string) => `  - { id: day, limit_usd: 0.35, period: daily, ${more} }`;

/** The second request of the day: 0.30 are spent of 0.35. */
async function second(t: ExecutionContext, more: string) {
  const bench = await begin(t, budgetLine(more));
  bench.big.release("all");
  bench.small.release("all");
  t.is((await image(bench, "first")).status, 200);
  const reply = await image(bench, "second");
  const record = await eventually("it is written down", async () => {
    const found = await bench.gateway.client.request("second");
    return found.outcome !== "running" && found;
  });
  return { ...bench, reply, record };
}

test("ignore: served, and nothing is said", async (t) => {
  const { reply } = await second(t, "on_limit: ignore");
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-warning"], undefined);
});

test("D15, E22a: warn: served, with a header", async (t) => {
  const { reply } = await second(t, "on_limit: warn");
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-upstream"], "big");
  t.is(reply.headers["x-budgetguard-warning"], "budget day is over its limit: 0.60 of 0.35 USD used or held");
});

test("E22b: soft_limit: served, and told what would cost less", async (t) => {
  const { reply, gateway } = await second(t, "on_limit: soft_limit");
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-upstream"], "big");
  t.is(
    reply.headers["x-budgetguard-warning"],
    "budget day is over its limit: 0.60 of 0.35 USD used or held; cheaper: small (0.10 USD)",
  );
  const scraped = await (await fetch(`${gateway.daemon.admin}/metrics`)).text();
  t.regex(scraped, /^budgetguard_decisions_total\{action="soft_limit",budget="day"\} 1$/m);
});

test("D16, E01, E22c: block: refused, before anything is sent", async (t) => {
  const { reply, big } = await second(t, "on_limit: block");
  t.is(reply.status, 402);
  t.regex(
    reply.reason,
    /^BudgetGuard: budget day has 0\.05 of 0\.35 USD left, this needs about 0\.30, resets /,
  );
  t.is(reply.headers["x-should-retry"], "false");
  t.is(big.seen.length, 1);
});

test("shadow: a block that is only tried is told, explained and counted, and refuses nothing", async (t) => {
  const { reply, record, gateway } = await second(t, "on_limit: block, shadow: true");
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-upstream"], "big");
  t.is(
    reply.headers["x-budgetguard-warning"],
    "shadow budget day is over its limit: 0.60 of 0.35 USD used or held",
  );
  const [budget] = record.explanation.candidates[0]?.budgets ?? [];
  t.like(budget, { budget: "day", shadow: true, fits: false });
  t.like((await gateway.client.status()).budgets[0], { settled: "0.60", shadow: true, enforcing: false });
});

test("D17: degrade: a cheaper upstream serves it, and header, ledger and explanation say what changed", async (t) => {
  const bench = await begin(
    t,
    "  - { id: aws, when: { provider: aws }, limit_usd: 0.35, on_limit: degrade }",
  );
  bench.big.release("all");
  bench.small.release("all");
  await image(bench, "first");
  const reply = await image(bench, "second");
  t.is(reply.status, 200);
  t.is(reply.headers["x-budgetguard-upstream"], "small");
  t.is(reply.headers["x-budgetguard-estimate-usd"], "0.10");
  const changed = "from big to small";
  t.is(reply.headers["x-budgetguard-degraded"], `${changed}, for budget aws`);
  const record = await bench.gateway.client.request("second");
  t.like(record, { upstream: "small", model: "flux-dev", charged_usd: "0.10" });
  t.is(
    record.explanation.rule,
    `budget aws does not have what this needs, and its on_limit is degrade: ${changed}`,
  );
  t.deepEqual(record.explanation.degraded, {
    budget: "aws",
    from: { model: "flux-dev", upstream: "big", gpu_tier: "a100" },
    to: { model: "flux-dev", upstream: "small", gpu_tier: "t4" },
  });
  const scraped = await (await fetch(`${bench.gateway.daemon.admin}/metrics`)).text();
  t.regex(scraped, /^budgetguard_decisions_total\{action="degrade",budget="aws"\} 1$/m);
});

test("degrade with nothing cheaper that fits does its then, which is block", async (t) => {
  const { reply } = await second(t, "on_limit: degrade");
  t.is(reply.status, 402);
  t.like(jsonOf(reply), { budgetguard: { budget: "day" } });
});

test("D40: degrade to a fallback model: of an LLM's body only the model's name changes, and it is charged as that", async (t) => {
  const bodies: string[] = [];
  const llm = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      bodies.push(Buffer.concat(chunks).toString());
      const usage = { prompt_tokens: 10, completion_tokens: 10 };
      response
        .writeHead(200, { "Content-Type": "application/json" })
        .end(JSON.stringify({ choices: [], usage }));
    });
  });
  await listen(llm);
  const url = `http://127.0.0.1:${portOf(llm)}`;
  const gateway = await startGateway(`version: 1
mode: lowest_price
upstreams:
  dear: { provider: other, url: "${url}", price: { usd_per_million_tokens: { input: 30, output: 60 } } }
  cheap: { provider: other, url: "${url}", price: { usd_per_million_tokens: { input: 1, output: 2 } } }
models:
  llama-70b: { upstreams: [dear], fallback_model: llama-8b }
  llama-8b: { upstreams: [cheap] }
budgets:
  - { id: large, when: { model: llama-70b }, limit_usd: 0.0001, on_limit: degrade }
`);
  t.teardown(async () => {
    await gateway.stop();
    llm.close();
  });
  const text =
    '{ "messages":[{"role":"user","content":"llama-70b?"}],\n  "model" : "llama-70b", "max_tokens": 10 }';
  const reply = await ask(`${gateway.url}/v1/chat/completions`, {
    body: text,
    headers: { "X-Request-Id": "chat" },
  });
  t.is(reply.status, 200);
  t.deepEqual(bodies, [text.replace('"model" : "llama-70b"', '"model" : "llama-8b"')]);
  t.is(
    reply.headers["x-budgetguard-degraded"],
    "from llama-70b at dear to llama-8b at cheap, for budget large",
  );
  t.like(await gateway.client.request("chat"), {
    model: "llama-8b",
    upstream: "cheap",
    charged_usd: "0.00003",
  });
});

test("D03, D18, D35, D41: queue: it waits until money frees, is shown while it does, and is then served", async (t) => {
  const bench = await begin(t, budgetLine("on_limit: queue, max_wait: 1h"));
  const { gateway, big, small } = bench;
  const first = image(bench, "first");
  await eventually("it runs", () => big.running() === 1);
  const waiting = image(bench, "second");
  const shown = await eventually("it waits", async () => {
    const found = await gateway.client.request("second").catch(() => undefined);
    return found?.waiting !== null && found;
  });
  t.like(shown, { outcome: "running", waiting: { position: 1 } });
  t.regex(
    shown.explanation.rule,
    /^budget day does not have what this needs, and its on_limit is queue: it waits/,
  );
  t.is((await gateway.client.status()).waiting, 1);
  const [held] = (await gateway.client.status()).budgets;
  t.is(held?.held, "0.30", "who waits holds nothing");
  big.release();
  t.is((await first).status, 200);
  // 0.05 are left: it is parked now, until the limit is raised.
  gateway.folder.save(policyOf(big, small, budgetLine("on_limit: queue").replace("0.35", "0.60")));
  await eventually("it runs", () => big.seen.length === 2);
  big.release();
  const reply = await waiting;
  t.is(reply.status, 200);
  t.regex(reply.headers["x-budgetguard-waited-seconds"]?.toString() ?? "", /^\d+\.\d{3}$/);
  t.is((await gateway.client.request("second")).waiting, null);
});

test("queue: in vain it is refused once max_wait is over, and told how long it waited", async (t) => {
  const bench = await begin(t, budgetLine("on_limit: queue, max_wait: 1s"));
  const first = image(bench, "first");
  await eventually("it runs", () => bench.big.running() === 1);
  const reply = await image(bench, "second");
  t.is(reply.status, 402);
  t.regex(
    reply.reason,
    /^BudgetGuard: budget day has 0\.05 of 0\.35 USD left, this needs about 0\.30, after a wait of 1 s, resets .* UTC$/,
  );
  t.is(reply.headers["x-should-retry"], "false");
  const { budgetguard } = jsonOf(reply) as { budgetguard: { waited_us: number } };
  t.true(budgetguard.waited_us >= 1_000_000, `${budgetguard.waited_us}`);
  bench.big.release();
  t.is((await first).status, 200);
});

test("queue: a full room answers 402 to who would wait for money", async (t) => {
  const bench = await begin(t, budgetLine("on_limit: queue"), "mode: manual\nlimits: { waiting: 0 }");
  const first = image(bench, "first");
  await eventually("it runs", () => bench.big.running() === 1);
  const reply = await image(bench, "second");
  t.is(reply.status, 402);
  t.true(reply.reason.endsWith("limits.waiting is 0: nobody waits"), reply.reason);
  bench.big.release();
  await first;
});

test("queue: an operator can cancel what waits for money", async (t) => {
  const bench = await begin(t, budgetLine("on_limit: queue"));
  const { gateway, big } = bench;
  const first = image(bench, "first");
  await eventually("it runs", () => big.running() === 1);
  const waiting = image(bench, "second");
  const { id } = await eventually("it waits", async () => {
    const found = await gateway.client.request("second").catch(() => undefined);
    return found?.waiting !== null && found;
  });
  await gateway.client.cancel(id);
  const reply = await waiting;
  t.is(reply.status, 499);
  t.true(reply.reason.endsWith("cancelled while it waited for budget day"), reply.reason);
  big.release();
  t.is((await first).status, 200);
  t.is(big.seen.length, 1);
});

test("E63: layered: the broadest warns, the strictest of those that are breached acts", async (t) => {
  const bench = await begin(
    t,
    `  - { id: all, limit_usd: 0.20, on_limit: warn }
  - { id: aws, when: { provider: aws }, limit_usd: 0.35, on_limit: hard_limit }
  - { id: codex, when: { component: codex }, limit_usd: 0.01, on_limit: warn }`,
  );
  bench.big.release("all");
  const first = await image(bench, "first");
  t.regex(first.headers["x-budgetguard-warning"]?.toString() ?? "", /^budget all is over its limit/);
  const refused = await image(bench, "second");
  t.is(refused.status, 402);
  t.like(jsonOf(refused), { budgetguard: { budget: "aws", alternatives: [{ upstream: "small" }] } });
});
