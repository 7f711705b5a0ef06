// May it run, and where (MONEY §5). Pure and synchronous: it runs inside `admit`, on live balances, and
// nothing may come between its answer and the hold.
//
// 1. Budgets that every candidate shares: who does not fit them drops out. If nobody is left, they decide
//    alone.
// 2. Else the candidates in rank order, each on its own covering budgets; the first that fits and can take it
//    now is chosen, or those that fit are waited for (choose.ts). In lowest_price one that does not fit drops
//    out; in manual and local it is the outcome.
// 3. None left: the strictest action on the first-ranked candidate. block refuses, queue waits for the money
//    (money-wait.ts), degrade looks for something cheaper (degrade.ts) and does `then` where there is none.

import type { Balances } from "./admission.ts";
import { type Choice, choose } from "./choose.ts";
import { claimsOf, type Demand } from "./claims.ts";
import type { AccountKey, Decided, Degraded, Forward, NoUpstream, Refuse, Wait } from "./decision.ts";
import { degradeTo } from "./degrade.ts";
import { type Known, NOTHING_KNOWN } from "./expect.ts";
import { alternativesOf, explain, type Judged, type Verdict } from "./explain.ts";
import { balanceOf, breachOf, type Judge, judge, sharedOf, strictest, strictestInTheEnd } from "./judge.ts";
import { moneyWait, urgencyOf } from "./money-wait.ts";
import { isStrict, lastAction, type Model, type Policy } from "./policy.ts";
import { type Candidate, type LeftOut, quotesOf, type Ranking, rank } from "./rank.ts";
import { slotWait } from "./slot-wait.ts";
import { decideStopped } from "./spending.ts";
import type { Task } from "./task.ts";
import { warningsOf } from "./warn.ts";
import { ruleOf, whyChosen, whyNone } from "./why.ts";

export interface Question {
  readonly policy: Policy;
  readonly model: Model;
  readonly task: Task;
  /** All upstreams of the model that are up, in the policy's order. */
  readonly candidates: readonly Candidate[];
  /** The model's fallback and its upstreams, where it has one. */
  readonly fallback?: { readonly model: Model; readonly candidates: readonly Candidate[] } | undefined;
  /** Ids of those that this request was tried at and that could not be reached. */
  readonly unreachable: readonly string[];
  /** What was learned of earlier requests, as it stands now. Absent: nothing. */
  readonly known?: Known | undefined;
  /** How many who came earlier wait for money of this account. Absent: nobody does. */
  readonly claimedBefore?: ((account: AccountKey) => number) | undefined;
}

/** Everything that was looked at, on the way to a decision. */
interface Case {
  readonly question: Question;
  readonly by: Judge;
  readonly ranking: Ranking;
  /** In rank order; at least one. */
  readonly judged: readonly Judged[];
  readonly all: readonly Judged[];
  told(verdict: Verdict, more?: readonly Judged[]): Forward["explanation"];
}

export function decide(question: Question, view: Balances): Decided {
  if (view.stopped === undefined) return decideOpen(question, view);
  return decideStopped(question, view, view.stopped, decideOpen);
}

function decideOpen(question: Question, view: Balances): Decided {
  const { policy, model, task } = question;
  const by: Judge = { policy, view, claimedBefore: question.claimedBefore ?? (() => 0) };
  const ranking = rankingOf(question, model, question.candidates, view);
  const judged = ranking.quotes.map((quote) => judge(by, task, quote));
  const all = [...judged, ...othersOf(by, task, ranking)];
  const told: Case["told"] = (verdict, more = []) =>
    explain({ policy, model: task.model, view, candidates: [...all, ...more], verdict });

  if (judged.length === 0) {
    const reason = whyNone(question, ranking);
    const cause = ranking.isRequests && question.unreachable.length === 0 ? "request" : "upstreams";
    return { kind: "no_upstream", reason, cause, explanation: told({ rule: reason, chosen: undefined }) };
  }
  const seen = { question, by, ranking, judged, all, told };
  const left = judged.filter((one) => sharedOf(one.unmet).length === 0);
  return followed(seen, choose(policy.mode, left)) ?? atLimit(seen, left);
}

/** Undefined where budgets let none through. */
function followed(seen: Case, choice: Choice): Decided | undefined {
  if (choice.kind === "none") return undefined;
  if (choice.kind === "waits") return waiting(seen, choice);
  const { question, ranking, judged } = seen;
  const why = choice.isLastResort
    ? "all that may serve are ejected, and it is the first to be tried again"
    : whyChosen(question, ranking, judged, choice.one);
  const rule = `mode ${question.policy.mode} chose ${choice.one.quote.upstream.id}: ${why}`;
  return forward(seen, choice.one, rule);
}

/** The strictest action on the candidate whose turn it is decides (MONEY §5). */
function atLimit(seen: Case, left: readonly Judged[]): Decided {
  const { unmet } = decisive(seen, left);
  const worst = strictest(unmet);
  if (worst === undefined) throw new Error("a candidate without an unmet demand was not chosen");
  if (worst.coverage.ground.budget.onLimit !== "degrade") return refuseOrWait(seen, left, worst);
  return degrade(seen, worst) ?? afterDegrade(seen, left, unmet);
}

/** In lowest_price the first-ranked one; budgets that all share are asked as the cheapest one finds them. */
function decisive(seen: Case, left: readonly Judged[]): Pick<Judged, "unmet"> {
  const { judged, question } = seen;
  if (left.length === 0) {
    const cheapest = judged.reduce((least, one) => (one.quote.hold < least.quote.hold ? one : least));
    return { unmet: sharedOf(cheapest.unmet) };
  }
  const first = judged[0] as Judged;
  return question.policy.mode === "lowest_price" ? first : (left[0] ?? first);
}

