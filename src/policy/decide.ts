// May it run, and where (MONEY §5). Pure and synchronous: it runs inside `admit`, on live balances, and
// nothing may come between its answer and the hold.
//
// 1. Budgets that every candidate shares: who does not fit them drops out. If nobody is left, they decide
//    alone.
// 2. Else the candidates in rank order, each on its own covering budgets; the first that fits and can take it
//    now is chosen, or those that fit are waited for (choose.ts). In lowest_price one that does not fit drops
//    out; in manual and local it is the outcome.
// 3. None left: the strictest action on the first-ranked candidate.
//
// `queue` and `degrade` refuse like `block` here: the waiting room and the fallback are not built yet,
// and `check` says so.

import type { Balances } from "./admission.ts";
import { type Choice, choose } from "./choose.ts";
import { claimsOf, type Demand, demandsOn, needOf, satisfied } from "./claims.ts";
import type { Breach, Claim, Decided, NoUpstream, Quote, Wait, Warning } from "./decision.ts";
import { type Known, NOTHING_KNOWN } from "./expect.ts";
import { alternativesOf, explain, type Judged, type Verdict } from "./explain.ts";
import { hindranceText, lastsFor } from "./hindrance.ts";
import { covering, factsOf } from "./match.ts";
import { ACTIONS, type Model, type Policy } from "./policy.ts";
import { type Candidate, type LeftOut, quotesOf, type Ranking, rank } from "./rank.ts";
import type { Task } from "./task.ts";
import { warningsOf } from "./warn.ts";

export interface Question {
  readonly policy: Policy;
  readonly model: Model;
  readonly task: Task;
  /** All upstreams of the model that are up, in the policy's order. */
  readonly candidates: readonly Candidate[];
  /** Ids of those that this request was tried at and that could not be reached. */
  readonly unreachable: readonly string[];
  /** What was learned of earlier requests, as it stands now. Absent: nothing. */
  readonly known?: Known | undefined;
}

export function decide(question: Question, view: Balances): Decided {
  const { policy, model, task, candidates } = question;
  const known = question.known ?? NOTHING_KNOWN;
  const ranking = rank(policy, model, task, quotesOf(task, model, candidates, known, view.at));
  const judged = ranking.quotes.map((quote) => judge(policy, task, quote, view));
  const judgeOut = (isUnfit: boolean) => (out: LeftOut) => ({
    ...judge(policy, task, out.quote, view),
    leftOut: out.why,
    isUnfit,
  });
  const all = [...judged, ...ranking.leftOut.map(judgeOut(false)), ...ranking.unfit.map(judgeOut(true))];
  const told = (verdict: Verdict) => explain({ policy, view, candidates: all, verdict });

  const [first] = judged;
  if (first === undefined) {
    const reason = whyNone(question, ranking);
    const cause = ranking.isRequests && question.unreachable.length === 0 ? "request" : "upstreams";
    return { kind: "no_upstream", reason, cause, explanation: told({ rule: reason, chosen: undefined }) };
  }
  const left = judged.filter((one) => sharedOf(one.unmet).length === 0);
  const choice = choose(policy.mode, left);
  if (choice.kind === "waits") {
    const wait = waitFor(question, choice);
    return { ...wait, explanation: told({ rule: wait.reason, chosen: undefined }) };
  }
  if (choice.kind === "none") {
    const isCheapest = policy.mode === "lowest_price";
    const worst =
      left.length === 0 ? sharedBreach(judged) : strictest((isCheapest ? first : (left[0] ?? first)).unmet);
    if (worst === undefined) throw new Error("a candidate without an unmet demand was not chosen");
    const breach = breachOf(worst, view, all);
    return { kind: "refuse", breach, explanation: told({ rule: ruleOf(breach), chosen: undefined }) };
  }
  const chosen = choice.one;
  const why = choice.isLastResort
    ? "all that may serve are ejected, and it is the first to be tried again"
    : whyChosen(question, ranking, judged, chosen);
  const rule = `mode ${policy.mode} chose ${chosen.quote.upstream.id}: ${why}`;
  return {
    kind: "forward",
    quote: chosen.quote,
    claims: claimsFor(chosen),
    warnings: warningsFor(chosen, view),
    explanation: told({ rule, chosen: chosen.quote.upstream.id }),
  };
}

/** A reload took the model while the request waited, or was tried: it is written down like any other end. */
export function modelGone(policy: Policy, task: Task, view: Balances): NoUpstream {
  const reason = `model ${task.model} is no longer in the policy`;
  const verdict = { rule: reason, chosen: undefined };
  const explanation = explain({ policy, view, candidates: [], verdict });
  return { kind: "no_upstream", reason, cause: "upstreams", explanation };
}

/** A candidate and everything that its covering budgets would be asked for. */
function judge(policy: Policy, task: Task, quote: Quote, view: Balances): Judged {
  const need = needOf(task, quote, view.at);
  const demands = covering(policy, factsOf(task, quote.upstream)).flatMap((coverage) =>
    demandsOn(coverage, need),
  );
  const unmet = demands.filter((demand) => !satisfied(demand, balanceOf(demand, view)));
  return { quote, demands, unmet, leftOut: undefined, isUnfit: false };
}

function balanceOf(demand: Demand, view: Balances) {
  return view.balance(demand.coverage.account, demand.period.start);
}

