// Which budgets cover a request at a candidate, and which balance each of them means there. A budget is
// compiled once per policy; the balance is named by what it counts, not by the budget's id (MONEY §4).

import { dayRange, type Period, periodOf } from "../metering/period.ts";
import { type Quantity, UNITS, type Unit } from "../metering/quantity.ts";
import { EPOCH, FOREVER, type Instant } from "../metering/time.ts";
import type { AccountKey } from "./decision.ts";
import {
  type Budget,
  CANDIDATE_SCOPES,
  isEnforcing,
  type Policy,
  type Scope,
  type Upstream,
} from "./policy.ts";
import type { Task } from "./task.ts";

/** Everything that `when` and `per` can ask about; undefined where a request does not say. */
export type Facts = { readonly [S in Scope]: string | undefined };

/** What is counted by: all requests of a scope. One per budget and unit, `per` values not yet told apart. */
export interface Ground {
  /** Names the fold: unit, period, time zone, `when`, `per`, whether container money counts. */
  readonly key: string;
  readonly budget: Budget;
  readonly unit: Unit;
  readonly limit: Quantity;
  readonly timezone: string;
  /** The scope that splits it into several balances. */
  readonly per: Scope | undefined;
  /** Whether its balance can differ from candidate to candidate. */
  readonly dependsOnCandidate: boolean;
  readonly active: Period;
  /** Values of `per` that have a budget of their own instead (MONEY §4). */
  readonly replaced: ReadonlySet<string>;
}

/** A budget that covers a request, and the balance that it looks at. */
export interface Coverage {
  readonly ground: Ground;
  readonly account: AccountKey;
}

export function factsOf(task: Task, upstream: Upstream): Facts {
  const { labels } = task;
  return {
    provider: upstream.provider,
    upstream: upstream.id,
    machine: upstream.machine,
    gpu_tier: upstream.gpuTier,
    model: task.model,
    user: labels.user,
    workflow: labels.workflow,
    session: labels.session,
    task: labels.task ?? task.id,
    node: labels.node,
    project: labels.project,
    tag: labels.tag,
  };
}

const compiled = new WeakMap<Policy, readonly Ground[]>();

/** Of the enabled budgets of a policy, in its order. */
export function groundsOf(policy: Policy): readonly Ground[] {
  let grounds = compiled.get(policy);
  if (grounds === undefined) {
    grounds = policy.budgets
      .filter(({ enabled }) => enabled)
      .flatMap((budget) => [...budget.limits].map(([unit, limit]) => ground(policy, budget, unit, limit)));
    compiled.set(policy, grounds);
  }
  return grounds;
}

/** Also those outside their `from` and `until`: they count all the same, and judge only inside. */
export function covering(policy: Policy, facts: Facts): readonly Coverage[] {
  const found: Coverage[] = [];
  for (const candidate of groundsOf(policy)) {
    const account = accountFor(candidate, facts);
    if (account !== undefined) found.push({ ground: candidate, account });
  }
  return found;
}

export function periodFor(on: Ground, at: Instant): Period {
  return periodOf(on.budget.period, on.timezone, on.budget.resetDay, at);
}

/** Whether it judges at that moment, by its `from` and `until`. */
export function isActive({ active }: Ground, at: Instant): boolean {
  return at >= active.start && at < active.end;
}

/** The limit that can refuse, or undefined for one that only watches. */
export function enforcedLimit(on: Ground): Quantity | undefined {
  return isEnforcing(on.budget) ? on.limit : undefined;
}

/** What `other` counts instead of the `per` balances of `budget`: "user bob"; undefined where both count. */
export function replacementOf(other: Budget, budget: Budget): string | undefined {
  const per = perOf(budget);
  if (per === undefined || !budget.enabled) return undefined;
  for (const unit of budget.limits.keys()) {
    const value = replacedValue(other, budget, per, unit);
    if (value !== undefined) return `${per} ${value}`;
  }
  return undefined;
}

function accountFor(on: Ground, facts: Facts): AccountKey | undefined {
  for (const [scope, values] of on.budget.when) {
    const value = facts[scope];
    if (value === undefined || !values.includes(value)) return undefined;
  }
  if (on.per === undefined) return on.key;
  const value = perValue(on.per, facts);
  // Who does not say is not who says "unknown": only the latter has a budget of that name.
  const isReplaced = facts[on.per] !== undefined && on.replaced.has(value);
  return isReplaced ? undefined : accountOf(on.key, value);
}

