// A house made of functions, with amounts that would show a float or a rounding, and an admin surface over it.

import { type Admin, createAdmin } from "../../src/admin/admin.ts";
import type { ContainerRow } from "../../src/admin/container-row.ts";
import type { CredentialsState } from "../../src/admin/credential-routes.ts";
import type { AlertRecord, House, RequestRecord, SpendAsked } from "../../src/admin/house.ts";
import type { BilledMachine } from "../../src/admin/machine-routes.ts";
import { Metrics } from "../../src/admin/metrics.ts";
import type { PriceBook } from "../../src/admin/price-book.ts";
import type { Caller } from "../../src/admin/safety.ts";
import { hourlyRate, type NanoUsd, nanoUsd } from "../../src/metering/money.ts";
import { durationUs, FOREVER, type Instant, instantUs } from "../../src/metering/time.ts";
import type { Explanation } from "../../src/policy/decision.ts";
import type { Mode, Policy } from "../../src/policy/policy.ts";
import type { SpendingStop } from "../../src/policy/spending.ts";
import { budget, policy as policyOf, upstream } from "../support/policies.ts";

export const usd = (nanos: number): NanoUsd => nanoUsd(BigInt(nanos));
/** 2026-11-22T10:15:00.000001Z */
export const NOW: Instant = instantUs(1_795_342_500_000_001);
const MIDNIGHT: Instant = instantUs(1_795_305_600_000_000);
const NEXT_MIDNIGHT: Instant = instantUs(1_795_392_000_000_000);
export const today = { start: MIDNIGHT, end: NEXT_MIDNIGHT };
export const always = { start: instantUs(0), end: FOREVER };

export const TOKENS: Record<string, Caller> = {
  "admin-token": { role: "admin", id: "admin" },
  "alice-token": { role: "use", id: "alice" },
  "reader-token": { role: "read", id: "grafana" },
  "operator-token": { role: "operate", id: "olga" },
};
export const TOKEN_PATH = "/data/admin-token";

export const studioDay = budget("studio-day", { limit_usd: "20.00", description: "the studio's day" });

const source = {
  kind: "rate_card" as const,
  rate: "aws/us-east-1/g5.xlarge",
  asOf: "2026-11-20",
  source: "list",
};

export const policy: Policy = policyOf({
  upstreams: [upstream("flux-aws", { price: { kind: "hour", rate: hourlyRate(1_006_000_000n), source } })],
  timezone: "Europe/Berlin",
  budgets: [studioDay],
  hosts: ["studio.example"],
  origins: ["http://comfy.example:8188"],
  notes: [{ line: 3, column: 1, path: "alerts", text: "not active yet" }],
});

export const explanation: Explanation = {
  at: NOW,
  mode: "lowest_price",
  policy: policy.digest,
  chosen: "flux-aws",
  rule: "the lowest price whose budgets fit",
  alternatives: [{ upstream: "flux-local", provider: "local", estimate: usd(0) }],
  candidates: [
    {
      upstream: "flux-aws",
      provider: "aws",
      estimate: usd(3_353_334),
      hold: usd(3_353_334),
      rank: usd(3_353_334),
      time: durationUs(12_000_000),
      timeSource: "learned from 12 requests",
      inFlight: 0,
      price: "1.006 USD/h, rate card aws/us-east-1/g5.xlarge of 2026-11-20",
      leftOut: undefined,
      budgets: [
        {
          budget: "studio-day",
          action: "block",
          unit: "usd",
          limit: usd(20_000_000_000),
          settled: usd(1),
          held: usd(0),
          needed: usd(3_353_334),
          fits: true,
          shadow: false,
          resets: NEXT_MIDNIGHT,
        },
      ],
    },
  ],
};

const nobody = { session: undefined, task: undefined, node: undefined, project: undefined, tag: undefined };

export function requestOf(id: string, changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    id,
    clientRequestId: "c-1",
    at: NOW,
    endedAt: instantUs(NOW + 12_000_000),
    model: "flux-dev",
    upstream: "flux-aws",
    provider: "aws",
    labels: { user: "alice", workflow: "poster", ...nobody },
    outcome: "relayed",
    status: 200,
    estimate: usd(3_353_334),
    hold: usd(3_353_334),
    charged: usd(3_353_333),
    waiting: undefined,
    elapsed: durationUs(12_000_000),
    explanation,
    after: [
      {
        budget: "studio-day",
        unit: "usd",
        limit: usd(20_000_000_000),
        settled: usd(3_353_334),
        held: usd(0),
      },
    ],
    ...changes,
  };
}

const listed = { kind: "on_demand", provider: "aws", gpu: "a10g", gpus: 1 } as const;

