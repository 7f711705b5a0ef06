// Explains a budget: where its money went, why it is over its limit where it is, and what would pass now.
// The causes are those that cannot be refused (MONEY §1); each is told with the most that it can have added.

import type { BudgetAccount, BudgetExplained, Cause, Passing } from "../admin/budget-account.ts";
import type { BudgetState } from "../admin/budget-state.ts";
import type { HeldRow } from "../ledger/held.ts";
import { limitThen, POLICY, refusedThen } from "../ledger/policy-record.ts";
import type { TurnRow } from "../ledger/queries.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import type { Spent } from "../ledger/spent.ts";
import { minus, NOTHING, type Quantity, quantityOf, sum } from "../metering/quantity.ts";
import { type Instant, latest } from "../metering/time.ts";
import type { Decided } from "../policy/decision.ts";
import { covering, type Ground, groundsOf, isActive, periodFor } from "../policy/match.ts";
import { type Budget, isEnforcing, type Model, type Policy } from "../policy/policy.ts";
import { isInForce, type Raise } from "../policy/raise.ts";
import type { Labels } from "../policy/task.ts";
import { EDITED, fileEdits } from "./edit-record.ts";

export interface ExplainParts {
  readonly policy: Policy;
  readonly reader: LedgerReader;
  readonly at: Instant;
  /** The balances of the budget as they stand. */
  readonly states: readonly BudgetState[];
  /** Also those that are over. */
  readonly raises: readonly Raise[];
  /** Those that are open. */
  readonly allocations: readonly HeldRow[];
  /** What would be decided of a request of these labels now. */
  decide(model: Model, labels: Labels): Decided;
}

/** A budget per user may have hundreds of balances: those that are used most are explained. */
const MOST_ACCOUNTS = 5;
const MOST_MODELS = 20;
/** Reloads that are looked through for a limit that was lowered. */
const MOST_RELOADS = 100;
/** Of all budgets together. */
/** Of each, that it was begun and that it was made. */
const MOST_EDITS = 200;

export async function explainBudget(parts: ExplainParts, budget: Budget): Promise<BudgetExplained> {
  const { policy, reader, at, states, allocations } = parts;
  const grounds = groundsOf(policy).filter((ground) => ground.budget.id === budget.id);
  const reloads = await reader.turns(POLICY, MOST_RELOADS);
  const accounts = states.slice(0, MOST_ACCOUNTS).flatMap((state) => {
    const ground = grounds.find(({ unit }) => unit === state.unit);
    return ground === undefined ? [] : [accountOf(parts, ground, state, reloads)];
  });
  const start = Math.min(...grounds.map((ground) => periodFor(ground, at).start)) as Instant;
  const own = parts.raises.filter((raise) => raise.budget === budget.id && raise.until > start);
  const covers = ({ facts }: HeldRow) =>
    covering(policy, facts).some(({ ground }) => ground.budget.id === budget.id);
  return {
    accounts: await Promise.all(accounts),
    passing: passingOf(parts, budget),
    adjustments: await reader.adjustments(budget.id, start),
    edits: fileEdits(await reader.turns(EDITED, MOST_EDITS)).filter((edit) => edit.budget === budget.id),
    raises: own.map((raise) => ({ ...raise, isInForce: isInForce(raise, at) })),
    allocations: allocations
      .filter(covers)
      .flatMap(({ id, at: since, amount, allocation }) =>
        allocation === undefined ? [] : [{ id, at: since, amount, ...allocation }],
      ),
  };
}

async function accountOf(
  { reader, at, raises }: ExplainParts,
  ground: Ground,
  state: BudgetState,
  reloads: readonly TurnRow[],
): Promise<BudgetAccount> {
  const { budget, key, per, unit } = ground;
  const period = periodFor(ground, at);
  const asked = { key, unit, per, when: [...budget.when], requestsOnly: !budget.includeIdle };
  const late = lateOf(reloads, { ground, value: state.value, at, start: period.start });
  const spent = await reader.spent({ ...asked, value: state.value, ...period, refusesSince: late?.since });
  const over = minus(sum(state.settled, state.held), state.limit);
  const highest = highestLimit(reloads, { id: budget.id, unit, since: period.start }, state.limit);
  const ended = raises.filter(
    (one) => one.budget === budget.id && one.unit === unit && one.until > period.start && one.until <= at,
  );
  const lowered = {
    // Raises may have been in force at once: the most that the limit can have been.
    most: minus(sum(quantityOf(highest), ...ended.map(({ amount }) => amount)), state.limit),
    at: ended.length === 0 ? undefined : (Math.max(...ended.map(({ until }) => until)) as Instant),
  };
  const causes =
    over > 0n ? causesOf(ground, spent, state.limit, lowered, late && mostOf(late, over, spent)) : [];
  const requests = spent.requests.map((one) => ({ ...one, amount: quantityOf(one.amount) }));
  const excess = { over: over > 0n ? over : NOTHING, containerOverdraft: overdraftOf(causes, over), causes };
  const idleDiscount = quantityOf(spent.idleDiscount);
  return { value: state.value, unit, by: spent.by, requests, idleDiscount, ...excess };
}

/** `at`: when the last raise ended; undefined where only reloads lowered it. */
interface Lowered {
  readonly most: Quantity;
  readonly at: Instant | undefined;
}

