// What the origin's budget systems promised, one row each, through the running gateway over real sockets. A title
// begins with the number of the promise. Rows that tests of their own prove are not repeated here: thresholds in
// alerts.test.ts, waiting in money-queue.test.ts, layers in on-limit.test.ts.

import test, { type ExecutionContext } from "ava";
import { cli } from "../support/cli.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually, type Reply } from "../support/gateway-client.ts";
import { type SlowUpstream, slowUpstream } from "../support/slow-upstream.ts";

interface Bench {
  readonly gateway: Gateway;
  readonly upstream: SlowUpstream;
  /** With labels, by the last word of their header. */
  send(labels?: Readonly<Record<string, string>>): Promise<Reply>;
  save(budgets: string): Promise<void>;
}

const policyOf = (url: string, budgets: string, top = "") => `version: 1
timezone: Europe/Berlin
mode: manual
${top}
upstreams:
  big: { provider: aws, url: "${url}", price: { usd_per_request: 0.10 } }
  small: { provider: gcp, url: "${url}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [big, small], manual: big }
budgets:
${budgets}
`;

async function begin(t: ExecutionContext, budgets: string, top = ""): Promise<Bench> {
  const upstream = await slowUpstream();
  upstream.release("all");
  const gateway = await startGateway(policyOf(upstream.url, budgets, top));
  t.teardown(async () => {
    await gateway.stop();
    await upstream.stop();
  });
  const send = (labels: Readonly<Record<string, string>> = {}) => {
    const named = Object.entries(labels).map(([name, value]) => [`X-BudgetGuard-${name}`, value]);
    return askImage(gateway.url, { headers: Object.fromEntries(named) });
  };
  const save = async (text: string) => {
    const before = (await gateway.client.policy()).digest;
    gateway.folder.save(policyOf(upstream.url, text, top));
    await eventually("the policy is in force", async () => (await gateway.client.policy()).digest !== before);
  };
  return { gateway, upstream, send, save };
}

async function statuses(bench: Bench, ...labels: readonly Readonly<Record<string, string>>[]) {
  const found: number[] = [];
  for (const each of labels) found.push((await bench.send(each)).status);
  return found;
}

/** What the budget's only balance says. */
async function resetOf({ gateway }: Bench, id: string): Promise<string | null | undefined> {
  return (await gateway.client.status()).budgets.find((one) => one.id === id)?.resets_at;
}

/** The local date and time, in the policy's zone. */
const local = (at: string | null | undefined) =>
  new Date(String(at)).toLocaleString("sv-SE", { timeZone: "Europe/Berlin" });

test.serial("D01: one budget each for thirteen agents, and none spends another's", async (t) => {
  const bench = await begin(
    t,
    "  - { id: agents, per: agent, limit_requests: 1, period: daily, on_limit: block }",
  );
  const agents = Array.from({ length: 13 }, (_, index) => ({ Tag: `agent-${index}` }));
  t.deepEqual(await statuses(bench, ...agents), Array(13).fill(200));
  t.deepEqual(await statuses(bench, ...agents), Array(13).fill(402));
});

test.serial(
  "D07: what does not fit is refused before anything is sent, and what was used is counted after",
  async (t) => {
    const bench = await begin(t, "  - { id: day, limit_usd: 0.10, period: daily, on_limit: block }");
    t.deepEqual(await statuses(bench, {}, {}), [200, 402]);
    t.is(bench.upstream.seen.length, 1);
    t.like((await bench.gateway.client.status()).budgets[0], { settled: "0.10", held: "0.00" });
  },
);

test.serial(
  "D08: a budget that says neither action nor period has those of defaults, and a warning at its threshold",
  async (t) => {
    const top = "defaults: { on_limit: block, period: monthly, warn_at: 0.40, critical_at: 0.45 }";
    const bench = await begin(t, "  - { id: plain, limit_usd: 0.20 }", top);
    const first = await bench.send();
    t.is(first.headers["x-budgetguard-warning"], "budget plain runs low: 0.10 of 0.20 USD used or held");
    t.deepEqual(await statuses(bench, {}, {}), [200, 402]);
    t.like((await bench.gateway.client.status()).budgets[0], { action: "block", period: "monthly" });
  },
);