export const PRICES: PriceBook = {
  rows: [
    {
      rate: {
        ...{ ...listed, key: "aws/us-east-1/g5.xlarge", perHour: hourlyRate(1_006_000_000n) },
        ...{ asOf: "2026-11-22T09:15:00Z", source: "AWS Price List API", live: true },
        effective: "2026-07-01T00:00:00Z",
      },
      verified: { kind: "verified", by: "the shipped list", asOf: "2026-07-20" },
      age: durationUs(3_600_000_000),
      isStale: false,
      upstreams: ["flux-aws"],
    },
    {
      rate: {
        ...{ ...listed, key: "aws/us-east-1/p4d.24xlarge", gpus: 8, perHour: hourlyRate(21_957_642_001n) },
        ...{ asOf: "2026-07-20", source: "the shipped list" },
      },
      verified: { kind: "unverified", why: "no second source has it" },
      age: durationUs(125 * 86_400_000_000),
      isStale: true,
      upstreams: [],
    },
  ],
  sources: [
    {
      ...{ name: "aws", isFetching: false, answeredAt: NOW, notes: [], nextAt: NEXT_MIDNIGHT },
      trouble: undefined,
    },
    {
      ...{ name: "gcp", isFetching: false, answeredAt: undefined, notes: [], nextAt: NEXT_MIDNIGHT },
      trouble: { at: NOW, why: "it needs an API key: name it with prices.access.gcp.key" },
    },
  ],
  suspects: [],
  licencePerGpuHour: usd(1_000_000_000),
};

const alerts: readonly AlertRecord[] = [
  {
    ...{ id: "a-1", at: NOW, event: "warning", severity: "warning", topic: "budget", subject: "studio-day" },
    ...{ value: undefined, unit: "usd", period: today, timezone: "Europe/Berlin", advice: undefined },
    text: "budget studio-day has used 75 % of its limit: 15.00 of 20.00 USD",
    figures: { limit_usd: "20.00", settled_usd: "15.00", held_usd: "0.00" },
    deliveries: { "slack to env SLACK_URL": "delivered" },
    acknowledged: undefined,
  },
];

const found = { status: "found", why: undefined } as const;
const credentials: CredentialsState = {
  ...{ path: "/home/a/backend.json", readAt: NOW, notes: ["one is odd"] },
  banner: { text: "✓ Server Credentials Found", level: "green" },
  status: { aws: found, azure: { status: "invalid", why: "without Tenant ID" }, gcp: found, nvidia: found },
};

/** What was asked of the house, for tests that say what must not happen. */
function containerOf(upstream: string): ContainerRow {
  return {
    ...{ upstream, provider: "local", state: "ready", liveSince: MIDNIGHT, url: "http://127.0.0.1:8000" },
    ...{
      price: "0 USD/h, from the policy",
      idleRate: hourlyRate(0n),
      inFlight: 0,
      waiting: 0,
      startUp: durationUs(60_000_000),
      starts: 0,
      busyShare: 0,
      idleSince: NOW,
      stopsAt: undefined,
      note: undefined,
      seenAt: NOW,
      why: undefined,
    },
  };
}

const MACHINE: BilledMachine = {
  ...{ name: "gpu-pool", provider: "aws", state: "ready", price: "1 USD/h, from the policy" },
  ...{ idleRate: hourlyRate(usd(1)), idleDoubt: undefined, needs: ["r-3 is ready"] },
  runs: [{ upstream: "r-3", state: "ready", inFlight: 2 }],
  leases: [{ id: "i-1", since: MIDNIGHT, cost: usd(2), isWatched: true }],
};

export interface Heard {
  readonly spend: SpendAsked[];
  readonly modes: Mode[];
  readonly cancelled: string[];
  readonly tokens: string[];
  /** While spending is stopped, who stopped it. */
  readonly stops: SpendingStop[];
}

