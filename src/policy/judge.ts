// Which budgets cover a candidate, what each would be asked for there, and which of them cannot give it. It
// knows no action's meaning: choose.ts does.

import { sum } from "../metering/quantity.ts";
import type { Balances } from "./admission.ts";
import { claimsOf, type Demand, demandsOn, isDue, needOf, seenBy } from "./claims.ts";
import type { Alternative, Quote, Warning, Wish } from "./decision.ts";
import type { Judged } from "./explain.ts";
import type { Coverage } from "./match.ts";
import { ACTIONS, type Action, isActing, lastAction, type Upstream } from "./policy.ts";
import type { Task } from "./task.ts";
import { warningsOf } from "./warn.ts";

/** `task` is of the model that would serve it, and so is what covers it at each upstream. */
export function judge(
  covering: (upstream: Upstream) => readonly Coverage[],
  task: Task,
  quote: Quote,
  view: Balances,
): Judged {
  const need = needOf(task, quote, view.at);
  const demands: Demand[] = [];
  for (const coverage of covering(quote.upstream)) demands.push(...demandsOn(coverage, need, view.relief));
  const unmet = demands.filter((demand) => isDue(demand, leftFor(demand, view)));
  return { model: task.model, quote, demands, unmet, leftOut: undefined, isUnfit: false };
}

/** As its budget sees it. */
export function balanceOf(demand: Demand, view: Balances) {
  return seenBy(demand, view.balance(demand.coverage.account, demand.period.start));
}

/** In a budget that makes work wait, what earlier ones wait for is not there for later ones (MONEY §6). */
export function leftFor(demand: Demand, view: Balances) {
  const balance = balanceOf(demand, view);
  if (view.claimed === undefined || lastAction(demand.coverage.ground.budget) !== "queue") return balance;
  const { amount } = view.claimed(demand.coverage.account, demand.period.start);
  return { settled: balance.settled, held: sum(balance.held, amount) };
}

/** Of budgets that do not depend on the candidate. */
export function sharedOf(unmet: readonly Demand[]): readonly Demand[] {
  return unmet.filter(({ coverage }) => !coverage.ground.dependsOnCandidate);
}

export function onLimitOf({ coverage }: Demand): Action {
  return coverage.ground.budget.onLimit;
}

export function lastActionOf({ coverage }: Demand): Action {
  return lastAction(coverage.ground.budget);
}

/** The strictest action wins; among equals the policy's order. */
export function strictest(
  unmet: readonly Demand[],
  actionOf: (demand: Demand) => Action = onLimitOf,
): Demand | undefined {
  const strictness = (demand: Demand) => ACTIONS.indexOf(actionOf(demand));
  let worst: Demand | undefined;
  for (const demand of unmet) {
    if (worst === undefined || strictness(demand) > strictness(worst)) worst = demand;
  }
  return worst;
}

/** `cheaper` is named by a soft limit. */
export function warningsFor(
  chosen: Judged,
  view: Balances,
  cheaper: readonly Alternative[],
): readonly Warning[] {
  return chosen.demands.flatMap((demand) => warningsOf(demand, balanceOf(demand, view), cheaper));
}

/** What it would ask, running there, of budgets that make work wait. */
export function wishOf(judged: Judged): Wish {
  return { upstream: judged.quote.upstream.id, claims: claimsOf(waitedFor(judged)), others: [] };
}

/** Of something cheaper: it has to fit all of its own budgets, whatever these do. */
export function targetWish(judged: Judged): Wish {
  const waited = waitedFor(judged);
  const others = actingOn(judged).filter((demand) => !waited.includes(demand));
  return {
    ...wishOf(judged),
    others: others.map(({ coverage: { account, ground }, period, amount, relief }) => {
      return { account, ...period, amount, limit: sum(ground.limit, relief) };
    }),
  };
}

/** It asks for more than there will ever be: nobody waits for that (MONEY §6). */
export function isHopeless(judged: Judged): boolean {
  return waitedFor(judged).some(asksTooMuch);
}

export function isHopelessTarget(judged: Judged): boolean {
  return actingOn(judged).some(asksTooMuch);
}

function asksTooMuch({ coverage, amount }: Demand): boolean {
  return amount > coverage.ground.limit;
}

function waitedFor(judged: Judged): readonly Demand[] {
  return actingOn(judged).filter(({ coverage }) => lastAction(coverage.ground.budget) === "queue");
}

function actingOn({ demands }: Judged): readonly Demand[] {
  return demands.filter(
    ({ judges, amount, coverage }) => judges && amount > 0n && isActing(coverage.ground.budget),
  );
}
