// What a hold asks of each balance, in its unit: time and its money in every period that they touch, those
// not begun included; what is counted by the piece in the period of admission (MONEY §3).

import { type Balance, fits } from "../metering/balance.ts";
import { costCeil, type HourlyRate, type NanoUsd } from "../metering/money.ts";
import type { Period } from "../metering/period.ts";
import { minus, type Quantity, quantityOf, sum, type Unit } from "../metering/quantity.ts";
import { between, type DurationUs, earliest, type Instant, later } from "../metering/time.ts";
import type { AccountKey, Claim, Quote } from "./decision.ts";
import { type Coverage, enforcedLimit, isActive, periodFor } from "./match.ts";
import { isActing } from "./policy.ts";
import { NO_RELIEF, type ReliefOf, relieved } from "./relief.ts";
import type { Task } from "./task.ts";

/** What one request, or a further slice of it, asks for in every unit. */
export interface Need {
  readonly from: Instant;
  /** Its seconds, and the money of an hourly price: asked for in every moment of [from, from + time). */
  readonly time: DurationUs;
  readonly rate: HourlyRate | undefined;
  /** All of its money; asked for at once where there is no `rate`. */
  readonly amount: NanoUsd;
  readonly requests: number;
  readonly images: number;
  readonly tokens: number;
}

/** One covering budget, one period that the need touches. */
export interface Demand {
  readonly coverage: Coverage;
  readonly period: Period;
  readonly amount: Quantity;
  /** What adjustments have taken off the balance for this budget. */
  readonly relief: Quantity;
  /** Whether the budget judges then; outside its `from` and `until` it only counts. */
  readonly judges: boolean;
}

export function needOf(task: Task, quote: Quote, from: Instant): Need {
  const { price } = quote.upstream;
  const rate = price.kind === "hour" ? price.rate : undefined;
  const { span: time, hold: amount } = quote;
  const tokens = quote.tokens.input + quote.tokens.output;
  return { from, time, rate, amount, requests: 1, images: task.work.images, tokens };
}

/** More of a request that runs on: time, and what it costs. */
export function sliceNeed(from: Instant, time: DurationUs, amount: NanoUsd, rate?: HourlyRate): Need {
  return { from, time, rate, amount, requests: 0, images: 0, tokens: 0 };
}

export function demandsOn(coverage: Coverage, need: Need, reliefOf: ReliefOf = NO_RELIEF): readonly Demand[] {
  const { ground, account } = coverage;
  const first = periodFor(ground, need.from);
  const end = later(need.from, need.time);
  const spread = end <= first.end ? undefined : spreadOf(ground.unit, need);
  if (spread === undefined) {
    const amount = wholeOf(ground.unit, need);
    const relief = reliefOf(ground, account, first);
    return [{ coverage, period: first, amount, relief, judges: isActive(ground, need.from) }];
  }
  const demands: Demand[] = [];
  let at = need.from;
  while (at < end) {
    const period = periodFor(ground, at);
    const until = earliest(end, period.end);
    const amount = minus(spread(until), spread(at));
    const relief = reliefOf(ground, account, period);
    demands.push({ coverage, period, amount, relief, judges: isActive(ground, at) });
    at = until;
  }
  return demands;
}

function wholeOf(unit: Unit, need: Need): Quantity {
  switch (unit) {
    case "usd":
      return need.amount;
    case "seconds":
      return quantityOf(need.time);
    case "requests":
    case "images":
    case "tokens":
      return quantityOf(need[unit]);
  }
}

/**
 * What lies in the seconds up to an instant: slices by difference of running totals, so that they add up to
 * the whole, rounded up once. Undefined for what belongs to the period of admission (MONEY §3).
 */
function spreadOf(unit: Unit, { from, rate }: Need): ((to: Instant) => Quantity) | undefined {
  if (unit === "seconds") return (to) => quantityOf(between(from, to));
  if (unit === "usd" && rate !== undefined) return (to) => costCeil(rate, between(from, to));
  return undefined;
}

/** The balance as the budget sees it: beside what adjustments have taken off it. */
export function seenBy({ relief }: Demand, balance: Balance): Balance {
  return relieved(balance, relief);
}

/** Whether it fits an enforcing budget, as that sees the balance; one that only watches is always content. */
export function satisfied(demand: Demand, seen: Balance): boolean {
  const limit = demand.judges ? enforcedLimit(demand.coverage.ground) : undefined;
  return limit === undefined || fits(limit, seen, demand.amount);
}

/** Whether the action of its budget is due: there is not that much left, whatever it would do about it. */
export function isDue({ coverage, judges, amount }: Demand, seen: Balance): boolean {
  return judges && isActing(coverage.ground.budget) && !fits(coverage.ground.limit, seen, amount);
}

/** The demands of one hold as claims, one per balance and period, under the lowest enforcing limit. */
export function claimsOf(demands: readonly Demand[]): readonly Claim[] {
  const claims = new Map<string, Claim>();
  for (const demand of demands) {
    const { account } = demand.coverage;
    const key = claimKey(account, demand.period.start);
    const limit = lowest(claims.get(key)?.limit, refusesBeyond(demand));
    claims.set(key, { account, ...demand.period, amount: demand.amount, limit });
  }
  return [...claims.values()];
}

/** In terms of the balance itself, which knows no adjustment. */
function refusesBeyond({ coverage, judges, relief }: Demand): Quantity | undefined {
  const limit = judges ? enforcedLimit(coverage.ground) : undefined;
  return limit === undefined ? undefined : sum(limit, relief);
}

export function claimKey(account: AccountKey, start: Instant): string {
  return `${start}|${account}`;
}

function lowest(a: Quantity | undefined, b: Quantity | undefined): Quantity | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
