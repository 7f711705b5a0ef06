// Turns what `decide` looked at into the explanation that is kept with the request. It decides nothing.

import type { Balance } from "../metering/balance.ts";
import { formatUsd, subtract } from "../metering/money.ts";
import type { Price, PriceSource } from "../metering/price.ts";
import { FOREVER } from "../metering/time.ts";
import type { Balances } from "./admission.ts";
import { type Demand, seenBy } from "./claims.ts";
import type {
  Alternative,
  BudgetExplanation,
  CandidateExplanation,
  Degraded,
  Explanation,
  Quote,
  StartExplanation,
} from "./decision.ts";
import { describeSource as describeExpected } from "./expect.ts";
import { hindranceText } from "./hindrance.ts";
import { marginalOf } from "./marginal.ts";
import type { Policy } from "./policy.ts";
import { besides, type Cold } from "./rank.ts";

/** A candidate, what its budgets are asked for, and which of them cannot give it. */
export interface Judged {
  /** Id of the model that it would serve: the one asked for, or its fallback. */
  readonly model: string;
  readonly quote: Quote;
  readonly demands: readonly Demand[];
  readonly unmet: readonly Demand[];
  /** Why it is not offered. */
  readonly leftOut: string | undefined;
  /** Whether it could not serve this request, whatever mode and budgets say. */
  readonly isUnfit: boolean;
}

export interface Verdict {
  readonly rule: string;
  readonly chosen: Judged | undefined;
  readonly degraded?: Degraded | undefined;
}

interface Seen {
  readonly policy: Policy;
  readonly view: Balances;
  readonly candidates: readonly Judged[];
  /** Of the fallback model, where a budget asked for something cheaper. */
  readonly fallbacks: readonly Judged[];
  readonly verdict: Verdict;
}

export function explain({ policy, view, candidates, fallbacks, verdict }: Seen): Explanation {
  return {
    at: view.at,
    mode: policy.mode,
    policy: policy.digest,
    chosen: verdict.chosen?.quote.upstream.id,
    rule: verdict.rule,
    alternatives: alternativesOf(candidates),
    candidates: [
      ...candidates.map((one) => explainCandidate(one, view, verdict.chosen)),
      ...fallbacks.map((one) => ({ ...explainCandidate(one, view, verdict.chosen), model: one.model })),
    ],
    ...(verdict.degraded && { degraded: verdict.degraded }),
  };
}

/** Every candidate whose budgets would have let it through, also those that the mode leaves out. */
export function alternativesOf(candidates: readonly Judged[]): readonly Alternative[] {
  return candidates
    .filter((one) => one.unmet.length === 0 && !one.isUnfit)
    .map(({ quote }) => ({
      upstream: quote.upstream.id,
      provider: quote.upstream.provider,
      estimate: quote.amount,
    }));
}

function explainCandidate(one: Judged, view: Balances, chosen: Judged | undefined): CandidateExplanation {
  const { quote } = one;
  const [unmet] = one.unmet;
  // A budget may let one pass that it does not fit, and as the last resort one is chosen that is ejected.
  const isChosen = quote === chosen?.quote;
  const tooDear =
    unmet === undefined || isChosen ? undefined : `budget ${unmet.coverage.ground.budget.id} does not fit`;
  const hindrance = isChosen ? undefined : quote.hindrance;
  const hindered = hindrance && hindranceText(hindrance);
  return {
    upstream: quote.upstream.id,
    provider: quote.upstream.provider,
    estimate: quote.amount,
    hold: quote.hold,
    rank: quote.rank,
    marginal: marginalOf(quote),
    ...(quote.cold && { start: explainStart(quote, quote.cold) }),
    ...(quote.success && { success: quote.success }),
    time: quote.time,
    timeSource: describeTime(quote),
    inFlight: quote.inFlight,
    price: describePrice(quote.upstream.price),
    leftOut: (isChosen ? undefined : one.leftOut) ?? tooDear ?? hindered,
    budgets: one.demands
      .filter(({ judges }) => judges)
      .map((demand) => {
        const { coverage, period } = demand;
        return explainBudget(demand, seenBy(demand, view.balance(coverage.account, period.start)));
      }),
  };
}

function explainStart({ upstream }: Quote, cold: Cold): StartExplanation {
  const start = { startUp: cold.startUp, unbilled: 0 as Cold["unbilled"] };
  const amount = besides({ upstream, cold: start });
  return { time: cold.startUp, amount, minimum: subtract(besides({ upstream, cold }), amount) };
}

/** "the policy's estimate", and where it stands because of that. */
function describeTime({ source, standing }: Quote): string {
  const told = describeExpected(source);
  if (standing === "tried") return `${told}; ranked by the fastest known time, to learn its own`;
  if (standing === "last") return `${told}; behind those whose time is known`;
  return told;
}

/** By the balance as the budget sees it; `fits`: what is asked for is left, whatever its action. */
export function explainBudget(demand: Demand, { settled, held }: Balance): BudgetExplanation {
  const { budget, unit, limit } = demand.coverage.ground;
  return {
    budget: budget.id,
    action: budget.onLimit,
    unit,
    limit,
    settled,
    held,
    needed: demand.amount,
    fits: demand.amount === 0n || settled + held + demand.amount <= limit,
    shadow: budget.shadow,
    resets: demand.period.end === FOREVER ? undefined : demand.period.end,
  };
}

/** A price is told with every decision. */
const described = new WeakMap<Price, string>();

/** "1.006 USD/h, rate card aws/us-east-1/g5.xlarge of 2026-07-20" */
export function describePrice(price: Price): string {
  const known = described.get(price);
  if (known !== undefined) return known;
  const text = `${describeAmount(price)}, ${describeSource(price.source)}`;
  described.set(price, text);
  return text;
}

function describeAmount(price: Price): string {
  switch (price.kind) {
    case "hour":
      return `${formatUsd(price.rate)} USD/h${licenceText(price)}`;
    case "request":
      return `${formatUsd(price.amount)} USD per request`;
    case "image":
      return `${formatUsd(price.amount)} USD per image`;
    case "tokens":
      return `${formatUsd(price.input)} in, ${formatUsd(price.output)} out USD per million tokens`;
  }
}

/** "" where there is none. */
export function licenceText({ licence }: Extract<Price, { kind: "hour" }>): string {
  return licence === undefined ? "" : ` (${formatUsd(licence)} of it licence)`;
}

function rateText({ rate, rateKind }: { readonly rate: string; readonly rateKind?: string }): string {
  return rateKind === undefined ? rate : `${rate} (${rateKind})`;
}

export function describeSource(source: PriceSource): string {
  switch (source.kind) {
    case "policy":
      return "from the policy";
    case "live":
      return `live ${rateText(source)} of ${source.asOf}`;
    case "rate_card":
      return `rate card ${rateText(source)} of ${source.asOf}`;
    case "estimate":
      return `an estimate: ${source.why}`;
  }
}
