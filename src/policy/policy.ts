// The frozen value that one policy.yaml becomes: what every other room reads. How it is written in YAML
// is schema/'s affair, how it is read parse.ts's; nothing here is validated again.

import type { HourlyRate, NanoUsd } from "../metering/money.ts";
import type { PeriodKind } from "../metering/period.ts";
import type { Price, PriceSource } from "../metering/price.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { DurationUs } from "../metering/time.ts";
import type { CallRate, Container, Lifecycle, MachineGroup } from "./container.ts";
import type { Alerts, Cloud, PriceSettings, ProviderAccess, Techops } from "./settings.ts";

export const PROVIDERS = ["local", "aws", "azure", "gcp", "nvidia-hosted", "other"] as const;
export type Provider = (typeof PROVIDERS)[number];

export const MODES = ["manual", "lowest_price", "local"] as const;
export type Mode = (typeof MODES)[number];

/** In order of strictness: the later one wins where several budgets are breached. */
export const ACTIONS = ["ignore", "warn", "soft_limit", "degrade", "queue", "block"] as const;
export type Action = (typeof ACTIONS)[number];

/** What `when` and `per` may name; `agent` and `component` in the YAML are read as `tag`. */
export const SCOPES = [
  "provider",
  "upstream",
  "machine",
  "model",
  "gpu_tier",
  "user",
  "workflow",
  "session",
  "task",
  "node",
  "project",
  "tag",
] as const;
export type Scope = (typeof SCOPES)[number];

/** Scopes whose value is known only once an upstream is chosen. */
export const CANDIDATE_SCOPES = ["provider", "upstream", "machine", "gpu_tier"] as const;
export type CandidateScope = (typeof CANDIDATE_SCOPES)[number];

export interface Policy {
  readonly version: 1;
  /** SHA-256 of the file's text, hex: which policy a decision was made under. */
  readonly digest: string;
  /** IANA name. */
  readonly timezone: string;
  readonly mode: Mode;
  readonly lowestPrice: { readonly includeLocal: boolean; readonly explore: boolean };
  readonly attribution: "shared" | "exclusive";
  readonly whenLedgerFails: "refuse" | "serve_free" | "spool";
  readonly identity: "trusted" | "token";
  readonly limits: Limits;
  /** Further allowed Host names and browser origins, lower case. */
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly metrics: { readonly labels: readonly Scope[] };
  readonly machines: ReadonlyMap<string, Machine>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly models: ReadonlyMap<string, Model>;
  /** Enabled or not, in the file's order. */
  readonly budgets: readonly Budget[];
  readonly clients: ReadonlyMap<string, Client>;
  /** How long a session may be silent before it has ended. */
  readonly sessionIdle?: DurationUs;
  /** Sections of rooms around the data path; absent where the file has none. */
  readonly providers?: ReadonlyMap<Cloud, ProviderAccess>;
  readonly techops?: Techops;
  readonly comfyui?: { readonly url: string };
  readonly prices?: PriceSettings;
  readonly alerts?: Alerts;
  /** Notes for `check`: keys whose behaviour this version does not have yet, and other surprises. */
  readonly notes: readonly Note[];
}

export interface Limits {
  /** Open downstream connections. */
  readonly connections: number;
  /** Bytes of one request body. */
  readonly body: number;
  /** Requests in the waiting room. */
  readonly waiting: number;
  /** Distinct values of one opt-in metric label; further ones become "other". */
  readonly labelValues: number;
}

/** A place in the policy file and what there is to say about it. `line` and `column` count from 1. */
export interface Note {
  readonly line: number;
  readonly column: number;
  /** "budgets[2].on_limit" */
  readonly path: string;
  readonly text: string;
}

/** Several containers that bill as one; `id` is what leases and the `machine` scope are keyed by. */
export interface Machine {
  readonly id: string;
  readonly price: Price;
  readonly idleRate: HourlyRate;
  /** Where the idle price comes from: an estimate is marked wherever it is shown. */
  readonly idleSource?: PriceSource;
  /** Where the idle price is below what the price list knows, in words. */
  readonly idleDoubt?: string;
  readonly minBilled: DurationUs;
  /** How the provider calls it. */
  readonly group?: MachineGroup;
}

