// Core values to wire values: amounts become decimal strings, instants RFC 3339, absence null. It decides
// nothing but the level of a budget, which is a matter of showing.

import { available } from "../metering/balance.ts";
import { formatUsd, type NanoUsd } from "../metering/money.ts";
import { formatNumber } from "../metering/quantity-text.ts";
import { EPOCH, FOREVER, formatInstant, type Instant } from "../metering/time.ts";
import type {
  Alternative,
  Breach,
  CandidateExplanation,
  Degraded,
  Explanation,
  Place,
} from "../policy/decision.ts";
import { type Budget, isEnforcing, type Note } from "../policy/policy.ts";
import type * as decision from "../sdk/decision.ts";
import type * as policy from "../sdk/policy.ts";
import type * as requests from "../sdk/requests.ts";
import type * as spend from "../sdk/spend.ts";
import type * as status from "../sdk/status.ts";
import type { BudgetState } from "./budget-state.ts";
import type { ModeSwitch, RequestRecord, RequestRow, Sums, UpstreamState } from "./house.ts";

export function instantOrNull(at: Instant | undefined): string | null {
  return at === undefined || at === FOREVER ? null : formatInstant(at);
}

function usdOrNull(amount: NanoUsd | undefined): string | null {
  return amount === undefined ? null : formatUsd(amount);
}

export function modeWire(mode: ModeSwitch): status.ModeState {
  return { mode: mode.inForce, policy_mode: mode.policyMode, switched_at: instantOrNull(mode.switchedAt) };
}

export function budgetWire(state: BudgetState): status.BudgetStatus {
  const { budget, period, unit, limit, settled, held } = state;
  return {
    id: budget.id,
    description: budget.description,
    per: budget.per ?? null,
    value: state.value ?? null,
    action: budget.onLimit,
    period: budget.period,
    starts_at: period.start === EPOCH ? null : formatInstant(period.start),
    resets_at: instantOrNull(period.end),
    unit,
    limit: formatNumber(unit, limit),
    settled: formatNumber(unit, settled),
    held: formatNumber(unit, held),
    remaining: formatNumber(unit, available(limit, state)),
    level: levelOf(state),
    missed_before: instantOrNull(state.missedBefore),
    enforcing: isEnforcing(budget),
    shadow: budget.shadow,
  };
}

export function upstreamWire(state: UpstreamState): status.UpstreamStatus {
  return {
    id: state.id,
    provider: state.provider,
    models: [...state.models],
    price: state.price,
    state: state.state,
    in_flight: state.inFlight,
    concurrency: state.concurrency ?? null,
    waiting: state.waiting,
    ejected_until: instantOrNull(state.ejectedUntil),
    hindrance: state.hindrance ?? null,
  };
}

export function definitionWire(budget: Budget): status.BudgetDefinition {
  return {
    id: budget.id,
    description: budget.description,
    per: budget.per ?? null,
    when: Object.fromEntries([...budget.when].map(([scope, values]) => [scope, [...values]])),
    action: budget.onLimit,
    period: budget.period,
    limits: [...budget.limits].map(([unit, limit]) => ({ unit, limit: formatNumber(unit, limit) })),
    enabled: budget.enabled,
    shadow: budget.shadow,
    enforcing: isEnforcing(budget),
  };
}

const MILLION = 1_000_000n;

/** By what is settled and held; thresholds are compared in millionths, without a float of money. */
function levelOf(state: BudgetState): status.BudgetStatus["level"] {
  const used = (state.settled + state.held) * MILLION;
  const reaches = (share: number) => used >= state.limit * BigInt(Math.round(share * 1_000_000));
  if (reaches(1)) return "spent";
  if (reaches(state.budget.criticalAt)) return "critical";
  return reaches(state.budget.warnAt) ? "warning" : "ok";
}

export function sumsWire(sums: Sums): spend.Spend["total"] {
  return {
    requests: sums.requests,
    images: sums.images,
    elapsed_us: sums.elapsed,
    input_tokens: sums.tokens.input,
    output_tokens: sums.tokens.output,
    amount_usd: formatUsd(sums.amount),
  };
}

