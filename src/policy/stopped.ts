// What is decided where a budget lets nothing through: a refusal, or a wait for its money. It is told which
// budget that is, and what it does.

import type { Balances } from "./admission.ts";
import type { Stopped } from "./choose.ts";
import type { Demand } from "./claims.ts";
import type { Breach, Decided, MoneyWait, Wish } from "./decision.ts";
import { alternativesOf, type Judged } from "./explain.ts";
import {
  balanceOf,
  isHopeless,
  isHopelessTarget,
  lastActionOf,
  sharedOf,
  strictest,
  targetWish,
  wishOf,
} from "./judge.ts";
import { hasClaim } from "./money-wait.ts";
import { refusalRule, waitRule } from "./why.ts";

/** All that was judged, and how it is explained. */
export interface Deciding {
  readonly candidates: readonly Judged[];
  readonly view: Balances;
  readonly told: (rule: string) => Decided["explanation"];
}

export function stopped(deciding: Deciding, { action, by, all, targets }: Stopped): Decided {
  const { candidates, view, told } = deciding;
  const breach = breachOf(by, view, candidates);
  if (action === "block") return { kind: "refuse", breach, explanation: told(refusalRule(by)) };
  const cheaper = targets.filter((one) => !isHopelessTarget(one)).map(targetWish);
  const wishes = [...wishesOf(all, by), ...cheaper];
  if (wishes.length === 0) return { kind: "refuse", breach, explanation: told(refusalRule(by, "hopeless")) };
  const isParked = wishes.every((wish) => !hasClaim(wish, view));
  const { account } = by.coverage;
  const { start } = by.period;
  const reason = waitRule(by, isParked, view.claimed?.(account, start).requests ?? 0);
  const { maxWait } = by.coverage.ground.budget;
  const money: MoneyWait = { breach, isParked, account, start, by, maxWait };
  return {
    kind: "wait",
    upstreams: [],
    wishes,
    money,
    isLastResort: false,
    notBefore: NO_TIME,
    retryAfter: all[0]?.quote.time ?? NO_TIME,
    reason,
    explanation: told(reason),
  };
}

const NO_TIME = 0 as MoneyWait["maxWait"];

/**
 * Of those that nothing stricter keeps out; if there are none, what `by` itself is asked for. More than the
 * limit will never be there: nobody waits for that (MONEY §6).
 */
function wishesOf(all: readonly Judged[], by: Demand): readonly Wish[] {
  const waiting = all.filter(({ unmet }) => {
    const worst = strictest(unmet, lastActionOf);
    return worst !== undefined && lastActionOf(worst) === "queue";
  });
  if (waiting.length > 0) return waiting.filter((one) => !isHopeless(one)).map(wishOf);
  const asking = all.filter(({ unmet }) => unmet.includes(by));
  const asked = asking.map((one) => ({ ...one, demands: sharedOf(one.unmet) }));
  return asked.filter((one) => !isHopeless(one)).map(wishOf);
}

function breachOf(demand: Demand, view: Balances, candidates: readonly Judged[]): Breach {
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
    alternatives: alternativesOf(candidates),
  };
}
