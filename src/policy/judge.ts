// What each candidate's covering budgets say to it, one by one, and which of them speaks for all. It ranks
// nobody and chooses nothing.

import { fits } from "../metering/balance.ts";
import { minus } from "../metering/quantity.ts";
import type { Balances } from "./admission.ts";
import { type Demand, demandsOn, needOf } from "./claims.ts";
import type { AccountKey, Breach, Quote } from "./decision.ts";
import { alternativesOf, type Judged } from "./explain.ts";
import { covering, factsOf } from "./match.ts";
import { ACTIONS, isActing, lastAction, type Policy } from "./policy.ts";
import type { Task } from "./task.ts";

export interface Judge {
  readonly policy: Policy;
  readonly view: Balances;
  /** How many who came earlier wait for money of this account: nobody passes them (MONEY §6). */
  claimedBefore(account: AccountKey): number;
}

/** A candidate, everything that its covering budgets would be asked for, and which of it they cannot give. */
export function judge(by: Judge, task: Task, quote: Quote): Judged {
  const need = needOf(task, quote, by.view.at);
  const facts = factsOf(task, quote.upstream);
  const demands = covering(by.policy, facts).flatMap((coverage) => demandsOn(coverage, need));
  const unmet = demands.filter((demand) => isDue(by, demand));
  return { quote, model: task.model, demands, unmet, leftOut: undefined, isUnfit: false };
}

/** Whether the action of its budget is due: nothing there is left for it, or others came first. */
function isDue(by: Judge, demand: Demand): boolean {
  const { coverage, judges, amount } = demand;
  if (!judges || amount === 0n || !isActing(coverage.ground.budget)) return false;
  return (
    !fits(coverage.ground.limit, balanceOf(demand, by.view), amount) || by.claimedBefore(coverage.account) > 0
  );
}

export function balanceOf(demand: Demand, view: Balances) {
  return view.balance(demand.coverage.account, demand.period.start);
}

/** More than the whole limit: no waiting helps. */
export function isBeyond({ coverage, amount }: Demand): boolean {
  return amount > coverage.ground.limit;
}

/** It would fit once all that is held has ended. */
export function fitsOnceFree(demand: Demand, view: Balances): boolean {
  return demand.amount <= minus(demand.coverage.ground.limit, balanceOf(demand, view).settled);
}

/** Of budgets that do not depend on the candidate. */
export function sharedOf(unmet: readonly Demand[]): readonly Demand[] {
  return unmet.filter(({ coverage }) => !coverage.ground.dependsOnCandidate);
}

/** The strictest action wins; among equals the policy's order. */
export function strictest(
  unmet: readonly Demand[],
  of = ({ coverage }: Demand) => coverage.ground.budget.onLimit,
) {
  const strictness = (demand: Demand) => ACTIONS.indexOf(of(demand));
  let worst: Demand | undefined;
  for (const demand of unmet) {
    if (worst === undefined || strictness(demand) > strictness(worst)) worst = demand;
  }
  return worst;
}

/** By what they do in the end: for degrade that is its `then`. */
export function strictestInTheEnd(unmet: readonly Demand[]): Demand | undefined {
  return strictest(unmet, ({ coverage }) => lastAction(coverage.ground.budget));
}

export function breachOf(demand: Demand, view: Balances, all: readonly Judged[]): Breach {
  const { budget, unit, limit, timezone } = demand.coverage.ground;
  const { settled, held } = balanceOf(demand, view);
  return {
    budget: budget.id,
    action: budget.onLimit,
    unit,
    limit,
    settled,
    held,
    needed: demand.amount,
    resets: demand.period.end < Number.MAX_SAFE_INTEGER ? demand.period.end : undefined,
    timezone,
    alternatives: alternativesOf(all),
  };
}
