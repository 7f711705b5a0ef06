// The text that Prometheus scrapes: whether it can be read, and whether its money is exact.

import { spawn } from "node:child_process";
import test from "ava";
import fc from "fast-check";
import { Metrics, type Observation, type Posted } from "../../src/admin/metrics.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { durationUs } from "../../src/metering/time.ts";
import { OUTCOMES } from "../../src/policy/admission.ts";
import { budget, model, policy as policyOf, upstream } from "../support/policies.ts";
import { needs } from "../support/real.ts";
import { readExposition } from "./exposition-text.ts";
import { always, houseOf, openAdmin, policy, studioDay, today, usd } from "./house-of-functions.ts";

const relayed: Observation = {
  model: "flux-dev",
  provider: "aws",
  upstream: "flux-aws",
  outcome: "relayed",
  succeeded: true,
  images: 1,
  tokens: { input: 0, output: 0 },
  duration: durationUs(12_000_001),
  overhead: durationUs(1_500),
};

const charged: Posted = {
  kind: "request",
  model: "flux-dev",
  provider: "aws",
  upstream: "flux-aws",
  amount: usd(3_353_333),
  elapsed: durationUs(12_000_000),
};

/** As the house tells of a request: its ending, and what the ledger posted of it. */
function ran(metrics: Metrics, ending: Partial<Observation> = {}, posted: Partial<Posted> = {}): void {
  metrics.observe({ ...relayed, ...ending });
  metrics.posted({ ...charged, ...posted });
}

const refused: Observation = {
  ...relayed,
  provider: undefined,
  upstream: undefined,
  outcome: "refused",
  succeeded: false,
  images: 0,
  overhead: undefined,
};

async function scrape(metrics: Metrics, house = houseOf()) {
  const families = readExposition(await metrics.render(house));
  return (name: string, labels: Record<string, string> = {}) => {
    const family = families.get(name.replace(/_(?:bucket|sum|count)$/, "")) ?? families.get(name);
    const wanted = Object.entries(labels);
    const found = family?.samples.filter(
      (one) => one.name === name && wanted.every(([key, value]) => one.labels[key] === value),
    );
    return found?.map(({ value }) => value);
  };
}

test("the sum of costs is exact to the nano-dollar", async (t) => {
  const metrics = new Metrics();
  for (let made = 0; made < 7; made += 1) ran(metrics);
  const value = await scrape(metrics);
  const labels = { model: "flux-dev", provider: "aws", upstream: "flux-aws", kind: "request" };
  t.deepEqual(value("budgetguard_cost_usd_total", labels), ["0.023473331"]);
  t.deepEqual(value("generation_cost_usd_total"), ["0.023473331"]);
  t.deepEqual(value("budgetguard_request_duration_seconds_sum"), ["84.000007"]);
});

test("any amount under 8 million dollars reads back as the same nano-dollars", async (t) => {
  const property = fc.asyncProperty(fc.bigInt({ min: 0n, max: 8_000_000_000_000_000n }), async (nanos) => {
    const metrics = new Metrics();
    metrics.posted({ ...charged, amount: nanoUsd(nanos) });
    const [text] = (await scrape(metrics))("generation_cost_usd_total") ?? [];
    return BigInt(Number(text).toFixed(9).replace(".", "")) === nanos;
  });
  await t.notThrowsAsync(fc.assert(property, { numRuns: 100 }));
});

test("a refused request is counted, and is neither a generation nor a cost", async (t) => {
  const metrics = new Metrics();
  metrics.observe(refused);
  const value = await scrape(metrics);
  t.deepEqual(value("budgetguard_requests_total", { outcome: "refused", upstream: "none" }), ["1"]);
  t.deepEqual(value("generation_total"), ["0", "0"]);
  t.deepEqual(value("generation_cost_usd_total"), ["0"]);
  t.deepEqual(value("generation_cost_usd_per_image"), []);
  t.deepEqual(value("budgetguard_overhead_seconds_count"), ["0"]);
});

