// Every key of the policy file arrives in the field of its name: each is written with a value that is not its
// default.

import test from "ava";
import { hourlyRate } from "../../src/metering/money.ts";
import type { Budget, Machine, Model, Policy, Upstream } from "../../src/policy/policy.ts";
import { usd } from "../support/policies.ts";
import { file, policy, problems } from "./reading.ts";

type Row<T> = readonly [yaml: string, field: (of: T) => unknown, value: unknown];

function checkAll<T>(where: string, rows: readonly Row<T>[], read: (yaml: string) => T) {
  for (const [yaml, field, value] of rows) {
    test(`arrives, of ${where}: ${yaml}`, (t) => t.deepEqual(field(read(yaml)), value));
  }
}

const SECOND = 1_000_000;
const HASH = "ab".repeat(32);

const TOP: readonly Row<Policy>[] = [
  ["timezone: Asia/Tokyo", (p) => p.timezone, "Asia/Tokyo"],
  ["mode: lowest_price", (p) => p.mode, "lowest_price"],
  ["mode: local", (p) => p.mode, "local"],
  ["lowest_price: {include_local: true}", (p) => p.lowestPrice, { includeLocal: true, explore: true }],
  ["lowest_price: {explore: false}", (p) => p.lowestPrice, { includeLocal: false, explore: false }],
  ["attribution: exclusive", (p) => p.attribution, "exclusive"],
  ["when_ledger_fails: serve_free", (p) => p.whenLedgerFails, "serve_free"],
  ["when_ledger_fails: spool", (p) => p.whenLedgerFails, "spool"],
  ["identity: token", (p) => p.identity, "token"],
  ["limits: {connections: 7}", (p) => p.limits.connections, 7],
  ["limits: {waiting: 0}", (p) => p.limits.waiting, 0],
  ["limits: {label_values: 7}", (p) => p.limits.labelValues, 7],
  ["limits: {body: 2kB}", (p) => p.limits.body, 2_000],
  ["limits: {body: 2MB}", (p) => p.limits.body, 2_000_000],
  ["limits: {body: 2 GB}", (p) => p.limits.body, 2_000_000_000],
  ["limits: {body: 2KiB}", (p) => p.limits.body, 2_048],
  ["limits: {body: 2MiB}", (p) => p.limits.body, 2_097_152],
  ["limits: {body: 2GiB}", (p) => p.limits.body, 2_147_483_648],
  ["hosts: [NIM.studio.lan, 'b:1']", (p) => p.hosts, ["nim.studio.lan", "b:1"]],
  ["origins: ['HTTPS://Dash.lan:1']", (p) => p.origins, ["https://dash.lan:1"]],
  ["metrics: {labels: [user, tag]}", (p) => p.metrics.labels, ["user", "tag"]],
  ["comfyui: {url: 'http://h:8188/'}", (p) => p.comfyui, { url: "http://h:8188" }],
  ["techops: {config: ~/a}", (p) => p.techops?.config, "~/a"],
  ["techops: {studio_key: {credential: k}}", (p) => p.techops?.studioKey, { kind: "credential", name: "k" }],
  ["defaults: {session_idle: 5m}", (p) => p.sessionIdle, 300 * SECOND],
  ["prices: {refresh: 2d}", (p) => p.prices?.refresh, 172_800 * SECOND],
  ["prices: {sources: [gcp]}", (p) => p.prices?.sources, ["gcp"]],
  ["prices: {licence_usd_per_gpu_hour: 1.5}", (p) => p.prices?.licencePerGpuHour, usd("1.5")],
  [
    "prices: {entries: {a: {usd_per_hour: 1}, b: {usd_per_million_tokens: {input: 1, output: 2}}}}",
    (p) => [...(p.prices?.entries ?? [])],
    [
      ["a", { kind: "hour", amount: usd("1") }],
      ["b", { kind: "tokens", input: usd("1"), output: usd("2") }],
    ],
  ],
  [
    "providers: {aws: {credentials: {profile: s}, endpoint: 'https://e', dry_run: true, calls_per_minute: 5}}",
    (p) => p.providers?.get("aws"),
    {
      credentials: { kind: "profile", name: "s" },
      endpoint: "https://e",
      dryRun: true,
      callsPerMinute: 5,
    },
  ],
  [
    "providers: {azure: {credentials: {techops: true}}}",
    (p) => p.providers?.get("azure")?.credentials,
    { kind: "techops" },
  ],
  [
    `clients: {alice: {token_sha256: "${HASH.toUpperCase()}", role: operate}}`,
    (p) => p.clients.get("alice"),
    { id: "alice", tokenSha256: HASH, role: "operate" },
  ],
  [`clients: {bob: {token_sha256: "${HASH}"}}`, (p) => p.clients.get("bob")?.role, "use"],
  [
    "alerts: {webhooks: [{url: {env: A}, format: teams, events: [limit]}]}",
    (p) => p.alerts?.webhooks,
    [{ url: { kind: "env", name: "A" }, format: "teams", events: ["limit"] }],
  ],
  [
    "alerts: {rules: {max_usd_per_image: 1, min_success_percent: 95, projected_month_usd: 2}}",
    (p) => p.alerts?.rules,
    { maxPerImage: usd("1"), minSuccessPercent: 95, projectedMonth: usd("2") },
  ],
];
checkAll("the file", TOP, (yaml) => policy(file(yaml)));