test.serial(
  "D09: a budget of one agent takes the place of what all agents have, and says what it is for",
  async (t) => {
    const bench = await begin(
      t,
      `  - { id: agents, per: tag, limit_requests: 1, period: daily, on_limit: block }
  - { id: coder, when: { agent: coder }, limit_requests: 2, period: daily, on_limit: block, description: "writes code" }`,
    );
    const coder = { Tag: "coder" };
    t.deepEqual(
      await statuses(bench, coder, coder, coder, { Tag: "x" }, { Tag: "x" }),
      [200, 200, 402, 200, 402],
    );
    const { stdout } = await cli(["explain", "coder", "--admin", bench.gateway.daemon.admin]);
    t.regex(stdout, /^Budget coder: writes code\n/);
  },
);

test.serial(
  "A23, D10–D14, E15–E18: every period is told with when it turns, in the policy's time zone",
  async (t) => {
    const periods = ["hourly", "daily", "weekly", "monthly", "yearly", "infinite"];
    const lines = periods.map(
      (period) => `  - { id: ${period}, limit_usd: 9, period: ${period}, on_limit: block }`,
    );
    const more = [
      "  - { id: sundays, limit_usd: 9, period: weekly, reset_day: 7, on_limit: block }",
      "  - { id: from-28, limit_usd: 9, period: monthly, reset_day: 28, on_limit: block }",
      "  - { id: plain, limit_usd: 9 }",
    ];
    const bench = await begin(t, [...lines, ...more].join("\n"));
    t.is((await bench.send()).status, 200);
    t.regex(local(await resetOf(bench, "hourly")), / \d\d:00:00$/);
    t.regex(local(await resetOf(bench, "daily")), / 00:00:00$/);
    t.is(await resetOf(bench, "plain"), await resetOf(bench, "daily"));
    const weekday = async (id: string) =>
      new Date(`${local(await resetOf(bench, id)).slice(0, 10)}T12:00Z`).getUTCDay();
    t.is(await weekday("weekly"), 1);
    t.is(await weekday("sundays"), 0);
    t.regex(local(await resetOf(bench, "monthly")), /-01 00:00:00$/);
    t.regex(local(await resetOf(bench, "from-28")), /-28 00:00:00$/);
    t.regex(local(await resetOf(bench, "yearly")), /-01-01 00:00:00$/);
    t.is(await resetOf(bench, "infinite"), null);
  },
);

for (const [row, budget, said] of [
  ["D11", "period: weekly, reset_day: 8", /8 is no day of the week: write 1 \(Monday\) to 7/],
  ["D12", "period: monthly, reset_day: 29", /reset_day.*28/],
] as const) {
  test.serial(
    `${row}: with ${budget} the policy is refused at load, and the one in force stays`,
    async (t) => {
      const bench = await begin(t, "  - { id: day, limit_requests: 1, period: daily, on_limit: block }");
      const { folder, client } = bench.gateway;
      folder.save(
        policyOf(bench.upstream.url, `  - { id: day, limit_requests: 5, ${budget}, on_limit: block }`),
      );
      const problems = await eventually("the problem is told", async () => {
        const policy = await client.policy();
        return policy.problems.length > 0 && policy.problems;
      });
      t.regex(JSON.stringify(problems), said);
      t.deepEqual(await statuses(bench, {}, {}), [200, 402]);
    },
  );
}

test.serial("D32, D35: at its limit a budget queues, and whoever waits runs when it is raised", async (t) => {
  const day = (limit: number) => `  - { id: day, limit_requests: ${limit}, period: daily, on_limit: queue }`;
  const bench = await begin(t, day(1));
  await bench.send();
  const waits = bench.send();
  await eventually("it waits", async () => (await bench.gateway.client.status()).waiting === 1);
  await bench.save(day(2));
  const reply = await waits;
  t.is(reply.status, 200);
  t.regex(String(reply.headers["x-budgetguard-waited-seconds"]), /^\d+\.\d{3}$/);
});

test.serial("D37: of two that wait for the same money the one of higher priority runs first", async (t) => {
  const day = (limit: number) => `  - { id: day, limit_requests: ${limit}, period: daily, on_limit: queue }
  - { id: urgent, when: { project: urgent }, limit_requests: 9, period: daily, on_limit: block, priority: critical }`;
  const bench = await begin(t, day(1));
  await bench.send();
  const waiting = (count: number) =>
    eventually(`${count} wait`, async () => (await bench.gateway.client.status()).waiting === count);
  const order: string[] = [];
  const send = (name: string) => bench.send({ Project: name }).then(() => void order.push(name));
  const low = send("ordinary");
  await waiting(1);
  const high = send("urgent");
  await waiting(2);
  await bench.save(day(2));
  await high;
  t.deepEqual(order, ["urgent"]);
  await bench.save(day(3));
  await low;
});