test("generations are told apart by how they went, and cost per image is their quotient", async (t) => {
  const metrics = new Metrics();
  ran(metrics, { images: 4 });
  ran(metrics, { outcome: "aborted", succeeded: false, images: 0 }, { amount: usd(646_667) });
  const value = await scrape(metrics);
  t.deepEqual(value("generation_total", { status: "succeeded", model: "flux-dev" }), ["1"]);
  t.deepEqual(value("generation_total", { status: "failed", model: "flux-dev" }), ["1"]);
  t.deepEqual(value("generation_cost_usd_per_image"), ["0.001"]);
  t.deepEqual(value("generation_latency_seconds_count"), ["1"]);
  t.deepEqual(value("generation_latency_seconds_bucket", { le: "12" }), ["0"]);
  t.deepEqual(value("generation_latency_seconds_bucket", { le: "20" }), ["1"]);
});

test("tokens are counted by upstream, and go on where the ledger left off", async (t) => {
  const metrics = new Metrics();
  const { duration: _, overhead: __, ...ended } = relayed;
  const requests = [{ ...ended, tokens: { input: 1000, output: 5 }, count: 7 }];
  metrics.restore({ requests, posted: [], decisions: [] });
  metrics.observe({ ...relayed, tokens: { input: 200, output: 34 } });
  metrics.observe(relayed);
  const value = await scrape(metrics);
  const labels = { model: "flux-dev", upstream: "flux-aws" };
  t.deepEqual(value("budgetguard_tokens_total", { ...labels, kind: "input" }), ["1200"]);
  t.deepEqual(value("budgetguard_tokens_total", { ...labels, kind: "output" }), ["39"]);
  t.deepEqual(value("budgetguard_tokens_total", { upstream: "none" }), []);
});

test("how far expected times were off is told by model, as the house remembers it", async (t) => {
  const value = await scrape(new Metrics());
  t.deepEqual(value("budgetguard_estimate_error_ratio", { model: "flux-dev" }), ["0.25"]);
});

test("counters go on where the ledger left off", async (t) => {
  const metrics = new Metrics();
  const { duration: _, overhead: __, ...ended } = relayed;
  metrics.restore({
    requests: [{ ...ended, count: 41, images: 50 }],
    posted: [
      { ...charged, amount: usd(1_000_000_001) },
      { ...charged, kind: "idle", model: "", amount: usd(7), elapsed: durationUs(90_500_000) },
    ],
    decisions: [{ action: "block", budget: "studio-day", count: 3 }],
  });
  ran(metrics);
  metrics.posted({ ...charged, kind: "idle", model: "", amount: usd(1), elapsed: durationUs(500_000) });
  metrics.decision("block", "studio-day");
  const value = await scrape(metrics);
  t.deepEqual(value("budgetguard_requests_total", { outcome: "relayed" }), ["42"]);
  t.deepEqual(value("budgetguard_cost_usd_total", { kind: "request" }), ["1.003353334"]);
  t.deepEqual(value("budgetguard_cost_usd_total", { kind: "idle" }), ["8e-9"]);
  t.deepEqual(value("budgetguard_container_idle_seconds_total", { upstream: "flux-aws" }), ["91"]);
  t.deepEqual(value("budgetguard_decisions_total", { action: "block", budget: "studio-day" }), ["4"]);
  t.deepEqual(value("generation_total", { status: "succeeded" }), ["42"]);
});

test("a correction downwards does not make a counter fall", async (t) => {
  const metrics = new Metrics();
  metrics.posted({ ...charged, kind: "adjustment", amount: usd(5) });
  metrics.posted({ ...charged, kind: "adjustment", amount: usd(-9) });
  t.deepEqual((await scrape(metrics))("budgetguard_cost_usd_total", { kind: "adjustment" }), ["5e-9"]);
});

