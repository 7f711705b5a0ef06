// What is left of a decision while all spending is stopped: free candidates may serve, nothing else may. It
// is part of `decide`, on the same view, so that nothing paid is admitted once the switch was acknowledged.
// It knows no ledger and no words for a client.
//
// In lowest_price a paid candidate drops out, as one does whose budget is spent; in manual and local the one
// whose turn it is is the outcome, as with budgets (MONEY §5).

import { isFree } from "../metering/price.ts";
import type { Instant } from "../metering/time.ts";
import type { Balances } from "./admission.ts";
import type { CandidateExplanation, Decided, Explanation, Stopped } from "./decision.ts";
import type { Policy, Upstream } from "./policy.ts";
import type { Candidate } from "./rank.ts";

/** Who stopped all spending, and when. */
export interface SpendingStop {
  readonly by: string;
  readonly at: Instant;
}

/** What of a question matters here: policy/decide.ts has the whole of it. */
interface Asked {
  readonly policy: Policy;
  readonly candidates: readonly Candidate[];
}

/** `open` decides as if nothing were stopped; it is pure, so that it can be asked twice. */
export function decideStopped<Q extends Asked>(
  question: Q,
  view: Balances,
  stop: SpendingStop,
  open: (question: Q, view: Balances) => Decided,
): Decided {
  const decided = open(question, view);
  if (!spends(decided, question)) return decided;
  const free = question.candidates.filter(({ upstream }) => isFree(upstream.price));
  if (question.policy.mode === "lowest_price" && free.length > 0) {
    const onlyFree = { ...question, candidates: free };
    const again = open(onlyFree, view);
    const isServed = again.kind === "forward" || again.kind === "wait";
    if (isServed && !spends(again, onlyFree)) {
      return { ...again, explanation: withPaid(again.explanation, decided.explanation, question.policy) };
    }
  }
  return refused(decided.explanation, question.policy, stop);
}

/** Whether it would send, or wait to send, to somebody who is paid. */
function spends(decided: Decided, { policy: { upstreams }, candidates }: Asked): boolean {
  switch (decided.kind) {
    case "forward":
      return !isFree(decided.quote.upstream.price);
    case "wait":
      if (decided.money !== undefined) return candidates.some(({ upstream }) => isPaid(upstream));
      return decided.upstreams.some((id) => isPaid(upstreams.get(id)));
    default:
      return false;
  }
}

function isPaid(upstream: Upstream | undefined): boolean {
  return upstream === undefined || !isFree(upstream.price);
}

function refused(explanation: Explanation, policy: Policy, stop: SpendingStop): Stopped {
  const alternatives = explanation.alternatives.filter(
    ({ upstream }) => !isPaid(policy.upstreams.get(upstream)),
  );
  const candidates = explanation.candidates.map((one) => leftOut(one, policy));
  const rule = `all spending is stopped by ${stop.by}, and this would cost money`;
  return {
    kind: "stopped",
    stop,
    timezone: policy.timezone,
    alternatives,
    explanation: { ...explanation, rule, chosen: undefined, candidates, alternatives },
  };
}

/** Those that were not asked the second time, behind those that were. */
function withPaid(free: Explanation, all: Explanation, policy: Policy): Explanation {
  const paid = all.candidates.filter(({ upstream }) => isPaid(policy.upstreams.get(upstream)));
  return { ...free, candidates: [...free.candidates, ...paid.map((one) => leftOut(one, policy))] };
}

function leftOut(one: CandidateExplanation, policy: Policy): CandidateExplanation {
  if (!isPaid(policy.upstreams.get(one.upstream))) return one;
  return { ...one, leftOut: one.leftOut ?? "all spending is stopped" };
}