export interface Upstream {
  readonly id: string;
  readonly provider: Provider;
  /** Origin and base path without a trailing slash; undefined when discovered from the container. */
  readonly url: string | undefined;
  /** The name that the upstream knows the model by, if it differs. */
  readonly model: string | undefined;
  /** Lower case: "t4", "a10g", "a100". */
  readonly gpuTier: string | undefined;
  readonly price: Price;
  /** What bills: the named machine, or the upstream itself. Keys the lease. */
  readonly machine: string;
  readonly idleRate: HourlyRate;
  readonly idleSource?: PriceSource;
  readonly idleDoubt?: string;
  readonly minBilled: DurationUs;
  /** Requests at once; undefined is no bound. */
  readonly concurrency: number | undefined;
  readonly rateLimit?: CallRate;
  readonly auth: Auth | undefined;
  readonly hasContainer: boolean;
  readonly container?: Container;
  readonly lifecycle?: Lifecycle;
  readonly timeouts: Timeouts;
  /** What lowest_price takes a request here to cost, whatever its price (a shadow price). */
  readonly rankPerRequest: NanoUsd | undefined;
}

/** Where a secret is read from; never the secret. */
export type SecretRef =
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "credential"; readonly name: string };

export type Auth =
  | { readonly kind: "bearer"; readonly secret: SecretRef }
  | { readonly kind: "header"; readonly name: string; readonly secret: SecretRef };

export interface Timeouts {
  readonly connect: DurationUs;
  readonly firstByte: DurationUs;
  readonly idle: DurationUs;
  /** From the first byte sent. */
  readonly total: DurationUs;
}

export interface Model {
  readonly id: string;
  /** The loopback port on which the gateway is this model's NIM. */
  readonly port: number | undefined;
  /** Ids, in the file's order; all exist. */
  readonly upstreams: readonly string[];
  /** The upstream of `mode: manual`. */
  readonly manual: string | undefined;
  /** How long one request takes, until that is learned. */
  readonly estimate: DurationUs | undefined;
  readonly fallbackModel: string | undefined;
}

export interface Budget {
  readonly id: string;
  readonly description: string;
  /** Every key must match one of its values. Empty: all requests. */
  readonly when: ReadonlyMap<Scope, readonly string[]>;
  /** One balance per value of this. */
  readonly per: Scope | undefined;
  /** At least one. */
  readonly limits: ReadonlyMap<Unit, Quantity>;
  readonly period: PeriodKind;
  /** 1 (Monday) to 7 for weekly, 1 to 28 for monthly; 1 otherwise. */
  readonly resetDay: number;
  readonly onLimit: Action;
  /** What `degrade` does when nothing cheaper fits. */
  readonly then: Action;
  readonly maxWait: DurationUs;
  /** Shares of the limit, 0 to 1. */
  readonly warnAt: number;
  readonly criticalAt: number;
  /** 1 (low) to 10. */
  readonly priority: number;
  readonly overrun: "finish" | "cut";
  readonly includeIdle: boolean;
  readonly stopIdle: boolean;
  readonly shadow: boolean;
  readonly enabled: boolean;
  /** Days in `timezone`, ISO dates, both included. */
  readonly from: string | undefined;
  readonly until: string | undefined;
}

export const ROLES = ["use", "read", "operate", "admin"] as const;
export type Role = (typeof ROLES)[number];

export interface Client {
  readonly id: string;
  /** Lower-case hex. */
  readonly tokenSha256: string;
  readonly role: Role;
}

/** Whether what does not fit it is kept from what it asked for: sent elsewhere, made to wait, refused. */
export function isActing({ enabled, shadow, onLimit }: Budget): boolean {
  return enabled && !shadow && (onLimit === "block" || onLimit === "queue" || onLimit === "degrade");
}

/**
 * Whether nothing may pass its limit (MONEY §1: block, queue, degrade). A degrade whose `then` lets work pass
 * is no limit: it only looks for something cheaper first.
 */
export function isEnforcing(budget: Budget): boolean {
  return isActing(budget) && isStrict(lastAction(budget));
}

/** What it does in the end: for degrade that is its `then`. */
export function lastAction({ onLimit, then }: Budget): Action {
  return onLimit === "degrade" ? then : onLimit;
}

/** Whether it lets nothing pass: it makes work wait, or refuses it. */
export function isStrict(action: Action): action is "queue" | "block" {
  return action === "queue" || action === "block";
}