test("budgets show limit, settled, held and what remains", async (t) => {
  const value = await scrape(new Metrics());
  const labels = { budget: "studio-day" };
  t.deepEqual(value("budgetguard_budget_limit_usd", labels), ["20"]);
  t.deepEqual(value("budgetguard_budget_settled_usd", labels), ["0.003353333"]);
  t.deepEqual(value("budgetguard_budget_held_usd", labels), ["1e-9"]);
  t.deepEqual(value("budgetguard_budget_remaining_usd", labels), ["19.996646666"]);
  t.deepEqual(value("budgetguard_budget_resets_timestamp_seconds", labels), ["1795392000"]);
});

test("a budget per user shows the user closest to the limit, and never a user's name", async (t) => {
  const perUser = budget("artist", { limit_usd: "5.00", per: "user" });
  const state = (value: string, settled: number) => {
    return {
      budget: perUser,
      value,
      period: always,
      unit: "usd" as const,
      limit: usd(5_000_000_000),
      settled: usd(settled),
      held: usd(0),
    };
  };
  const status = {
    ...houseOf().status(),
    budgets: [state("mallory\n", 1), state("bob", 4_000_000_000), state("eve", 2)],
  };
  const house = houseOf({ status: () => status });
  const value = await scrape(new Metrics(), house);
  t.deepEqual(value("budgetguard_budget_settled_usd"), ["4"]);
  t.deepEqual(value("budgetguard_budget_resets_timestamp_seconds"), []);
  t.notRegex(await new Metrics().render(house), /mallory|bob|eve"/);
});

test("the policy's validity, the age of prices and the build are shown", async (t) => {
  const problem = { line: 1, column: 1, path: "", text: "unreadable" };
  const house = houseOf();
  const invalid = houseOf({ policy: () => ({ ...house.policy(), problems: [problem] }) });
  t.deepEqual((await scrape(new Metrics(), house))("budgetguard_policy_valid"), ["1"]);
  const value = await scrape(new Metrics(), invalid);
  t.deepEqual(value("budgetguard_policy_valid"), ["0"]);
  t.deepEqual(value("budgetguard_policy_loaded_timestamp_seconds"), ["1795305600"]);
  t.deepEqual(value("budgetguard_price_age_seconds", { upstream: "flux-aws" }), [
    String(2 * 86_400 + 36_900 + 0.000001),
  ]);
  t.deepEqual(value("budgetguard_build_info", { version: "0.1.0" }), ["1"]);
  t.deepEqual(value("budgetguard_inflight_requests"), ["2"]);
  t.deepEqual(value("budgetguard_waiting_requests"), ["1"]);
  t.deepEqual(value("budgetguard_upstream_ejected", { upstream: "flux-aws" }), ["0"]);
});

test("what the ledger does is counted", async (t) => {
  const metrics = new Metrics();
  metrics.commit(durationUs(400));
  metrics.ledgerError();
  metrics.unmetered();
  metrics.cutLabels(2);
  const value = await scrape(metrics);
  t.deepEqual(value("budgetguard_ledger_commit_seconds_sum"), ["0.0004"]);
  t.deepEqual(value("budgetguard_ledger_errors_total"), ["1"]);
  t.deepEqual(value("budgetguard_unmetered_requests_total"), ["1"]);
  t.deepEqual(value("budgetguard_cut_labels_total"), ["2"]);
});

test("thousands of combinations end up as other, and none of the money is lost", async (t) => {
  const metrics = new Metrics();
  for (let each = 0; each < 5_100; each += 1)
    ran(metrics, { upstream: `u-${each}` }, { upstream: `u-${each}`, amount: usd(1) });
  const value = await scrape(metrics);
  t.deepEqual(value("budgetguard_cost_usd_total", { upstream: "other" }), ["1e-7"]);
  t.is(value("budgetguard_cost_usd_total")?.length, 5_001);
});

test("what the policy can lead to is there at 0 before it happens", async (t) => {
  const value = await scrape(new Metrics());
  const labels = { model: "flux-dev", provider: "aws", upstream: "flux-aws" };
  t.deepEqual(value("budgetguard_cost_usd_total", { ...labels, kind: "request" }), ["0"]);
  for (const outcome of ["relayed", "failed", "aborted", "truncated", "cut", "unknown"]) {
    t.deepEqual(value("budgetguard_requests_total", { ...labels, outcome }), ["0"], outcome);
  }
  for (const outcome of ["refused", "no_upstream", "unsent"]) {
    const none = { ...labels, provider: "none", upstream: "none", outcome };
    t.deepEqual(value("budgetguard_requests_total", none), ["0"], outcome);
  }
  for (const action of ["block", "warn"]) {
    t.deepEqual(value("budgetguard_decisions_total", { action, budget: "studio-day" }), ["0"], action);
  }
});

test("a policy of a hundred models on ten upstreams each begins two hundred series, and no more", async (t) => {
  const upstreams = Array.from({ length: 10 }, (_, index) => upstream(`u-${index}`));
  const ids = upstreams.map(({ id }) => id);
  const models = Array.from({ length: 100 }, (_, index) => model(`m-${index}`, ids));
  const house = houseOf();
  const large = { ...house.policy(), policy: policyOf({ upstreams, models }) };
  const value = await scrape(new Metrics(), houseOf({ policy: () => large }));
  const begun = ["relayed", "refused"].map(
    (outcome) => value("budgetguard_requests_total", { outcome })?.length,
  );
  t.is((begun[0] ?? 0) + (begun[1] ?? 0), 200);
});

test("any policy names can be read back", async (t) => {
  const names = fc
    .string({ unit: "binary", minLength: 1, maxLength: 20 })
    .filter((name) => !name.includes("\r"));
  const property = fc.asyncProperty(names, fc.constantFrom(...OUTCOMES), async (model, outcome) => {
    const metrics = new Metrics();
    metrics.observe({ ...relayed, model, outcome });
    return (await scrape(metrics))("budgetguard_requests_total", { model, outcome })?.[0] === "1";
  });
  await t.notThrowsAsync(fc.assert(property, { numRuns: 100 }));
});

test("the reader of these tests refuses what a scraper would not take", (t) => {
  const family = "# HELP a b\n# TYPE a counter\n";
  t.notThrows(() => readExposition(`${family}a{x="\\"1"} 1\n`));
  for (const wrong of ["a 1", "a{x=1} 1\n", "a 0x1\n", "b 1\n", "a 1\na 2\n", 'a{x="1",x="2"} 1\n']) {
    t.throws(() => readExposition(family + wrong), undefined, wrong);
  }
  t.throws(() => readExposition("a 1\n"));
  const histogram = "# HELP h b\n# TYPE h histogram\n";
  t.throws(() =>
    readExposition(`${histogram}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`),
  );
});

test("/metrics is served as Prometheus text, without a token", async (t) => {
  const { admin, metrics, baseUrl } = await openAdmin(houseOf());
  t.teardown(() => admin.close());
  metrics.observe(relayed);
  const reply = await fetch(`${baseUrl}/metrics`);
  t.is(reply.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  t.true(readExposition(await reply.text()).has("budgetguard_requests_total"));
});

function promtool(path: string, text: string): Promise<{ code: number | null; said: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; said: string }>();
  const child = spawn(path, ["check", "metrics"]);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (said += piece));
  child.on("error", reject);
  child.on("close", (code) => resolve({ code, said }));
  child.stdin.end(text);
  return promise;
}

test(
  "promtool has nothing to say about the metrics",
  needs("promtool", async (t, path) => {
    const metrics = new Metrics();
    metrics.observe(relayed);
    metrics.observe(refused);
    metrics.decision("block", studioDay.id);
    metrics.commit(durationUs(400));
    t.is(policy.budgets[0], studioDay);
    t.is(today.end > today.start, true);
    t.deepEqual(await promtool(path, await metrics.render(houseOf())), { code: 0, said: "" });
  }),
);