export function houseOf(changes: Partial<House> = {}): House & { heard: Heard } {
  const heard: Heard = { spend: [], modes: [], cancelled: [], tokens: [], stops: [] };
  const records = [
    requestOf("r-3", {
      outcome: "running",
      endedAt: undefined,
      charged: undefined,
      elapsed: undefined,
      after: [],
    }),
    requestOf("r-2", { labels: { user: "bob", workflow: undefined, ...nobody } }),
    requestOf("r-1"),
  ];
  const sums = {
    ...{ requests: 3, images: 2, elapsed: durationUs(24_000_000), amount: usd(6_706_666) },
    tokens: { input: 0, output: 0 },
  };
  return {
    heard,
    status: () => ({
      version: "0.1.0",
      at: NOW,
      startedAt: MIDNIGHT,
      inFlight: 2,
      waiting: 1,
      isFolding: true,
      listeners: [{ address: "127.0.0.1:7070", model: undefined, scheme: "http" }],
      budgets: [
        {
          budget: studioDay,
          value: undefined,
          period: today,
          unit: "usd",
          limit: usd(20_000_000_000),
          settled: usd(3_353_333),
          held: usd(1),
        },
      ],
      upstreams: [
        {
          id: "flux-aws",
          provider: "aws",
          models: ["flux-dev"],
          price: "1.006 USD/h, rate card",
          state: "up",
          inFlight: 1,
          concurrency: 1,
          waiting: 1,
          ejectedUntil: undefined,
          hindrance: "busy: 1 of 1 runs",
        },
      ],
    }),
    ready: () => ({ ready: true }),
    policy: () => ({
      path: "/etc/policy.yaml",
      policy,
      text: "version: 1\n",
      loadedAt: MIDNIGHT,
      problems: [],
    }),
    check: async (text) => ({
      problems: text.includes("bad")
        ? [{ line: 1, column: 2, path: "version", text: "what is allowed: 1" }]
        : [],
      notes: [],
    }),
    mode: () => ({
      inForce: heard.modes.at(-1) ?? "lowest_price",
      policyMode: "lowest_price",
      switchedAt: undefined,
    }),
    async setMode(mode) {
      heard.modes.push(mode);
      return { inForce: mode, policyMode: "lowest_price", switchedAt: NOW };
    },
    explainBudget: async () => ({
      accounts: [],
      passing: [],
      adjustments: [],
      edits: [],
      raises: [],
      allocations: [],
    }),
    clock: () => ({ at: NOW, wall: NOW, doubt: undefined }),
    acceptClock: async () => ({ at: NOW, wall: NOW, doubt: undefined }),
    credentials: () => credentials,
    checkCredentials: async () => {
      const checked = { at: NOW, result: "invalid", why: "it has expired" } as const;
      const { status } = credentials;
      const gcp = { status: "invalid", why: "it has expired", checked } as const;
      return { ...credentials, status: { ...status, gcp } };
    },
    stopped: () => heard.stops.at(-1),
    spendingTurns: async () =>
      heard.stops.map(({ by, at }) => ({ at, by, stopped: true, cut: false, containers: false })),
    async stopSpending({ by, cut }) {
      heard.stops.push({ by, at: NOW });
      return { cut: cut ? ["r-3"] : [], machines: [], unwritten: undefined };
    },
    async resumeSpending() {
      heard.stops.length = 0;
      return { cut: [], machines: [], unwritten: undefined };
    },
    async spend(asked) {
      heard.spend.push(asked);
      return { period: today, timezone: "Europe/Berlin", total: sums, rows: [{ value: "aws", ...sums }] };
    },
    async requests({ limit, before, where }) {
      const older =
        before === undefined ? records : records.slice(records.findIndex(({ id }) => id === before) + 1);
      const found = older.filter(({ labels }) => where.user === undefined || labels.user === where.user);
      return { rows: found.slice(0, limit), more: found.length > limit };
    },
    request: async (id) => records.find((record) => record.id === id),
    estimateErrors: () => new Map([["flux-dev", 0.25]]),
    async estimate({ model }) {
      if (model !== "flux-dev") return { kind: "unknown_model", models: ["flux-dev"] };
      return { kind: "no_upstream", reason: "no upstream is local", cause: "upstreams", explanation };
    },
    cancel(id) {
      const isRunning = id === "r-3";
      if (isRunning) heard.cancelled.push(id);
      return isRunning;
    },
    async alerts({ limit, before }) {
      const older = before === undefined ? alerts : [];
      return { rows: older.slice(0, limit), more: older.length > limit };
    },
    async acknowledgeAlert(id, by) {
      const found = alerts.find((alert) => alert.id === id);
      return found === undefined ? undefined : { ...found, acknowledged: { at: NOW, by } };
    },
    // Named like a request, so that one id finds something at every route.
    containers: () => [containerOf("r-3")],
    machines: () => [MACHINE],
    leaseImbalance: () => usd(0),
    glance: () => undefined,
    orderContainer: async (_command, upstream) => (upstream === "r-3" ? { kind: "ordered" } : undefined),
    prices: () => PRICES,
    async updatePrices() {},
    async createToken(id) {
      if (id === "alice") return { kind: "taken" };
      heard.tokens.push(id);
      return { kind: "created", token: "bg-secret", at: NOW };
    },
    ...changes,
  };
}

export interface OpenAdmin {
  readonly admin: Admin;
  readonly metrics: Metrics;
  readonly port: number;
  readonly baseUrl: string;
  readonly bugs: unknown[];
}

export async function openAdmin(
  house: House,
  anonymous: "loopback" | "nobody" = "loopback",
): Promise<OpenAdmin> {
  const bugs: unknown[] = [];
  const metrics = new Metrics();
  const admin = createAdmin(house, {
    metrics,
    version: "0.1.0",
    authenticate: (token) => (Object.hasOwn(TOKENS, token) ? TOKENS[token] : undefined),
    tokenPath: TOKEN_PATH,
    anonymous,
    onBug: (error) => bugs.push(error),
  });
  const listening = await admin.listen([{ host: "127.0.0.1", port: 0 }]);
  if (listening.kind === "failed") throw new Error(listening.text);
  const port = listening.addresses[0]?.port ?? 0;
  return { admin, metrics, port, baseUrl: `http://127.0.0.1:${port}`, bugs };
}