function refuseOrWait(seen: Case, left: readonly Judged[], worst: Demand): Refuse | Wait {
  const { by, all, judged, question, told } = seen;
  if (lastAction(worst.coverage.ground.budget) === "queue") {
    const isCheapest = question.policy.mode === "lowest_price";
    const candidates = isCheapest ? judged : left.length > 0 ? left.slice(0, 1) : judged.slice(0, 1);
    const money = moneyWait(by, candidates, all);
    if (money !== undefined) {
      const explanation = told({ rule: money.reason, chosen: undefined });
      const none = { upstreams: [], isLastResort: false, notBefore: NOW, retryAfter: NOW };
      return {
        kind: "wait",
        ...none,
        reason: money.reason,
        money,
        urgency: urgencyOf(candidates),
        explanation,
      };
    }
  }
  const breach = breachOf(worst, by.view, all);
  return { kind: "refuse", breach, explanation: told({ rule: ruleOf(breach), chosen: undefined }) };
}

const NOW = 0 as Wait["notBefore"];

/** Undefined where nothing cheaper fits. */
function degrade(seen: Case, worst: Demand): Forward | Wait | undefined {
  const { question, by, judged, all } = seen;
  const from = judged[0] as Judged;
  const { fallback, task } = question;
  const fallbackTask = fallback && { ...task, model: fallback.model.id };
  const ranked = fallback && rankingOf(question, fallback.model, fallback.candidates, by.view);
  const others =
    ranked && fallbackTask
      ? [
          ...ranked.quotes.map((quote) => judge(by, fallbackTask, quote)),
          ...othersOf(by, fallbackTask, ranked),
        ]
      : [];
  const choice = degradeTo(from, all, others);
  if (choice.kind === "none") return undefined;
  if (choice.kind === "waits") return waiting(seen, choice, others);
  const { budget } = worst.coverage.ground;
  const { upstream, amount: estimate } = from.quote;
  const degraded: Degraded = { budget: budget.id, model: task.model, upstream: upstream.id, estimate };
  const { model, quote } = choice.one;
  const to = model === task.model ? quote.upstream.id : `${model} at ${quote.upstream.id}`;
  const rule = `budget ${budget.id} has not what ${upstream.id} needs, and degrades it to ${to}`;
  return forward(seen, choice.one, rule, { degraded, more: others });
}

/** What `then` says, of all that degrade: those that let it pass in the end no longer stand in its way. */
function afterDegrade(seen: Case, left: readonly Judged[], unmet: readonly Demand[]): Decided {
  const worst = strictestInTheEnd(unmet);
  if (worst !== undefined && isStrict(lastAction(worst.coverage.ground.budget))) {
    return refuseOrWait(seen, left, worst);
  }
  const strict = (one: Judged) =>
    one.unmet.filter(({ coverage }) => isStrict(lastAction(coverage.ground.budget)));
  const passing = seen.judged.map((one) => ({ ...one, unmet: strict(one) }));
  const decided = followed(seen, choose(seen.question.policy.mode, passing));
  if (decided === undefined) throw new Error("what every budget lets pass in the end was not let through");
  return decided;
}

function forward(
  { by, all, told }: Case,
  chosen: Judged,
  rule: string,
  changed: { readonly degraded?: Degraded; readonly more?: readonly Judged[] } = {},
): Forward {
  const { quote, model, demands } = chosen;
  const cheaper = alternativesOf(all).filter(({ estimate }) => estimate < quote.amount);
  return {
    kind: "forward",
    quote,
    model,
    degraded: changed.degraded,
    claims: claimsOf(demands),
    warnings: demands.flatMap((demand) => warningsOf(demand, balanceOf(demand, by.view), cheaper)),
    explanation: told({ rule, chosen: quote.upstream.id }, changed.more),
  };
}

function waiting(
  { question, told }: Case,
  choice: Extract<Choice, { kind: "waits" }>,
  more: readonly Judged[] = [],
): Wait {
  const wait = slotWait(question.model.id, choice);
  return { ...wait, explanation: told({ rule: wait.reason, chosen: undefined }, more) };
}

function rankingOf(
  { policy, task, known }: Question,
  model: Model,
  candidates: readonly Candidate[],
  view: Balances,
) {
  const asked = { ...task, model: model.id };
  return rank(policy, model, asked, quotesOf(asked, model, candidates, known ?? NOTHING_KNOWN, view.at));
}

/** Those that the mode leaves out, and those that could not serve it. */
function othersOf(by: Judge, task: Task, { leftOut, unfit }: Ranking): readonly Judged[] {
  const judgeOut = (isUnfit: boolean) => (out: LeftOut) => ({
    ...judge(by, task, out.quote),
    leftOut: out.why,
    isUnfit,
  });
  return [...leftOut.map(judgeOut(false)), ...unfit.map(judgeOut(true))];
}

/** A reload took the model while the request waited, or was tried: it is written down like any other end. */
export function modelGone(policy: Policy, task: Task, view: Balances): NoUpstream {
  const reason = `model ${task.model} is no longer in the policy`;
  const verdict = { rule: reason, chosen: undefined };
  const explanation = explain({ policy, model: task.model, view, candidates: [], verdict });
  return { kind: "no_upstream", reason, cause: "upstreams", explanation };
}
