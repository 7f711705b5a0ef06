// May it run, and where (MONEY §5). Pure and synchronous: it runs inside `admit`, on live balances, and
// nothing may come between its answer and the hold. Here what is known is gathered (judge.ts), chosen from
// (choose.ts) and put into the words and values of a decision.

import type { Balance } from "../metering/balance.ts";
import type { Instant } from "../metering/time.ts";
import type { Balances } from "./admission.ts";
import { type Choice, choose } from "./choose.ts";
import { claimsOf } from "./claims.ts";
import type { AccountKey, Decided, NoUpstream, Wait } from "./decision.ts";
import { cheaperThan, degradedBy } from "./degrade.ts";
import type { Known } from "./expect.ts";
import { alternativesOf, explain, type Judged, type Verdict } from "./explain.ts";
import { lastsFor } from "./hindrance.ts";
import { judge, warningsFor, wishOf } from "./judge.ts";
import { coveringAt } from "./match.ts";
import type { Model, Policy } from "./policy.ts";
import { type Candidate, type LeftOut, quotesOf, type Ranking, rank } from "./rank.ts";
import { decideStopped } from "./spending.ts";
import { stopped } from "./stopped.ts";
import type { Task } from "./task.ts";
import { degradeRule, slotReason, whyChosen, whyNone } from "./why.ts";

export interface Question {
  readonly policy: Policy;
  readonly model: Model;
  readonly task: Task;
  /** All upstreams of the model that are up, in the policy's order. */
  readonly candidates: readonly Candidate[];
  /** The model's fallback, where it has one, with those of its upstreams that are up. */
  readonly fallback?: { readonly model: Model; readonly candidates: readonly Candidate[] } | undefined;
  /** Ids of those that this request was tried at and that could not be reached. */
  readonly unreachable: readonly string[];
  /** What was learned of earlier requests, as it stands now. */
  readonly known: Known;
}

/** What is known of one model's candidates. */
interface Field {
  readonly ranking: Ranking;
  /** In rank order. */
  readonly ranked: readonly Judged[];
  /** These, then those that the mode leaves out, then those that could not serve it. */
  readonly all: readonly Judged[];
}

export function decide(question: Question, live: Balances): Decided {
  const view = lookedUpOnce(live);
  if (view.stopped === undefined) return decideOpen(question, view);
  return decideStopped(question, view, view.stopped, decideOpen);
}

/** Nothing moves while it decides, and each balance is looked at for every candidate that it covers. */
function lookedUpOnce(view: Balances): Balances {
  const known = new Map<AccountKey, { readonly start: Instant; readonly balance: Balance }>();
  const balance: Balances["balance"] = (account, start) => {
    const before = known.get(account);
    if (before?.start === start) return before.balance;
    const found = view.balance(account, start);
    known.set(account, { start, balance: found });
    return found;
  };
  return { ...view, balance };
}

function decideOpen(question: Question, view: Balances): Decided {
  const { policy, fallback } = question;
  const own = fieldOf(question, view);
  let others: Field | undefined;
  const cheaper = (than: Judged) => {
    if (fallback !== undefined) others ??= fieldOf(asFallback(question, fallback), view);
    return cheaperThan(than, policy.mode, own.all, others?.all ?? []);
  };
  const told = (verdict: Verdict) =>
    explain({ policy, view, candidates: own.all, fallbacks: others?.all ?? [], verdict });

  if (own.ranked.length === 0) {
    const reason = whyNone(question, own.ranking);
    const cause = own.ranking.isRequests && question.unreachable.length === 0 ? "request" : "upstreams";
    return { kind: "no_upstream", reason, cause, explanation: told({ rule: reason, chosen: undefined }) };
  }
  return decided({ question, own, view, told }, choose(policy.mode, own.ranked, cheaper));
}

/** A reload took the model while the request waited, or was tried: it is written down like any other end. */
export function modelGone(policy: Policy, task: Task, view: Balances): NoUpstream {
  const reason = `model ${task.model} is no longer in the policy`;
  const verdict = { rule: reason, chosen: undefined };
  const explanation = explain({ policy, view, candidates: [], fallbacks: [], verdict });
  return { kind: "no_upstream", reason, cause: "upstreams", explanation };
}

