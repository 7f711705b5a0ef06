// In which order a model's upstreams may serve, by mode. It judges no budget: decide.ts does, in this order.

import { add, costCeil, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import { isFree } from "../metering/price.ts";
import { estimate } from "../metering/quote.ts";
import { perSuccess } from "../metering/success-share.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { Quote } from "./decision.ts";
import { Expectations, type Known, NOTHING_KNOWN, promptTokens } from "./expect.ts";
import type { Hindrance } from "./hindrance.ts";
import { whyUnfit } from "./hosted.ts";
import type { Model, Policy, Upstream } from "./policy.ts";
import type { Task } from "./task.ts";

/** Tokens of one choice of a reply where the body names no maximum. */
const UNSAID_TOKENS = 1024;
const NO_TOKENS = { input: 0, output: 0 };

export interface Ranking {
  /** Best first. */
  readonly quotes: readonly Quote[];
  /** By the mode. */
  readonly leftOut: readonly LeftOut[];
  /** Could not serve this request, whatever the mode. */
  readonly unfit: readonly LeftOut[];
  /** Whether the mode would have offered one of them, and offers no other: the request is what to change. */
  readonly isRequests: boolean;
}

export interface LeftOut {
  readonly quote: Quote;
  readonly why: string;
}

type Split = Pick<Ranking, "quotes" | "leftOut">;

/** An upstream that could serve this model, with how many of our requests run there. */
export interface Candidate {
  readonly upstream: Upstream;
  readonly inFlight: number;
  /** Absent: it can take a request now. */
  readonly hindrance?: Hindrance | undefined;
  /** Why it can serve nobody until somebody does something; absent where it can. */
  readonly down?: string | undefined;
  /** That passes by itself. */
  readonly isForNow?: boolean | undefined;
  /** Absent: it is up. */
  readonly cold?: Cold | undefined;
}

/** A container that would have to be started for this request. */
export interface Cold {
  /** How long that takes, expected. */
  readonly startUp: DurationUs;
  /** What its machine bills at least beyond the start: of a quote, beyond the work too. */
  readonly unbilled: DurationUs;
}

export function quoteOf(task: Task, model: Model, candidate: Candidate): Quote {
  return quotesOf(task, model, [candidate], NOTHING_KNOWN, task.at)[0] as Quote;
}

/** In the order of the candidates; `at` is now. */
export function quotesOf(
  task: Task,
  model: Model,
  candidates: readonly Candidate[],
  known: Known,
  at: Instant,
): readonly Quote[] {
  const { work } = task;
  const expectations = new Expectations(task, model, known, at);
  const amounts = {
    images: work.images,
    inputTokens: promptTokens(work),
    outputTokens: (work.maxTokens ?? UNSAID_TOKENS) * work.images,
  };
  const counted = { input: amounts.inputTokens, output: amounts.outputTokens };
  return candidates.map((candidate) => {
    const { upstream, inFlight, hindrance, down } = candidate;
    const expected = expectations.at(upstream);
    const { time, most } = expected;
    const cold = candidate.cold && beyondWork(candidate.cold, time);
    const due = estimate(upstream.price, { ...amounts, time, most: heldFor(most, { upstream, cold }) });
    // Whoever is asked for pictures counts no tokens.
    const isOfLanguage = upstream.price.kind === "tokens" || work.picture.kind === "none";
    const tokens = isOfLanguage ? counted : NO_TOKENS;
    const success = known.success?.(upstream.id, at);
    const ranked = (amount: NanoUsd) =>
      perSuccess(upstream.rankPerRequest ?? add(amount, besides({ upstream, cold })), success);
    const fastest = isGuessed(upstream, expected.source.kind) ? expectations.fastest : undefined;
    const untried =
      fastest === undefined
        ? undefined
        : {
            asFastest: ranked(estimate(upstream.price, { ...amounts, time: fastest }).amount),
            mayTry: expectations.mayTry(upstream),
          };
    const rank = ranked(due.amount);
    return { upstream, ...expected, ...due, tokens, rank, inFlight, hindrance, down, cold, success, untried };
  });
}

/** Whether its place in the order hangs on a time that was not learned. */
function isGuessed({ price, rankPerRequest }: Upstream, source: Quote["source"]["kind"]): boolean {
  return source !== "learned" && price.kind === "hour" && !isFree(price) && rankPerRequest === undefined;
}

/** Who waits for a start holds that too, at the full price, and what its machine bills at least. */
function heldFor(most: DurationUs, { upstream: { price }, cold }: Starting): DurationUs {
  if (cold === undefined || price.kind !== "hour") return most;
  return (most + cold.startUp + cold.unbilled) as DurationUs;
}

type Starting = Pick<Quote, "upstream" | "cold">;

function beyondWork({ startUp, unbilled }: Cold, work: DurationUs): Cold {
  return { startUp, unbilled: Math.max(0, unbilled - work) as DurationUs };
}

/** What choosing it costs beside the work: its start, and what its machine bills at least (MONEY §5). */
export function besides({ upstream: { price }, cold }: Starting): NanoUsd {
  if (cold === undefined || price.kind !== "hour") return ZERO_USD;
  return costCeil(price.rate, (cold.startUp + cold.unbilled) as DurationUs);
}

export function rank(policy: Policy, model: Model, task: Task, quotes: readonly Quote[]): Ranking {
  const { quotes: fit, leftOut: unfit } = split(
    quotes,
    ({ upstream, down }) => down ?? whyUnfit(upstream, task.work),
  );
  const ranked = byMode(policy, model, task, fit);
  const isNone = ranked.quotes.length === 0 && unfit.length > 0;
  // Another request would not find those that are down either.
  const others = quotes.filter(({ down }) => down === undefined);
  return { ...ranked, unfit, isRequests: isNone && byMode(policy, model, task, others).quotes.length > 0 };
}

function byMode(policy: Policy, model: Model, task: Task, quotes: readonly Quote[]): Split {
  switch (policy.mode) {
    case "manual":
      return manual(model, task, quotes);
    case "local":
      return split(quotes, (quote) =>
        quote.upstream.provider === "local" ? undefined : "mode local uses local upstreams only",
      );
    case "lowest_price":
      return cheapestFirst(policy, quotes);
  }
}

function cheapestFirst(policy: Policy, quotes: readonly Quote[]): Split {
  const ranking = split(quotes, (quote) =>
    quote.upstream.provider === "local" && !policy.lowestPrice.includeLocal
      ? "lowest_price leaves local upstreams out (lowest_price.include_local is false)"
      : undefined,
  );
  return { quotes: inOrder(policy, ranking.quotes), leftOut: ranking.leftOut };
}

/**
 * Where the time of like work is known of some, one of which it is not ranks as if it were as fast as
 * the fastest that is known anywhere, and is tried so now and then. In between it stands behind those
 * that are known (MONEY §5); with `explore: false` it ranks by what the policy says of it.
 */
function inOrder({ lowestPrice }: Policy, quotes: readonly Quote[]): readonly Quote[] {
  if (!lowestPrice.explore || quotes.every(({ untried }) => untried === undefined)) {
    return [...quotes].sort(byPrice);
  }
  const ranked = quotes.map((quote) =>
    quote.untried === undefined ? quote : { ...quote, rank: quote.untried.asFastest },
  );
  ranked.sort(byPrice);
  const lastKnown = ranked.findLastIndex(({ untried }) => untried === undefined);
  if (lastKnown < 0) return ranked;
  const placed = ranked.map((quote, index): Quote => {
    if (quote.untried === undefined) return quote;
    return { ...quote, standing: quote.untried.mayTry && index < lastKnown ? "tried" : "last" };
  });
  return [...placed.filter(({ standing }) => standing !== "last"), ...placed.filter(isLast)];
}

function isLast({ standing }: Quote): boolean {
  return standing === "last";
}

/** Array sort is stable: where all is equal, the policy's order stays. */
function byPrice(a: Quote, b: Quote): number {
  const warmFirst = Number(a.cold !== undefined) - Number(b.cold !== undefined);
  return compare(a.rank, b.rank) || warmFirst || a.inFlight - b.inFlight;
}

function manual(model: Model, task: Task, quotes: readonly Quote[]): Split {
  if (task.provider !== undefined || task.gpuTier !== undefined) {
    const asked = [task.provider, task.gpuTier].filter((word) => word !== undefined).join(" ");
    const ranking = split(quotes, ({ upstream }) =>
      (task.provider ?? upstream.provider) === upstream.provider &&
      (task.gpuTier ?? upstream.gpuTier) === upstream.gpuTier
        ? undefined
        : `the request asks for ${asked}`,
    );
    const [first, ...others] = ranking.quotes;
    const further = others.map((quote) => ({ quote, why: "manual mode takes the first that was asked for" }));
    return { quotes: first === undefined ? [] : [first], leftOut: [...further, ...ranking.leftOut] };
  }
  const chosen = model.manual ?? quotes[0]?.upstream.id;
  return split(quotes, (quote) =>
    quote.upstream.id === chosen ? undefined : `manual mode uses ${chosen} for ${model.id}`,
  );
}

function split(quotes: readonly Quote[], why: (quote: Quote) => string | undefined): Split {
  const kept: Quote[] = [];
  const leftOut: LeftOut[] = [];
  for (const quote of quotes) {
    const reason = why(quote);
    if (reason === undefined) kept.push(quote);
    else leftOut.push({ quote, why: reason });
  }
  return { quotes: kept, leftOut };
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