/** A session is one of its user: nobody spends another's by naming it. */
function perValue(per: Scope, facts: Facts): string {
  if (per === "session") return JSON.stringify([facts.user ?? null, facts.session ?? null]);
  return facts[per] ?? "unknown";
}

/** Every account's name begins with what it counts. Throws on what is no account's name: a bug. */
export function unitOf(account: AccountKey): Unit {
  const name = account.slice(0, account.indexOf("|"));
  const unit = UNITS.find((known) => known === name);
  if (unit === undefined) throw new Error(`the account ${account} does not say what it counts`);
  return unit;
}

/** The balance of one `per` value. */
export function accountOf(groundKey: string, value: string): AccountKey {
  return `${groundKey}=${value}`;
}

function ground(policy: Policy, budget: Budget, unit: Unit, limit: Quantity): Ground {
  const per = perOf(budget);
  const scopes = [...budget.when.keys(), ...(per === undefined ? [] : [per])];
  const replaced = per === undefined ? new Set<string>() : replacedValues(policy, budget, per, unit);
  return {
    key: groundKey(policy.timezone, budget, unit, per, replaced),
    budget,
    unit,
    limit,
    timezone: policy.timezone,
    per,
    dependsOnCandidate: scopes.some((scope) => CANDIDATE_SCOPES.includes(scope)),
    active: activeOf(policy.timezone, budget),
    replaced,
  };
}

/** per_session and per_task are balances per session and per task that never turn. */
function perOf(budget: Budget): Scope | undefined {
  if (budget.period === "per_session") return "session";
  if (budget.period === "per_task") return "task";
  return budget.per;
}

/** Values that are counted elsewhere are part of it: one that is no more is counted here, from the start. */
function groundKey(
  timezone: string,
  budget: Budget,
  unit: Unit,
  per: Scope | undefined,
  replaced: ReadonlySet<string>,
): string {
  const when = [...budget.when]
    .map(([scope, values]) => `${scope}:${JSON.stringify([...values].sort())}`)
    .sort()
    .join(";");
  const others = replaced.size === 0 ? "" : `!${JSON.stringify([...replaced].sort())}`;
  const period = `${budget.period}/${budget.resetDay}/${timezone}`;
  // Containers cost money; they make no requests, pictures or tokens, and their seconds are nobody's.
  const whose = unit === "usd" && budget.includeIdle ? "all" : "requests";
  return `${unit}|${period}|${whose}|${when}|${per ?? ""}${others}`;
}

function activeOf(timezone: string, { from, until }: Budget): Period {
  return {
    start: from === undefined ? EPOCH : dayRange(timezone, from, from).start,
    end: until === undefined ? FOREVER : dayRange(timezone, until, until).end,
  };
}

function replacedValues(policy: Policy, budget: Budget, per: Scope, unit: Unit): ReadonlySet<string> {
  return new Set(policy.budgets.flatMap((other) => replacedValue(other, budget, per, unit) ?? []));
}

/**
 * The value of `per` that `other` counts instead of `budget`: its `when` is the same plus exactly that one
 * value, with the same period and unit (MONEY §4). A twin that only watches, or judges on other days, leaves
 * the limit where it is.
 */
function replacedValue(other: Budget, budget: Budget, per: Scope, unit: Unit): string | undefined {
  const own = other.when.get(per);
  const [value] = own ?? [];
  const isTwin = other.enabled && !other.shadow && other.per === undefined && other.limits.has(unit);
  if (!isTwin || own?.length !== 1 || budget.when.has(per)) return undefined;
  if (other.period !== budget.period || other.resetDay !== budget.resetDay) return undefined;
  if (other.from !== budget.from || other.until !== budget.until) return undefined;
  const rest = new Map([...other.when].filter(([scope]) => scope !== per));
  return sameScope(rest, budget.when) ? value : undefined;
}

function sameScope(a: Budget["when"], b: Budget["when"]): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([scope, values]) => {
    const others = b.get(scope);
    return others?.length === values.length && values.every((value) => others.includes(value));
  });
}