export function rowWire(row: RequestRow): requests.RequestSummary {
  const { labels } = row;
  return {
    id: row.id,
    client_request_id: row.clientRequestId ?? null,
    at: formatInstant(row.at),
    ended_at: instantOrNull(row.endedAt),
    model: row.model,
    upstream: row.upstream ?? null,
    provider: row.provider ?? null,
    labels: {
      user: labels.user,
      workflow: labels.workflow ?? null,
      session: labels.session ?? null,
      task: labels.task ?? null,
      node: labels.node ?? null,
      project: labels.project ?? null,
      tag: labels.tag ?? null,
    },
    outcome: row.outcome,
    status: row.status ?? null,
    estimate_usd: usdOrNull(row.estimate),
    hold_usd: usdOrNull(row.hold),
    charged_usd: usdOrNull(row.charged),
    elapsed_us: row.elapsed ?? null,
  };
}

export function detailWire(record: RequestRecord, timezone: string): requests.RequestDetail {
  return {
    ...rowWire(record),
    timezone,
    explanation: explanationWire(record.explanation),
    waiting: record.waiting === undefined ? null : waitingWire(record.waiting),
    budgets_after: record.after.map((after) => ({
      budget: after.budget,
      unit: after.unit,
      limit: formatNumber(after.unit, after.limit),
      settled: formatNumber(after.unit, after.settled),
      held: formatNumber(after.unit, after.held),
      remaining: formatNumber(after.unit, available(after.limit, after)),
      cut: after.hasCut === true,
    })),
  };
}

function waitingWire({ position, waited }: NonNullable<RequestRecord["waiting"]>) {
  return { position, waited_us: waited };
}

export function explanationWire(explanation: Explanation): decision.Explanation {
  return {
    at: formatInstant(explanation.at),
    mode: explanation.mode,
    policy_digest: explanation.policy,
    rule: explanation.rule,
    chosen: explanation.chosen ?? null,
    candidates: explanation.candidates.map(candidateWire),
    alternatives: explanation.alternatives.map(alternativeWire),
    degraded: explanation.degraded === undefined ? null : degradedWire(explanation.degraded),
  };
}

function degradedWire({ budget, from, to }: Degraded): decision.Degraded {
  return { budget, from: placeWire(from), to: placeWire(to) };
}

function placeWire({ model, upstream, gpuTier }: Place) {
  return { model, upstream, gpu_tier: gpuTier ?? null };
}

function candidateWire(candidate: CandidateExplanation): decision.CandidateQuote {
  return {
    upstream: candidate.upstream,
    model: candidate.model ?? null,
    provider: candidate.provider,
    estimate_usd: formatUsd(candidate.estimate),
    hold_usd: formatUsd(candidate.hold),
    rank_usd: formatUsd(candidate.rank),
    start_up: startWire(candidate.start),
    success: candidate.success ?? null,
    marginal_usd: candidate.marginal === undefined ? null : formatUsd(candidate.marginal),
    time_us: candidate.time,
    time_source: candidate.timeSource ?? null,
    in_flight: candidate.inFlight,
    price: candidate.price,
    left_out: candidate.leftOut ?? null,
    budgets: candidate.budgets.map((budget) => ({
      budget: budget.budget,
      action: budget.action,
      unit: budget.unit,
      limit: formatNumber(budget.unit, budget.limit),
      settled: formatNumber(budget.unit, budget.settled),
      held: formatNumber(budget.unit, budget.held),
      needed: formatNumber(budget.unit, budget.needed),
      fits: budget.fits,
      shadow: budget.shadow,
      resets_at: instantOrNull(budget.resets),
    })),
  };
}

function alternativeWire(alternative: Alternative): decision.Alternative {
  const { upstream, provider } = alternative;
  return { upstream, provider, estimate_usd: formatUsd(alternative.estimate) };
}

export function breachWire(breach: Breach): decision.Breach {
  return {
    budget: breach.budget,
    action: breach.action,
    unit: breach.unit,
    limit: formatNumber(breach.unit, breach.limit),
    settled: formatNumber(breach.unit, breach.settled),
    held: formatNumber(breach.unit, breach.held),
    needed: formatNumber(breach.unit, breach.needed),
    resets_at: instantOrNull(breach.resets),
    timezone: breach.timezone,
  };
}

export function noteWire({ line, column, path, text }: Note): policy.PolicyNote {
  return { line, column, path, text };
}

/** The same without its undefined members: what was not asked for is absent, not undefined. */
export function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function startWire(start: CandidateExplanation["start"]) {
  if (start === undefined) return null;
  const { time, amount, minimum } = start;
  return { time_us: time, usd: formatUsd(amount), minimum_usd: formatUsd(minimum) };
}