function claimsFor(chosen: Judged): readonly Claim[] {
  return claimsOf(chosen.demands);
}

function warningsFor(chosen: Judged, view: Balances): readonly Warning[] {
  return chosen.demands.flatMap((demand) => warningsOf(demand, balanceOf(demand, view)));
}

/** Of budgets that do not depend on the candidate. */
function sharedOf(unmet: readonly Demand[]): readonly Demand[] {
  return unmet.filter(({ coverage }) => !coverage.ground.dependsOnCandidate);
}

/** Where no candidate fits them: as the one that asks for least finds them. */
function sharedBreach(judged: readonly Judged[]): Demand | undefined {
  const cheapest = judged.reduce((least, one) => (one.quote.hold < least.quote.hold ? one : least));
  return strictest(sharedOf(cheapest.unmet));
}

/** The strictest action wins; among equals the policy's order. */
function strictest(unmet: readonly Demand[]): Demand | undefined {
  const strictness = (demand: Demand) => ACTIONS.indexOf(demand.coverage.ground.budget.onLimit);
  let worst: Demand | undefined;
  for (const demand of unmet) {
    if (worst === undefined || strictness(demand) > strictness(worst)) worst = demand;
  }
  return worst;
}

function breachOf(demand: Demand, view: Balances, all: readonly Judged[]): Breach {
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

function waitFor(
  { model }: Question,
  { all, isLastResort }: Extract<Choice, { kind: "waits" }>,
): Omit<Wait, "explanation"> {
  const lasting = all.map(({ quote }) => quote.hindrance && lastsFor(quote.hindrance));
  const least = (durations: readonly number[]) => Math.min(...durations) as Wait["notBefore"];
  const states = all.map(({ quote }) => stateOf(quote));
  return {
    kind: "wait",
    upstreams: all.map(({ quote }) => quote.upstream.id),
    isLastResort,
    notBefore: least(lasting.map((duration) => duration ?? 0)),
    retryAfter: least(all.map(({ quote }, index) => lasting[index] ?? quote.time)),
    reason: `no upstream of ${model.id} can take it now: ${states.join("; ")}`,
  };
}

function stateOf({ upstream, hindrance }: Quote): string {
  return `${upstream.id} is ${hindrance === undefined ? "free" : hindranceText(hindrance)}`;
}

function ruleOf(breach: Breach): string {
  return `budget ${breach.budget} does not have what this needs, and its on_limit is ${breach.action}`;
}

function whyChosen(question: Question, ranking: Ranking, judged: readonly Judged[], chosen: Judged): string {
  const { mode } = question.policy;
  if (mode === "manual") return whySelected(question, ranking);
  const tail = whySkipped(judged.slice(0, judged.indexOf(chosen)));
  const count = judged.length;
  const unable = ranking.unfit.length === 0 ? "" : `; ${namesOf(ranking.unfit)} cannot serve this request`;
  if (mode === "local")
    return `the first of ${count} local upstream${count === 1 ? "" : "s"}${tail}${unable}`;
  const locals = namesOf(ranking.leftOut);
  const without = locals === "" ? "" : `; ${locals} left out: lowest_price.include_local is false`;
  if (chosen.quote.standing === "tried")
    return `chosen to learn how long such work takes there${tail}${without}${unable}`;
  return `the lowest price of ${count} candidate${count === 1 ? "" : "s"}${tail}${without}${unable}`;
}

function namesOf(leftOut: readonly LeftOut[]): string {
  return leftOut.map(({ quote }) => quote.upstream.id).join(", ");
}

function whySkipped(skipped: readonly Judged[]): string {
  const unfit = skipped.filter(({ unmet }) => unmet.length > 0).map(({ quote }) => quote.upstream.id);
  const hindered = skipped.filter(({ unmet }) => unmet.length === 0).map(({ quote }) => stateOf(quote));
  const told = [...(unfit.length === 0 ? [] : [`${unfit.join(", ")} did not fit the budgets`]), ...hindered];
  return told.length === 0 ? "" : ` (${told.join("; ")})`;
}

function whySelected({ model, task, unreachable }: Question, { unfit }: Ranking): string {
  const asked = [task.provider, task.gpuTier].filter((word) => word !== undefined);
  if (asked.length > 0) return `the request asked for ${asked.join(" ")}`;
  if (model.manual !== undefined) return "it is the model's `manual`";
  const reached = unreachable.length === 0 ? [] : ["could be reached"];
  const that = [...reached, ...(unfit.length === 0 ? [] : ["can serve this request"])].join(" and ");
  return `it is the first listed${that === "" ? "" : ` that ${that}`}: the model names no \`manual\``;
}

function whyNone({ policy, model, unreachable }: Question, ranking: Ranking): string {
  const leftOut = [...ranking.unfit, ...ranking.leftOut];
  if (unreachable.length > 0) {
    return `${unreachable.join(", ")} could not be reached, and no other may serve in mode ${policy.mode}`;
  }
  if (leftOut.length === 0) return `no upstream of ${model.id} is up`;
  const reasons = [...new Set(leftOut.map(({ why }) => why))];
  const said = reasons.map((why) => `${namesOf(leftOut.filter((one) => one.why === why))} left out, ${why}`);
  const can = ranking.isRequests ? "can serve this request" : `may serve in mode ${policy.mode}`;
  return `no upstream of ${model.id} ${can}: ${said.join("; ")}`;
}