interface Deciding {
  readonly question: Question;
  readonly own: Field;
  readonly view: Balances;
  told(verdict: Verdict): Decided["explanation"];
}

function decided(deciding: Deciding, choice: Choice): Decided {
  switch (choice.kind) {
    case "takes":
      return forward(deciding, choice);
    case "waits":
      return slotWait(deciding, choice);
    case "stops":
      return stopped(
        {
          candidates: deciding.own.all,
          view: deciding.view,
          told: (rule) => deciding.told({ rule, chosen: undefined }),
        },
        choice,
      );
  }
}

function forward(
  { question, own, view, told }: Deciding,
  { one, isLastResort, degraded: led }: Extract<Choice, { kind: "takes" }>,
): Decided {
  const degraded = led && degradedBy(led.by, led.from, one);
  const why = isLastResort
    ? "all that may serve are ejected, and it is the first to be tried again"
    : whyChosen(question, own.ranking, own.ranked, one);
  const { mode } = question.policy;
  const rule =
    degraded === undefined
      ? `mode ${mode} chose ${one.quote.upstream.id}: ${why}`
      : degradeRule(degraded, isLastResort ? why : undefined);
  const cheaper = cheaperAlternatives(one, own);
  const warnings = warningsFor(one, view, cheaper);
  const isSoft = warnings.some(({ action }) => action === "soft_limit");
  return {
    kind: "forward",
    quote: one.quote,
    model: one.model,
    claims: claimsOf(one.demands),
    warnings,
    degraded,
    cheaper: isSoft ? cheaper : [],
    explanation: told({ rule, chosen: one, degraded }),
  };
}

function cheaperAlternatives({ quote }: Judged, { all }: Field) {
  return alternativesOf(all)
    .filter(({ estimate }) => estimate < quote.amount)
    .sort((a, b) => (a.estimate < b.estimate ? -1 : 1));
}

function slotWait(
  { question, told }: Deciding,
  { all, isLastResort, degraded: led }: Extract<Choice, { kind: "waits" }>,
): Wait {
  const lasting = all.map(({ quote }) => quote.hindrance && lastsFor(quote.hindrance));
  const least = (durations: readonly number[]) => Math.min(...durations) as Wait["notBefore"];
  const [first] = all;
  const degraded = led && first && degradedBy(led.by, led.from, first);
  const reason = slotReason(first?.model ?? question.model.id, all);
  const rule = degraded === undefined ? reason : `${degradeRule(degraded)}; ${reason}`;
  return {
    kind: "wait",
    upstreams: all.map(({ quote }) => quote.upstream.id),
    wishes: all.map(wishOf),
    money: undefined,
    isLastResort,
    notBefore: least(lasting.map((duration) => duration ?? 0)),
    retryAfter: least(all.map(({ quote }, index) => lasting[index] ?? quote.time)),
    reason,
    explanation: told({ rule, chosen: undefined }),
  };
}

function fieldOf({ policy, model, task, candidates, known }: Question, view: Balances): Field {
  const quotes = quotesOf(task, model, candidates, known, view.at);
  const ranking = rank(policy, model, task, quotes);
  const covering = coveringAt(policy, task);
  const ranked = ranking.quotes.map((quote) => judge(covering, task, quote, view));
  const judgeOut = (isUnfit: boolean) => (out: LeftOut) => ({
    ...judge(covering, task, out.quote, view),
    leftOut: out.why,
    isUnfit,
  });
  const all = [...ranked, ...ranking.leftOut.map(judgeOut(false)), ...ranking.unfit.map(judgeOut(true))];
  return { ranking, ranked, all };
}

/** Who asked for one provider or tier asked for it of the other model. */
function asFallback(question: Question, fallback: NonNullable<Question["fallback"]>): Question {
  const { policy, task, unreachable, known } = question;
  const asked = { ...task, model: fallback.model.id, provider: undefined, gpuTier: undefined };
  return { policy, ...fallback, task: asked, unreachable, known };
}