test.serial("E03: spend is told by provider, model and component", async (t) => {
  const bench = await begin(t, "  - { id: day, limit_usd: 9, period: daily, on_limit: block }");
  await statuses(bench, { Tag: "codex" }, { Tag: "codex", Provider: "gcp" }, { Tag: "other" });
  const by = async (dimension: "provider" | "model" | "tag") =>
    (await bench.gateway.client.spend({ by: dimension })).rows.map(({ value, amount_usd }) => [
      value,
      amount_usd,
    ]);
  t.deepEqual(await by("provider"), [
    ["aws", "0.20"],
    ["gcp", "0.01"],
  ]);
  t.deepEqual(await by("model"), [["flux-dev", "0.21"]]);
  t.deepEqual(await by("tag"), [
    ["codex", "0.11"],
    ["other", "0.10"],
  ]);
});

test.serial(
  "E14, E23: of a provider's budgets the warning lets pass and the hard limit refuses, at that provider alone",
  async (t) => {
    const bench = await begin(
      t,
      `  - { id: warns, when: { provider: aws }, limit_usd: 0.10, period: daily, on_limit: warn }
  - { id: stops, when: { provider: aws }, limit_usd: 0.20, period: daily, on_limit: hard_limit }`,
    );
    t.is((await bench.send()).headers["x-budgetguard-warning"]?.includes("budget warns"), true);
    t.deepEqual(await statuses(bench, {}, {}, { Provider: "gcp" }), [200, 402, 200]);
  },
);

test.serial("E19: a session has its limit once, another session of the user its own", async (t) => {
  const bench = await begin(
    t,
    "  - { id: session, limit_requests: 1, period: per_session, on_limit: block }",
  );
  const [a, b] = [{ Session: "a" }, { Session: "b" }];
  t.deepEqual(await statuses(bench, a, a, b, b), [200, 402, 200, 402]);
});

test.serial(
  "E20: requests that name a task share its limit, one that names none is a task of its own",
  async (t) => {
    const bench = await begin(t, "  - { id: task, limit_requests: 1, period: per_task, on_limit: block }");
    const shot = { Task: "shot-7" };
    t.deepEqual(await statuses(bench, shot, shot, {}, {}), [200, 402, 200, 200]);
  },
);

test.serial("E21: a budget that ignores counts, and says nothing", async (t) => {
  const bench = await begin(t, "  - { id: day, limit_usd: 0.01, period: daily, on_limit: ignore }");
  const reply = await bench.send();
  t.deepEqual([reply.status, reply.headers["x-budgetguard-warning"]], [200, undefined]);
  t.is((await bench.gateway.client.status()).budgets[0]?.settled, "0.10");
});

test.serial(
  "B47: a model's max_usd_per_request refuses one request of a dime and passes one of a cent",
  async (t) => {
    const upstream = await slowUpstream();
    upstream.release("all");
    const text = policyOf(upstream.url, "  - { id: day, limit_usd: 9, period: daily, on_limit: block }");
    const gateway = await startGateway(text.replace("manual: big", "manual: big, max_usd_per_request: 0.01"));
    t.teardown(async () => {
      await gateway.stop();
      await upstream.stop();
    });
    const send = (provider: string) =>
      askImage(gateway.url, { headers: { "X-BudgetGuard-Provider": provider } });
    t.deepEqual(
      [(await send("aws")).status, (await send("gcp")).status, (await send("gcp")).status],
      [402, 200, 200],
    );
  },
);

test.serial(
  "D53: estimate and actual are both told of a request, and how far off they were is a metric",
  async (t) => {
    const bench = await begin(t, "  - { id: day, limit_usd: 9, period: daily, on_limit: block }");
    const reply = await bench.send();
    const record = await bench.gateway.client.request(String(reply.headers["x-budgetguard-request"]));
    t.like(record, { estimate_usd: "0.10", charged_usd: "0.10" });
    const scraped = await ask(`${bench.gateway.daemon.admin}/metrics`, { method: "GET" });
    t.true(scraped.body.toString().includes("budgetguard_estimate_error_ratio"));
  },
);
