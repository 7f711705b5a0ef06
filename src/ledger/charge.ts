// What an ended request is charged, in parts that each lie in one quarter-hour (MONEY §2, §3, §9).

import {
  add,
  costCeil,
  type NanoUsd,
  perMillion,
  smaller,
  subtract,
  times,
  ZERO_USD,
} from "../metering/money.ts";
import { cutAtQuarters, type Part } from "../metering/part.ts";
import { Posted } from "../metering/posted.ts";
import { MOST_HOLD } from "../metering/quote.ts";
import {
  between,
  type DurationUs,
  earliest,
  type Instant,
  later,
  latest,
  QUARTER_HOUR,
  quarterHourOf,
} from "../metering/time.ts";
import type { Ending } from "../policy/admission.ts";
import type { OpenHold } from "./held.ts";

export interface Charge {
  /** Those that are not posted yet: of one that was posted by slice the rest. */
  readonly parts: readonly Part[];
  /** All of it, posted before or not. */
  readonly charged: NanoUsd;
  /** Of work: start-up that it waited for aside. */
  readonly elapsed: DurationUs;
  /** What it used beyond its hold, where that caps it: its container's own. */
  readonly unheld: readonly Part[];
}

/** `capped`: at most what was held, because a budget that covers it promised so (`overrun: cut`). */
export function chargeOf(hold: OpenHold, ending: Ending, capped: boolean): Charge {
  const all = hold.parts.length > 0 ? hold.parts : unitParts(hold, ending);
  const parts = capped ? cap(all, hold) : all;
  const rest = hold.posted.rest(parts);
  const whole = new Posted(rest);
  const charged = add(hold.posted.amount, whole.amount);
  const elapsed = (hold.posted.elapsed + whole.elapsed) as DurationUs;
  return { parts: rest, charged, elapsed, unheld: beyond(all, parts) };
}

/** Of a request that runs on: `share` is what it has taken of a lease, undefined where it shares none. */
export function usedSoFar(hold: OpenHold, share: readonly Part[] | undefined, at: Instant): readonly Part[] {
  const began = hold.began ?? at;
  return cap(share ?? cutAtQuarters("request", began, latest(began, at), () => 0n), hold);
}

function beyond(all: readonly Part[], charged: readonly Part[]): readonly Part[] {
  return all.flatMap((part, index): readonly Part[] => {
    const paid = charged[index] ?? part;
    const amount = subtract(part.amount, paid.amount);
    const elapsed = (part.elapsed - paid.elapsed) as DurationUs;
    return amount === 0n ? [] : [{ kind: "idle", at: part.at, elapsed, amount }];
  });
}

/** The amount belongs to the period of admission (MONEY §3), the seconds to where they lie. */
function unitParts(hold: OpenHold, ending: Ending): readonly Part[] {
  const { price, at } = hold.row;
  // One that only waited for a start has made nothing.
  const isSent = hold.began !== undefined;
  const amount = price.kind === "hour" || !isSent ? ZERO_USD : unitAmount(hold, ending);
  const began = hold.began ?? at;
  const times = cutAtQuarters("request", began, hold.stopped ?? began, () => 0n);
  const [first, ...others] = times;
  const isTogether = first !== undefined && quarterHourOf(first.at) === quarterHourOf(at);
  if (isTogether) return [{ ...first, at, amount }, ...others];
  return [{ kind: "request", at, elapsed: 0 as DurationUs, amount }, ...times];
}

/**
 * Sent is charged, whatever came of it, but for images and tokens that the upstream itself refused: a reply
 * other than 2xx made none (MONEY §9), but a tunnel's 101 did. Tokens that nobody counted are charged as
 * held.
 */
function unitAmount(hold: OpenHold, ending: Ending): NanoUsd {
  const { price } = hold.row;
  const { status } = ending;
  const isMade = status === undefined || status === SWITCHED || (status >= 200 && status < 300);
  switch (price.kind) {
    case "image":
      return isMade ? imagesAmount(hold, price.amount, ending) : ZERO_USD;
    case "tokens":
      if (!isMade) return ZERO_USD;
      if (ending.tokens === undefined) return hold.amount;
      return smaller(
        add(perMillion(price.input, ending.tokens.input), perMillion(price.output, ending.tokens.output)),
        MOST_HOLD,
      );
    default:
      return hold.amount;
  }
}

/** What was held is for as many as were seen then. */
function imagesAmount({ amount, row }: OpenHold, each: NanoUsd, { images = 0 }: Ending): NanoUsd {
  if (images <= row.images) return amount;
  return smaller(times(each, images), MOST_HOLD);
}

/** Of a tunnel that was opened. What flowed through it nobody counted. */
const SWITCHED = 101;

/**
 * Each quarter-hour's parts up to what was held for its seconds; what comes later is the container's. By
 * quarters, because any period is a sum of them: a cut that comes late takes nothing of the next day.
 */
function cap(parts: readonly Part[], hold: OpenHold): readonly Part[] {
  const left = new Map<Instant, Held>();
  return parts.map((part) => {
    const quarter = quarterHourOf(part.at);
    const most = left.get(quarter) ?? heldIn(quarter, hold);
    const amount = smaller(part.amount, most.amount);
    const elapsed = Math.min(part.elapsed, most.time) as DurationUs;
    left.set(quarter, {
      amount: subtract(most.amount, amount),
      time: (most.time - elapsed) as DurationUs,
    });
    return { ...part, amount, elapsed };
  });
}

interface Held {
  readonly amount: NanoUsd;
  readonly time: DurationUs;
}

/**
 * As slices are held: by difference of running totals from the start of the hold. Of one that was rebased,
 * from then on, at the price since then, beside its share of the time before.
 */
function heldIn(quarter: Instant, hold: OpenHold): Held {
  const { amount, horizon, price, rebased } = hold;
  const { at } = hold.row;
  const until = (to: Instant) => between(at, latest(at, earliest(to, horizon)));
  const [from, to] = [until(quarter), until(later(quarter, QUARTER_HOUR))];
  const time = (to - from) as DurationUs;
  if (price.kind !== "hour") return { time, amount: quarter === quarterHourOf(at) ? amount : ZERO_USD };
  const alone = rebased === undefined ? from : Math.min(to, Math.max(from, until(rebased.at)));
  const share = (rebased?.share ?? []).filter((part) => quarterHourOf(part.at) === quarter);
  const rest = subtract(costCeil(price.rate, to), costCeil(price.rate, alone as DurationUs));
  return { time, amount: add(rest, ...share.map((part) => part.amount)) };
}
