// In which order a model's upstreams may serve, by mode. It judges no budget: decide.ts does, in this order.

import { estimate } from "../metering/quote.ts";
import { type DurationUs, seconds } from "../metering/time.ts";
import type { Quote } from "./decision.ts";
import type { Hindrance } from "./hindrance.ts";
import { whyUnfit } from "./hosted.ts";

import type { Model, Policy, Upstream } from "./policy.ts";
import type { Task } from "./task.ts";

/** How long a request is taken to run where neither the policy nor history says. */
export const UNLEARNED_TIME: DurationUs = seconds(30);
/** Tokens of one choice of a reply where the body names no maximum. */
const UNSAID_TOKENS = 1024;
const NO_TOKENS = { input: 0, output: 0 };
/** A token is about this many bytes of JSON text. */
const BYTES_PER_TOKEN = 4;

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
}

export function quoteOf(task: Task, model: Model, { upstream, inFlight, hindrance }: Candidate): Quote {
  const time = model.estimate ?? UNLEARNED_TIME;
  const { work } = task;
  const inputTokens = Math.ceil((work.bytes ?? 0) / BYTES_PER_TOKEN);
  const outputTokens = (work.maxTokens ?? UNSAID_TOKENS) * work.images;
  const expected = estimate(upstream.price, { images: work.images, inputTokens, outputTokens, time });
  // Whoever is asked for pictures counts no tokens.
  const isOfLanguage = upstream.price.kind === "tokens" || work.picture.kind === "none";
  const tokens = isOfLanguage ? { input: inputTokens, output: outputTokens } : NO_TOKENS;
  const rank = upstream.rankPerRequest ?? expected.amount;
  return { upstream, time, ...expected, tokens, rank, inFlight, hindrance };
}

export function rank(policy: Policy, model: Model, task: Task, quotes: readonly Quote[]): Ranking {
  const { quotes: fit, leftOut: unfit } = split(quotes, ({ upstream }) => whyUnfit(upstream, task.work));
  const ranked = byMode(policy, model, task, fit);
  const isNone = ranked.quotes.length === 0 && unfit.length > 0;
  return { ...ranked, unfit, isRequests: isNone && byMode(policy, model, task, quotes).quotes.length > 0 };
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
  // Array sort is stable: equal prices and loads keep the policy's order.
  const ordered = [...ranking.quotes].sort((a, b) => compare(a.rank, b.rank) || a.inFlight - b.inFlight);
  return { quotes: ordered, leftOut: ranking.leftOut };
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