/** Since when it refuses work, where that is later than its period's start; undefined: it does not now. */
interface Late {
  readonly since: Instant | undefined;
}

/** What was spent before it refused can be all of the excess, and no more of it than that was. */
function mostOf(late: Late, over: Quantity, { unrefused }: Spent): Late & { readonly most: Quantity } {
  const most = late.since === undefined || unrefused > over ? over : quantityOf(unrefused);
  return { ...late, most };
}

interface Watched {
  readonly ground: Ground;
  readonly value: string | undefined;
  readonly at: Instant;
  /** Of the period. */
  readonly start: Instant;
}

/** Undefined where it has refused work of that value, on this balance, since its period began. */
function lateOf(reloads: readonly TurnRow[], watched: Watched): Late | undefined {
  const { ground, at, start } = watched;
  if (!isEnforcing(ground.budget) || !isActive(ground, at)) return { since: undefined };
  const since = latest(ground.active.start, refusingSince(reloads, watched) ?? start);
  return since > start ? { since } : undefined;
}

function refusingSince(reloads: readonly TurnRow[], { ground, value, start }: Watched): Instant | undefined {
  let since: Instant | undefined;
  for (const reload of reloads) {
    if (!refusedThen(reload.value, ground, value)) return since;
    if (reload.at < start) return undefined;
    since = reload.at;
  }
  return undefined;
}

/** The part of an excess that containers can have added. */
function overdraftOf(causes: readonly Cause[], over: Quantity): Quantity {
  const own = sum(...causes.filter(({ kind }) => OF_CONTAINERS.has(kind)).map(({ most }) => most));
  if (over <= 0n) return NOTHING;
  return own > over ? over : own;
}

const OF_CONTAINERS: ReadonlySet<Cause["kind"]> = new Set(["idle", "startup", "minimum", "gap"]);

function causesOf(
  { budget, unit }: Ground,
  spent: Spent,
  limit: bigint,
  lowered: Lowered,
  late: (Late & { readonly most: Quantity }) | undefined,
): readonly Cause[] {
  const causes: Cause[] = spent.kinds
    .filter(({ amount }) => amount > 0n)
    .map(({ kind, amount, entries }) => ({
      kind: KINDS[kind] ?? "adjustment",
      most: quantityOf(amount),
      of: entries,
      at: undefined,
    }));
  if (lowered.most > 0n) causes.push({ kind: "limit_lowered", most: lowered.most, of: 1, at: lowered.at });
  const { folded, overrun } = spent;
  if (folded !== undefined && folded.amount > limit) {
    causes.push({ kind: "reload", most: quantityOf(folded.amount - limit), of: 1, at: folded.at });
  } else if (late?.since !== undefined && late.most > 0n) {
    causes.push({ kind: "reload", most: late.most, of: 1, at: late.since });
  }
  if (late !== undefined && late.since === undefined) {
    causes.push({ kind: "not_enforced", most: late.most, of: 1, at: undefined });
  }
  // What no slice is asked for cannot be cut either: images and tokens are counted with the reply.
  const isLate = budget.overrun === "cut" && (unit === "images" || unit === "tokens");
  if ((budget.overrun === "finish" || isLate) && overrun.amount > 0n) {
    causes.push({
      kind: isLate ? "late_count" : "finish_overrun",
      most: quantityOf(overrun.amount),
      of: overrun.requests,
      at: undefined,
    });
  }
  return causes.sort((a, b) => (a.most > b.most ? -1 : Number(a.most < b.most)));
}

const KINDS: Readonly<Record<string, Cause["kind"]>> = {
  idle: "idle",
  startup: "startup",
  minimum: "minimum",
  gap: "gap",
  adjusted: "adjustment",
};

interface Asked {
  readonly id: string;
  readonly unit: string;
  readonly since: Instant;
}

/** Also of the reload that was in force when the period began. */
function highestLimit(reloads: readonly TurnRow[], { id, unit, since }: Asked, now: bigint): bigint {
  let highest = now;
  for (const { at, value } of reloads) {
    const limit = limitThen(value, id, unit) ?? 0n;
    if (limit > highest) highest = limit;
    if (at < since) break;
  }
  return highest;
}

/** One candidate of each model that the budget covers, as a request of its own scope would find it now. */
function passingOf({ policy, states, decide }: ExplainParts, budget: Budget): readonly Passing[] {
  const labels = labelsFor(budget, states[0]?.value);
  return [...policy.models.values()].slice(0, MOST_MODELS).flatMap((model) => {
    const decided = decide(model, labels);
    const { chosen, candidates } = decided.explanation;
    return candidates.flatMap(({ upstream, budgets, estimate }) =>
      budgets
        .filter((one) => one.budget === budget.id)
        .map(({ unit, needed, fits }) => ({
          ...{ model: model.id, upstream, estimate, unit, needed, fits },
          ...{ isChosen: chosen === upstream, decision: decided.kind },
        })),
    );
  });
}

/** As whoever the budget is about would ask. */
function labelsFor({ when, per }: Budget, value: string | undefined): Labels {
  const said = (scope: keyof Labels) => (per === scope ? value : when.get(scope)?.[0]);
  return {
    user: said("user") ?? "unknown",
    workflow: said("workflow"),
    session: said("session"),
    task: said("task"),
    node: said("node"),
    project: said("project"),
    tag: said("tag"),
  };
}
