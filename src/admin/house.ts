// What the admin surface needs of the rest of the house. daemon/main.ts makes one from the ledger, the policy
// and the proxy; tests make one from functions. Values are the core's own; wire.ts writes them as JSON.

import type { NanoUsd } from "../metering/money.ts";
import type { Period } from "../metering/period.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { Outcome } from "../policy/admission.ts";
import type { Severity, Topic } from "../policy/alert.ts";
import type { Raised } from "../policy/alert-message.ts";
import type { Decided, Explanation } from "../policy/decision.ts";
import type { Budget, Mode, Note, Policy, Role } from "../policy/policy.ts";
import type { AlertEvent } from "../policy/settings.ts";
import type { SpendingStop } from "../policy/spending.ts";
import type { Labels } from "../policy/task.ts";
import type { Dimension, SpendPeriod } from "../sdk/spend.ts";
import type { BudgetExplained } from "./budget-account.ts";
import type { BudgetState } from "./budget-state.ts";
import type { ContainerHouse } from "./container-row.ts";
import type { CredentialsState } from "./credential-routes.ts";
import type { PriceHouse } from "./price-book.ts";

export interface House extends PriceHouse, ContainerHouse {
  status(): HouseStatus;
  ready(): Ready;
  policy(): PolicyState;
  /** Parses without adopting. */
  check(text: string): Promise<Checked>;
  mode(): ModeSwitch;
  /** Resolves when the switch is durable. */
  setMode(mode: Mode): Promise<ModeSwitch>;
  explainBudget(budget: Budget): Promise<BudgetExplained>;
  clock(): ClockState;
  /** An operator's word that the wall clock is right; kept in the ledger before it counts. */
  acceptClock(by: string): Promise<ClockState>;
  credentials(): CredentialsState;
  /** Once their clouds have been asked; each at most once a minute. */
  checkCredentials(): Promise<CredentialsState>;
  /** Undefined while spending goes on. */
  stopped(): SpendingStop | undefined;
  /** Newest first. */
  spendingTurns(limit: number): Promise<readonly SpendingTurn[]>;
  /** Counts from this tick; resolves when it is durable, or cannot be. */
  stopSpending(asked: StopAsked): Promise<StopDone>;
  /** Paid work passes again once it is durable. */
  resumeSpending(by: string): Promise<StopDone>;
  spend(query: SpendAsked): Promise<SpendFound>;
  /** Newest first, at most `limit`. */
  requests(query: RequestsAsked): Promise<RequestsFound>;
  request(id: string): Promise<RequestRecord | undefined>;
  /** Decides on live balances; holds nothing. */
  estimate(query: EstimateAsked): Promise<Decided | UnknownModel>;
  /**
   * By model: what expected times were off by, as a share of the time that the work took, over what is
   * remembered of the last seven days.
   */
  estimateErrors(): ReadonlyMap<string, number>;
  /** Ends a waiting or running request; false when no such request is under way. */
  cancel(id: string): boolean;
  /** Newest first, at most `limit`. */
  alerts(query: AlertsAsked): Promise<AlertsFound>;
  /** Durable once it resolves; undefined where there is none of this id. Who did it first stays. */
  acknowledgeAlert(id: string, by: string): Promise<AlertRecord | undefined>;
  createToken(id: string, role: Role): Promise<TokenMade>;
}

export interface HouseStatus {
  readonly version: string;
  readonly at: Instant;
  readonly startedAt: Instant;
  readonly inFlight: number;
  /** Of those, how many wait for a slot or for money. */
  readonly waiting: number;
  /** A new policy's balances are being counted, and the old limits stay in force until that is done. */
  readonly isFolding: boolean;
  readonly listeners: readonly {
    readonly address: string;
    readonly model: string | undefined;
    readonly scheme: "http" | "https";
  }[];
  readonly budgets: readonly BudgetState[];
  readonly upstreams: readonly UpstreamState[];
}

export interface UpstreamState {
  readonly id: string;
  readonly provider: string;
  readonly models: readonly string[];
  /** "1.006 USD/h, rate card aws/us-east-1/g5.xlarge of 2026-07-20" */
  readonly price: string;
  /** `unknown`: nothing was heard of it yet. */
  readonly state: "unknown" | "up" | "ejected";
  readonly inFlight: number;
  /** Undefined: no bound. */
  readonly concurrency: number | undefined;
  readonly waiting: number;
  /** When it is tried again; undefined where it is not ejected, or is being tried. */
  readonly ejectedUntil: Instant | undefined;
  /** Why it cannot take a request now, going on from "it is"; undefined where it can. */
  readonly hindrance: string | undefined;
}

export type Ready = { readonly ready: true } | { readonly ready: false; readonly why: string };

export interface PolicyState {
  readonly path: string;
  /** In force. */
  readonly policy: Policy;
  readonly text: string;
  readonly loadedAt: Instant;
  /** Of the file as last read; empty when that is the one in force. */
  readonly problems: readonly Note[];
}

