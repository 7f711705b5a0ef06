// Policies, tasks and upstreams made by hand, for tests that are not about YAML. Every field has a plain
// default; a test names what it is about.

import { hourlyRate, nanoUsd, parseUsd } from "../../src/metering/money.ts";
import type { Price } from "../../src/metering/price.ts";
import { type Quantity, quantityOf, type Unit } from "../../src/metering/quantity.ts";
import { DAY, HOUR, type Instant, MINUTE, seconds } from "../../src/metering/time.ts";
import type { Budget, Model, Policy, Scope, Upstream } from "../../src/policy/policy.ts";
import type { Task } from "../../src/policy/task.ts";

export function usd(text: string) {
  const amount = parseUsd(text);
  if (amount === undefined) throw new Error(`not an amount: ${text}`);
  return amount;
}

export function perHour(text: string): Price {
  return { kind: "hour", rate: hourlyRate(usd(text)), source: { kind: "policy" } };
}

export function perRequest(text: string): Price {
  return { kind: "request", amount: usd(text), source: { kind: "policy" } };
}

export function upstream(id: string, over: Partial<Upstream> = {}): Upstream {
  return {
    id,
    provider: "aws",
    url: "http://127.0.0.1:1",
    model: undefined,
    gpuTier: undefined,
    price: perHour("3.6"),
    machine: id,
    idleRate: hourlyRate(0n),
    minBilled: seconds(0),
    concurrency: undefined,
    auth: undefined,
    hasContainer: false,
    timeouts: { connect: seconds(5), firstByte: HOUR, idle: MINUTE, total: HOUR },
    rankPerRequest: undefined,
    ...over,
  } as Upstream;
}

export function model(id: string, upstreams: readonly string[], over: Partial<Model> = {}): Model {
  return {
    id,
    port: undefined,
    upstreams,
    manual: undefined,
    estimate: seconds(12),
    fallbackModel: undefined,
    ...over,
  } as Model;
}

export interface BudgetSketch extends Partial<Omit<Budget, "when" | "limits">> {
  readonly limit_usd?: string;
  /** Of other units, in whole requests, images, seconds and tokens. */
  readonly limits?: Partial<Record<Exclude<Unit, "usd">, number>>;
  readonly when?: Partial<Record<Scope, string | readonly string[]>>;
}

export function budget(id: string, { limit_usd, limits = {}, when = {}, ...over }: BudgetSketch): Budget {
  const scopes = Object.entries(when) as [Scope, string | readonly string[]][];
  return {
    id,
    description: "",
    when: new Map(scopes.map(([scope, values]) => [scope, typeof values === "string" ? [values] : values])),
    per: undefined,
    limits: limitsOf(limit_usd, limits),
    period: "daily",
    resetDay: 1,
    onLimit: "block",
    then: "block",
    maxWait: DAY,
    warnAt: 0.75,
    criticalAt: 0.9,
    priority: 5,
    overrun: "finish",
    includeIdle: true,
    stopIdle: false,
    shadow: false,
    enabled: true,
    from: undefined,
    until: undefined,
    ...over,
  } as Budget;
}

function limitsOf(money: string | undefined, limits: NonNullable<BudgetSketch["limits"]>): Budget["limits"] {
  const others = Object.entries(limits).map(([unit, limit]): [Unit, Quantity] => [
    unit as Unit,
    quantityOf(unit === "seconds" ? seconds(limit) : limit),
  ]);
  return new Map<Unit, Quantity>([...(money === undefined ? [] : [["usd", usd(money)] as const]), ...others]);
}

export interface PolicySketch extends Partial<Omit<Policy, "upstreams" | "models">> {
  readonly upstreams: readonly Upstream[];
  readonly models?: readonly Model[];
}

export function policy({ upstreams, models, ...over }: PolicySketch): Policy {
  const all = models ?? [
    model(
      "flux-dev",
      upstreams.map(({ id }) => id),
    ),
  ];
  return {
    version: 1,
    digest: "test",
    timezone: "UTC",
    mode: "lowest_price",
    lowestPrice: { includeLocal: false, explore: true },
    attribution: "shared",
    whenLedgerFails: "refuse",
    identity: "trusted",
    limits: { connections: 1024, body: 64_000_000, waiting: 256, labelValues: 200 },
    hosts: [],
    origins: [],
    metrics: { labels: [] },
    machines: new Map(),
    upstreams: new Map(upstreams.map((one) => [one.id, one])),
    models: new Map(all.map((one) => [one.id, one])),
    budgets: [],
    clients: new Map(),
    notes: [],
    ...over,
  } as Policy;
}

let made = 0;

export function task(over: Partial<Omit<Task, "labels">> & { labels?: Partial<Task["labels"]> } = {}): Task {
  made += 1;
  const { labels, ...rest } = over;
  return {
    id: `r-${made}`,
    clientRequestId: undefined,
    at: 0 as Instant,
    model: "flux-dev",
    work: {
      images: 1,
      width: 1024,
      height: 1024,
      steps: 20,
      maxTokens: undefined,
      bytes: 139,
      stream: false,
      picture: { kind: "unseen" },
    },
    provider: undefined,
    gpuTier: undefined,
    ...rest,
    labels: {
      user: "unknown",
      workflow: undefined,
      session: undefined,
      task: undefined,
      node: undefined,
      project: undefined,
      tag: undefined,
      ...labels,
    },
  };
}

/** 2026-11-22T10:00:00Z */
export const TEN = (Date.UTC(2026, 10, 22, 10) * 1000) as Instant;
export const ZERO = nanoUsd(0n);