const BUDGET: readonly Row<Budget>[] = [
  ["description: for Alice", (b) => b.description, "for Alice"],
  ["when: {node: [a, b]}", (b) => b.when, new Map([["node", ["a", "b"]]])],
  ["when: {gpu_tier: A10G}", (b) => b.when, new Map([["gpu_tier", ["a10g"]]])],
  ["per: project", (b) => b.per, "project"],
  ["limit_requests: 3", (b) => b.limits.get("requests"), 3n],
  ["limit_images: 3", (b) => b.limits.get("images"), 3n],
  ["limit_seconds: 3", (b) => b.limits.get("seconds"), 3_000_000n],
  ["limit_tokens: 3", (b) => b.limits.get("tokens"), 3n],
  ["period: monthly, reset_day: 9", (b) => [b.period, b.resetDay], ["monthly", 9]],
  ["on_limit: hard_limit", (b) => b.onLimit, "block"],
  ["on_limit: ignore", (b) => b.onLimit, "ignore"],
  ["on_limit: degrade, then: queue", (b) => [b.onLimit, b.then], ["degrade", "queue"]],
  ["on_limit: queue, max_wait: 90m", (b) => b.maxWait, 5_400 * SECOND],
  ["warn_at: 0.2, critical_at: 0.3", (b) => [b.warnAt, b.criticalAt], [0.2, 0.3]],
  ["priority: low", (b) => b.priority, 2],
  ["priority: medium", (b) => b.priority, 5],
  ["priority: high", (b) => b.priority, 8],
  ["priority: critical", (b) => b.priority, 10],
  ["priority: 3", (b) => b.priority, 3],
  ["overrun: cut", (b) => b.overrun, "cut"],
  ["include_idle: false", (b) => b.includeIdle, false],
  ["stop_idle: true", (b) => b.stopIdle, true],
  ["shadow: true", (b) => b.shadow, true],
  ["enabled: false", (b) => b.enabled, false],
  ["from: 2026-12-01", (b) => [b.from, b.until], ["2026-12-01", undefined]],
  ["until: 2026-12-31", (b) => [b.from, b.until], [undefined, "2026-12-31"]],
];
checkAll("a budget", BUDGET, (yaml) =>
  known(policy(file(`budgets: [{id: a, limit_usd: 1, ${yaml}}]`)).budgets[0]),
);

for (const [key, field, value] of [
  ["on_limit: block", "onLimit", "block"],
  ["period: yearly", "period", "yearly"],
  ["warn_at: 0.1", "warnAt", 0.1],
  ["critical_at: 0.8", "criticalAt", 0.8],
] as const) {
  test(`a default is what a budget has that does not say: ${key}`, (t) => {
    const made = policy(file(`defaults: {${key}}\nbudgets: [{id: a, limit_usd: 1}]`));
    t.is(made.budgets[0]?.[field], value);
  });
}

