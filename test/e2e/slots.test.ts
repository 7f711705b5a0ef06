// Slots of an upstream as clients meet them: a crowd in front of few, who is next, who is turned away, and what a
// reload does to those who wait.

import test, { type ExecutionContext } from "ava";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type Asked, ask, askImage, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { type SlowUpstream, slowUpstream } from "../support/slow-upstream.ts";

interface Bench {
  readonly gateway: Gateway;
  readonly first: SlowUpstream;
  readonly second: SlowUpstream;
  /** Sends it and waits until it runs or waits, so that the next one comes after it. */
  send(name: string, asked?: Asked): Promise<{ readonly reply: Promise<Reply> }>;
  waiting(): Promise<number>;
}

/** `first` and `second` are the keys of two local upstreams; without `second` there is one. */
async function begin(
  t: ExecutionContext,
  policyOf: (first: string, second: string) => string,
): Promise<Bench> {
  const [first, second] = [await slowUpstream(), await slowUpstream()];
  const gateway = await startGateway(policyOf(first.url, second.url));
  t.teardown(async () => {
    first.release("all");
    second.release("all");
    await gateway.stop();
    await first.stop();
    await second.stop();
  });
  const waiting = async () => (await gateway.client.status()).waiting;
  const send = async (name: string, asked: Asked = {}) => {
    const before = (await gateway.client.status()).in_flight;
    const reply = askImage(gateway.url, { ...asked, headers: { ...asked.headers, "X-Name": name } });
    let isOver = false;
    void reply.then(() => {
      isOver = true;
    });
    await eventually(
      `${name} is in`,
      async () => isOver || (await gateway.client.status()).in_flight > before,
    );
    return { reply };
  };
  return { gateway, first, second, send, waiting };
}

const one =
  (more = "concurrency: 1", top = "") =>
  (url: string) =>
    `version: 1
mode: local
${top}
upstreams:
  flux-local: { provider: local, url: "${url}", ${more} }
models:
  flux-dev: { upstreams: [flux-local] }
`;

const two =
  (mode: string, tail = "") =>
  (first: string, second: string) =>
    `version: 1
mode: ${mode}
upstreams:
  flux-one: { provider: other, url: "${first}", price: { usd_per_hour: 1 }, concurrency: 1 }
  flux-two: { provider: other, url: "${second}", price: { usd_per_hour: 2 }, concurrency: 1 }
models:
  flux-dev: { upstreams: [flux-one, flux-two], estimate: 10s }
${tail}`;

test("a crowd never gets more slots than there are, and every one of it is served", async (t) => {
  const { gateway, first } = await begin(t, one("concurrency: 2"));
  const replies = Array.from({ length: 20 }, () => askImage(gateway.url));
  await eventually("two run", () => first.running() === 2);
  const serving = setInterval(() => first.release(), 5);
  t.teardown(() => clearInterval(serving));
  const statuses = (await Promise.all(replies)).map(({ status }) => status);
  t.deepEqual(new Set(statuses), new Set([200]));
  t.is(first.most(), 2);
  t.is(first.seen.length, 20);
  await eventually("nobody is left", async () => (await gateway.client.status()).in_flight === 0);
  t.is((await gateway.client.status()).waiting, 0);
});

test("who waits is served in the order of arrival, and what waits is shown", async (t) => {
  const { gateway, first, send, waiting } = await begin(t, one());
  const names = ["a", "b", "c", "d"];
  const replies: Promise<Reply>[] = [];
  for (const name of names) replies.push((await send(name)).reply);
  await eventually("three wait", async () => (await waiting()) === 3);
  const [upstream] = (await gateway.client.status()).upstreams;
  t.like(upstream, { in_flight: 1, concurrency: 1, waiting: 3, hindrance: "busy: 1 of 1 runs" });
  const scraped = await (await fetch(`${gateway.daemon.admin}/metrics`)).text();
  t.regex(scraped, /^budgetguard_waiting_requests 3$/m);
  const estimate = await gateway.client.estimate({ model: "flux-dev" });
  t.is(estimate.decision, "wait");
  t.is(estimate.reason, "no upstream of flux-dev can take it now: flux-local is busy: 1 of 1 runs");
  for (const [index] of names.entries()) {
    await eventually(`the next one runs`, () => first.seen.length === index + 1 && first.running() === 1);
    first.release();
  }
  for (const reply of replies) t.is((await reply).status, 200);
  t.deepEqual(first.seen, names);
});

