// Which budgets cover a request at a candidate, and which balance each of them means there. A budget is
// compiled once per policy; the balance is named by what it counts, not by the budget's id (MONEY §4).

import { dayRange, type Period, periodOf } from "../metering/period.ts";
import { type Quantity, UNITS, type Unit } from "../metering/quantity.ts";
import { EPOCH, FOREVER, type Instant } from "../metering/time.ts";
import type { AccountKey } from "./decision.ts";
import { GroundIndex } from "./ground-index.ts";
import {
  type Budget,
  CANDIDATE_SCOPES,
  type CandidateScope,
  isEnforcing,
  type Policy,
  type Scope,
  type Upstream,
} from "./policy.ts";
import { perOf, replacedValues } from "./replacement.ts";
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
  /** Values of `per` that have a budget of their own instead (MONEY §4): counted here too, and not judged. */
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
    ...placeOf(upstream),
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

interface Compiled {
  readonly grounds: readonly Ground[];
  /** Those whose balance is the same at every candidate, and the others. */
  readonly shared: GroundIndex;
  readonly dependent: GroundIndex;
  /** By what the candidates differ for these others. */
  readonly differing: readonly CandidateScope[];
}

/** What candidates can differ by. */
function placeOf({ provider, id, machine, gpuTier }: Upstream): Pick<Facts, CandidateScope> {
  return { provider, upstream: id, machine, gpu_tier: gpuTier };
}

const compiled = new WeakMap<Policy, Compiled>();

/** Of the enabled budgets of a policy, in its order. */
export function groundsOf(policy: Policy): readonly Ground[] {
  return compiledOf(policy).grounds;
}

function compiledOf(policy: Policy): Compiled {
  const known = compiled.get(policy);
  if (known !== undefined) return known;
  const grounds = policy.budgets
    .filter(({ enabled }) => enabled)
    .flatMap((budget) => [...budget.limits].map(([unit, limit]) => ground(policy, budget, unit, limit)));
  const filed = grounds.map((each, place) => ({ ground: each, place }));
  const dependent = filed.filter(({ ground: { dependsOnCandidate } }) => dependsOnCandidate);
  const asked = new Set(dependent.flatMap(({ ground: { budget, per } }) => [...budget.when.keys(), per]));
  const made = {
    grounds,
    shared: new GroundIndex(filed.filter(({ ground: { dependsOnCandidate } }) => !dependsOnCandidate)),
    dependent: new GroundIndex(dependent),
    differing: CANDIDATE_SCOPES.filter((scope) => asked.has(scope)),
  };
  compiled.set(policy, made);
  return made;
}

/** Also those outside their `from` and `until`: they count all the same, and judge only inside. */
export function covering(policy: Policy, facts: Facts): readonly Coverage[] {
  return counting(policy, facts).filter((one) => !isReplaced(one, facts));
}

/**
 * Every balance that counts a request, also a `per` balance that another budget stands in for: it is right
 * from the first moment on when that one goes.
 */
export function counting(policy: Policy, facts: Facts): readonly Coverage[] {
  const { shared, dependent } = compiledOf(policy);
  return inOrder([...placedIn(shared, facts), ...placedIn(dependent, facts)]);
}

function isReplaced({ ground: { per, replaced } }: Coverage, facts: Facts): boolean {
  // Who does not say is not who says "unknown": only the latter has a budget of that name.
  const said = per === undefined ? undefined : facts[per];
  return said !== undefined && replaced.has(said);
}

/** Of a `per` balance, by its name's last part: whether another budget of the policy stands in for it. */
export function isStoodInFor({ per, replaced }: Ground, value: string): boolean {
  if (replaced.size === 0) return false;
  if (per !== "session") return replaced.has(value);
  const [, session] = JSON.parse(value) as readonly (string | null)[];
  return session !== null && session !== undefined && replaced.has(session);
}

/** The same for one request at each of its candidates: it looks once for all that no budget tells apart. */
export function coveringAt(policy: Policy, task: Task): (upstream: Upstream) => readonly Coverage[] {
  const { shared, dependent, differing } = compiledOf(policy);
  const found = new Map<string, readonly Coverage[]>();
  let always: readonly Placed[] | undefined;
  return (upstream) => {
    const place = placeOf(upstream);
    let alike = "";
    for (const scope of differing) alike += `${place[scope]}\n`;
    const known = found.get(alike);
    if (known !== undefined) return known;
    const facts = factsOf(task, upstream);
    always ??= placedIn(shared, facts);
    const all = inOrder([...always, ...placedIn(dependent, facts)]).filter((one) => !isReplaced(one, facts));
    found.set(alike, all);
    return all;
  };
}

interface Placed {
  readonly place: number;
  readonly coverage: Coverage;
}

function placedIn(index: GroundIndex, facts: Facts): readonly Placed[] {
  const placed: Placed[] = [];
  for (const { ground, place } of index.find(facts)) {
    const account = accountFor(ground, facts);
    if (account !== undefined) placed.push({ place, coverage: { ground, account } });
  }
  return placed;
}

/** In the policy's. */
function inOrder(placed: readonly Placed[]): readonly Coverage[] {
  return [...placed].sort((a, b) => a.place - b.place).map(({ coverage }) => coverage);
}

/**
 * The budgets that container money counts in: of money, with `include_idle`, by nothing that only a request
 * has (MONEY §2).
 */
export function coveringContainer(policy: Policy, facts: Facts): readonly Coverage[] {
  return counting(policy, facts).filter(({ ground }) => countsContainers(ground));
}

export function countsContainers({ budget, unit, per }: Ground): boolean {
  const scopes = [...budget.when.keys(), ...(per === undefined ? [] : [per])];
  return unit === "usd" && budget.includeIdle && scopes.every(isOfCandidate);
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

function accountFor(on: Ground, facts: Facts): AccountKey | undefined {
  for (const [scope, values] of on.budget.when) {
    const value = facts[scope];
    if (value === undefined || !values.includes(value)) return undefined;
  }
  return on.per === undefined ? on.key : accountOf(on.key, perValue(on.per, facts));
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
  const replaced = per === undefined ? NOBODY : replacedValues(policy, budget, per, unit);
  return {
    key: groundKey(policy.timezone, budget, unit, per),
    budget,
    unit,
    limit,
    timezone: policy.timezone,
    per,
    dependsOnCandidate: scopes.some(isOfCandidate),
    active: activeOf(policy.timezone, budget),
    replaced,
  };
}

function groundKey(timezone: string, budget: Budget, unit: Unit, per: Scope | undefined): string {
  const when = [...budget.when]
    .map(([scope, values]) => `${scope}:${JSON.stringify([...values].sort())}`)
    .sort()
    .join(";");
  const period = `${budget.period}/${budget.resetDay}/${timezone}`;
  // Containers cost money; they make no requests, pictures or tokens, and their seconds are nobody's.
  const whose = unit === "usd" && budget.includeIdle ? "all" : "requests";
  return `${unit}|${period}|${whose}|${when}|${per ?? ""}`;
}

function isOfCandidate(scope: Scope): boolean {
  return CANDIDATE_SCOPES.some((one) => one === scope);
}

function activeOf(timezone: string, { from, until }: Budget): Period {
  return {
    start: from === undefined ? EPOCH : dayRange(timezone, from, from).start,
    end: until === undefined ? FOREVER : dayRange(timezone, until, until).end,
  };
}

const NOBODY: ReadonlySet<string> = new Set();