const DOCKER = "container: {docker: {name: X}}";
const UPSTREAM: readonly Row<Upstream>[] = [
  ["model: flux.1-dev", (u) => u.model, "flux.1-dev"],
  ["gpu_tier: A10G", (u) => u.gpuTier, "a10g"],
  ["concurrency: 3", (u) => u.concurrency, 3],
  ["rate_limit: 40/s", (u) => u.rateLimit, { calls: 40, per: SECOND }],
  ["rate_limit: 40/min", (u) => u.rateLimit, { calls: 40, per: 60 * SECOND }],
  ["rate_limit: 40/h", (u) => u.rateLimit, { calls: 40, per: 3_600 * SECOND }],
  ["idle_usd_per_hour: 0.5", (u) => u.idleRate, hourlyRate(500_000_000n)],
  ["min_billed: 250ms", (u) => u.minBilled, 250_000],
  ["rank_usd_per_request: 0.03", (u) => u.rankPerRequest, usd("0.03")],
  [
    "timeouts: {connect: 1s, first_byte: 2m, idle: 3h, total: 4d}",
    (u) => u.timeouts,
    { connect: SECOND, firstByte: 120 * SECOND, idle: 10_800 * SECOND, total: 345_600 * SECOND },
  ],
  [
    "container: {docker: {name: Y, socket: /run/p.sock}}",
    (u) => u.container,
    { kind: "docker", name: "Y", socket: "/run/p.sock" },
  ],
  [
    `${DOCKER}, lifecycle: {wake: on_request, stop_after_idle: 30m, startup_estimate: 1m, startup_timeout: 2m}`,
    (u) => u.lifecycle,
    {
      wake: "on_request",
      stopAfterIdle: 1_800 * SECOND,
      keepWarm: undefined,
      startupEstimate: 60 * SECOND,
      startupTimeout: 120 * SECOND,
    },
  ],
  // B53: half an hour once it is turned on.
  [`${DOCKER}, lifecycle: {stop_after_idle: on}`, (u) => u.lifecycle?.stopAfterIdle, 1_800 * SECOND],
  [
    // A31, X24, X25: nothing starts or stops by itself unless the policy says so; a start has half an hour.
    `${DOCKER}, lifecycle: {}`,
    (u) => u.lifecycle,
    {
      wake: "never",
      stopAfterIdle: "never",
      keepWarm: undefined,
      startupEstimate: 60 * SECOND,
      startupTimeout: 1_800 * SECOND,
    },
  ],
];
checkAll("an upstream", UPSTREAM, (yaml) =>
  known(
    policy(
      file("", `  b: {provider: other, url: http://h, price: {usd_per_hour: 1}, ${yaml}}\n`),
    ).upstreams.get("b"),
  ),
);

const MODEL: readonly Row<Model>[] = [
  ["port: 7200", (m) => m.port, 7200],
  ["upstreams: [b, a]", (m) => m.upstreams, ["b", "a"]],
  ["manual: b", (m) => m.manual, "b"],
  ["estimate: 7s", (m) => m.estimate, 7 * SECOND],
  ["fallback_model: n", (m) => m.fallbackModel, "n"],
];
checkAll("a model", MODEL, (yaml) => {
  const upstreams = "a: {provider: local, url: http://a}, b: {provider: local, url: http://b}";
  const list = yaml.startsWith("upstreams") ? "" : "upstreams: [a, b], ";
  const models = `m: {${list}${yaml}}, n: {upstreams: [a]}`;
  return known(policy(`version: 1\nupstreams: {${upstreams}}\nmodels: {${models}}\n`).models.get("m"));
});

const MACHINE: readonly Row<Machine>[] = [
  ["idle_usd_per_hour: 0.5", (m) => m.idleRate, hourlyRate(500_000_000n)],
  ["min_billed: 60s", (m) => m.minBilled, 60 * SECOND],
  ["asg: {region: r, name: n}", (m) => m.group, { kind: "asg", region: "r", name: "n" }],
  [
    "aks_pool: {subscription: s, resource_group: g, cluster: c, pool: p}",
    (m) => m.group,
    { kind: "aks_pool", subscription: "s", resourceGroup: "g", cluster: "c", pool: "p" },
  ],
  [
    "gke_pool: {project: p, location: l, cluster: c, pool: q}",
    (m) => m.group,
    { kind: "gke_pool", project: "p", location: "l", cluster: "c", pool: "q" },
  ],
  ["docker_host: {socket: /s}", (m) => m.group, { kind: "docker_host", socket: "/s" }],
];
checkAll("a machine", MACHINE, (yaml) =>
  known(policy(file(`machines: {m: {price: {usd_per_hour: 1}, ${yaml}}}`)).machines.get("m")),
);

test("32 levels may nest, and one more may not", (t) => {
  const nested = (levels: number) => file(`hosts: ${"[".repeat(levels)}${"]".repeat(levels)}`);
  const tooDeep = (text: string) => problems(text).some((each) => each.includes("nests too deep"));
  t.false(tooDeep(nested(32)));
  t.true(tooDeep(nested(33)));
});

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("it is not in the policy");
  return value;
}