test("a full room turns away at once: 503, when to come again, and who is busy", async (t) => {
  const { gateway, first, send } = await begin(t, one("concurrency: 1", "limits: { waiting: 1 }"));
  const served = [await send("a"), await send("b")];
  const turned = await askImage(gateway.url, { headers: { "X-Request-Id": "the-third" } });
  const said =
    "no upstream of flux-dev can take it now: flux-local is busy: 1 of 1 runs, and 1 requests wait";
  t.is(turned.status, 503);
  t.true(turned.reason.startsWith(`BudgetGuard: ${said}`), turned.reason);
  t.is(turned.headers["retry-after"], "30");
  t.is(turned.headers["x-should-retry"], "true");
  t.like(jsonOf(turned), { error: { code: "too_busy", type: "gateway_error" } });
  const ready = await ask(`${gateway.url}/v1/health/ready`, { method: "GET" });
  t.is(ready.status, 200, "it would wait, so it is ready");
  const detail = await gateway.client.request("the-third");
  t.like(detail, { outcome: "unsent", charged_usd: null, status: null });
  t.true(detail.explanation.rule.startsWith(said), detail.explanation.rule);
  first.release("all");
  for (const { reply } of served) t.is((await reply).status, 200);
});

test("a client that leaves gives up its place at once; the upstream never hears of it, and nothing is charged", async (t) => {
  const { gateway, first, send, waiting } = await begin(t, one());
  await send("a");
  const leaving = new AbortController();
  await send("b", { signal: leaving.signal, headers: { "X-Request-Id": "the-second" } });
  const { reply } = await send("c");
  leaving.abort();
  await eventually("its place is free", async () => (await waiting()) === 1);
  first.release();
  await eventually("the next one runs", () => first.seen.length === 2);
  first.release();
  t.is((await reply).status, 200);
  t.deepEqual(first.seen, ["a", "c"]);
  const detail = await eventually("it is written down", async () => {
    const found = await gateway.client.request("the-second").catch(() => undefined);
    return found?.outcome === "unsent" && found;
  });
  t.is(detail.explanation.rule, "the client went away while it waited for flux-local");
  t.is(detail.charged_usd, null);
});

test("an operator can cancel what waits", async (t) => {
  const { gateway, first, send } = await begin(t, one());
  await send("a");
  const { reply } = await send("b");
  const under = await eventually("both are listed as under way", async () => {
    const { items } = await gateway.client.requests();
    return items.length === 2 && items;
  });
  t.deepEqual(
    under.map(({ outcome, upstream }) => [outcome, upstream]),
    [
      ["running", null],
      ["running", "flux-local"],
    ],
  );
  await gateway.client.cancel(under[0]?.id ?? "");
  t.is((await reply).status, 499);
  t.is(
    (await reply).reason,
    "BudgetGuard: nothing was sent to upstream flux-local: cancelled while it waited for flux-local",
  );
  t.like(jsonOf(await reply), { error: { code: "cancelled" } });
  t.deepEqual(first.seen, ["a"]);
});

test("lowest_price spills over to the next one, within its budget; then both are waited for", async (t) => {
  const budget =
    "budgets:\n  - { id: two, when: { upstream: flux-two }, limit_usd: 0.02, period: daily, on_limit: block }\n";
  const { gateway, first, second, send, waiting } = await begin(t, two("lowest_price", budget));
  await send("a");
  await send("b");
  await eventually("both run", () => first.running() === 1 && second.running() === 1);
  const { reply } = await send("c");
  t.is(await waiting(), 1);
  const [held] = (await gateway.client.status()).budgets;
  t.is(held?.held, "0.005555556", "who waits holds nothing: this is b's");
  second.release();
  await eventually("it runs at the second", () => second.seen.length === 2);
  second.release();
  t.is((await reply).headers["x-budgetguard-upstream"], "flux-two");
});