export interface Checked {
  readonly problems: readonly Note[];
  readonly notes: readonly Note[];
}

export interface ModeSwitch {
  readonly inForce: Mode;
  readonly policyMode: Mode;
  /** undefined while the file's mode is in force. */
  readonly switchedAt: Instant | undefined;
}

export interface ClockState {
  /** Ledger time. */
  readonly at: Instant;
  readonly wall: Instant;
  /** Of a wall clock that is far ahead; undefined without one. */
  readonly doubt:
    | { readonly stood: DurationUs; readonly left: DurationUs; readonly isAccepted: boolean }
    | undefined;
}

export interface StopAsked {
  readonly by: string;
  /** Also ends the paid work that runs. */
  readonly cut: boolean;
  readonly containers: boolean;
}

export interface StopDone {
  /** Requests that were told to end. */
  readonly cut: readonly string[];
  /** Machines that are being turned off. */
  readonly machines: readonly string[];
  /** Why it is not durable, where it is not; a stop is in force all the same, a resume is not. */
  readonly unwritten: string | undefined;
}

export interface SpendingTurn {
  readonly at: Instant;
  readonly by: string;
  readonly stopped: boolean;
  readonly cut: boolean;
  readonly containers: boolean;
}

export interface SpendAsked {
  readonly period: SpendPeriod;
  readonly by: Dimension;
  /** Only what matches all of these. */
  readonly where: { readonly provider?: string; readonly model?: string; readonly user?: string };
}

export interface Sums {
  readonly requests: number;
  readonly images: number;
  readonly elapsed: DurationUs;
  readonly amount: NanoUsd;
  readonly tokens: { readonly input: number; readonly output: number };
}

export interface SpendFound {
  readonly period: Period;
  readonly timezone: string;
  readonly total: Sums;
  /** `value` is "" where a request had none. One row for "total", with the value "total". */
  readonly rows: readonly (Sums & { readonly value: string })[];
}

export interface RequestsAsked {
  readonly limit: number;
  /** Only requests older than this one; unknown ids find nothing. */
  readonly before: string | undefined;
  readonly where: {
    readonly model?: string;
    readonly upstream?: string;
    readonly provider?: string;
    readonly user?: string;
    readonly workflow?: string;
    readonly outcome?: RequestState;
  };
}

export interface RequestsFound {
  readonly rows: readonly RequestRow[];
  /** Whether older ones follow. */
  readonly more: boolean;
}

export type RequestState = Outcome | "running";

export interface RequestRow {
  readonly id: string;
  readonly clientRequestId: string | undefined;
  readonly at: Instant;
  readonly endedAt: Instant | undefined;
  readonly model: string;
  readonly upstream: string | undefined;
  readonly provider: string | undefined;
  readonly labels: Labels;
  readonly outcome: RequestState;
  /** The upstream's. */
  readonly status: number | undefined;
  readonly estimate: NanoUsd | undefined;
  readonly hold: NanoUsd | undefined;
  readonly charged: NanoUsd | undefined;
  readonly elapsed: DurationUs | undefined;
}

export interface RequestRecord extends RequestRow {
  readonly explanation: Explanation;
  /** Where it stands now among those that wait for the same; undefined where it does not wait. */
  readonly waiting: { readonly position: number; readonly waited: DurationUs } | undefined;
  /** Covering budgets as they stood when it ended; empty while it runs. */
  readonly after: readonly BalanceAfter[];
}

export interface BalanceAfter {
  readonly budget: string;
  readonly unit: Unit;
  readonly limit: Quantity;
  readonly settled: Quantity;
  readonly held: Quantity;
  /** It ended the request (`overrun: cut`). */
  readonly hasCut?: boolean;
}

export interface AlertsAsked {
  readonly limit: number;
  /** Only alerts older than this one; unknown ids find nothing. */
  readonly before: string | undefined;
  readonly where: {
    readonly event?: AlertEvent;
    readonly severity?: Severity;
    readonly topic?: Topic;
    readonly subject?: string;
    readonly acknowledged?: boolean;
  };
}

export interface AlertsFound {
  readonly rows: readonly AlertRecord[];
  readonly more: boolean;
}

export interface AlertRecord extends Raised {
  /** What became of telling each webhook, by a name that is not its address. */
  readonly deliveries: Readonly<Record<string, "pending" | "delivered" | "failed">>;
  readonly acknowledged: { readonly at: Instant; readonly by: string } | undefined;
}

export interface EstimateAsked {
  readonly model: string;
  readonly images: number;
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly steps: number | undefined;
  readonly maxTokens: number | undefined;
  readonly provider: string | undefined;
  readonly gpuTier: string | undefined;
  readonly labels: Labels;
}

export interface UnknownModel {
  readonly kind: "unknown_model";
  readonly models: readonly string[];
}

export type TokenMade =
  | { readonly kind: "created"; readonly token: string; readonly at: Instant }
  /** The id is used by the policy's `clients` or by an earlier token. */
  | { readonly kind: "taken" };