test("manual waits for the one that was chosen", async (t) => {
  const { first, second, send, waiting } = await begin(t, two("manual"));
  await send("a");
  const { reply } = await send("b");
  t.is(await waiting(), 1);
  first.release();
  await eventually("it runs", () => first.seen.length === 2);
  first.release();
  t.is((await reply).status, 200);
  t.deepEqual(second.seen, []);
});

test("a mode that is switched moves those who wait", async (t) => {
  const { gateway, second, send, waiting } = await begin(t, two("manual"));
  await send("a");
  const { reply } = await send("b");
  t.is(await waiting(), 1);
  await gateway.client.setMode("lowest_price");
  await eventually("it runs at the other", () => second.running() === 1);
  second.release();
  t.is((await reply).headers["x-budgetguard-upstream"], "flux-two");
});

test("an upstream that a reload removes ends what runs there and takes no more; who waited goes elsewhere", async (t) => {
  const { gateway, first, second, send, waiting } = await begin(t, two("manual"));
  const running = await send("a");
  const moved = await send("b");
  t.is(await waiting(), 1);
  const text = two("manual")(first.url, second.url);
  gateway.folder.save(text.replace(/ {2}flux-one: .*\n/, "").replace("flux-one, ", ""));
  await eventually("it runs at the other", () => second.running() === 1);
  second.release();
  t.is((await moved.reply).headers["x-budgetguard-upstream"], "flux-two");
  t.is(first.running(), 1, "what runs was broken off");
  first.release();
  t.like(await running.reply, { status: 200, isWhole: true });
  t.deepEqual(first.seen, ["a"]);
});

test("whose model a reload removes while it waits is told so, and is not under way for ever", async (t) => {
  const { gateway, first, send } = await begin(t, one());
  const running = await send("a");
  const waited = await send("b", { headers: { "X-Request-Id": "the-second" } });
  gateway.folder.save(one()(first.url).replace("flux-dev:", "flux-new:"));
  const reply = await waited.reply;
  t.like([reply.status, reply.reason], [503, "BudgetGuard: model flux-dev is no longer in the policy"]);
  first.release();
  t.is((await running.reply).status, 200);
  const detail = await eventually("it is written down", async () => {
    const found = await gateway.client.request("the-second");
    return found.outcome !== "running" && found;
  });
  t.like(detail, { outcome: "no_upstream", charged_usd: null });
  t.is(detail.explanation.rule, "model flux-dev is no longer in the policy");
});

test("a rate_limit lets so many through and keeps the next until its time", async (t) => {
  const { gateway, first } = await begin(t, one("rate_limit: 2/s"));
  first.release("all");
  const began = performance.now();
  const statuses = (await Promise.all(Array.from({ length: 5 }, () => askImage(gateway.url)))).map(
    ({ status }) => status,
  );
  t.deepEqual(statuses, [200, 200, 200, 200, 200]);
  // Two each second: the fifth leaves two seconds after the first at the soonest.
  t.true((first.times[4] ?? 0) - began >= 2000, `${began}: ${first.times}`);
  t.true((first.times[2] ?? 0) - began >= 1000, `${began}: ${first.times}`);
});

test("who waits when the gateway stops is told to ask again, and who runs is served", async (t) => {
  const { gateway, first, send } = await begin(t, one());
  const running = await send("a");
  const waiting = await send("b");
  const stopping = gateway.daemon.stop(30_000);
  const told = await waiting.reply;
  t.is(told.status, 503);
  t.true(told.reason.includes("the gateway is stopping"), told.reason);
  t.is(told.headers["x-should-retry"], "true");
  first.release("all");
  t.is((await running.reply).status, 200);
  await stopping;
  t.deepEqual(first.seen, ["a"]);
});
