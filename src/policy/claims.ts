// What a hold asks of each balance: the money of a stretch of time, in every period that the stretch
// touches, those not begun included (MONEY §3).

import { type Balance, fits } from "../metering/balance.ts";
import { costCeil, type HourlyRate, type NanoUsd, subtract } from "../metering/money.ts";
import type { Period } from "../metering/period.ts";
import { between, type DurationUs, earliest, type Instant, later } from "../metering/time.ts";
import type { AccountKey, Claim } from "./decision.ts";
import { type Coverage, enforcedLimit, isActive, periodFor } from "./match.ts";

/** What is asked for: `amount` at once, or `rate` for every moment of [from, from + time). */
export interface Need {
  readonly from: Instant;
  /** 0 where the price does not depend on time. */
  readonly time: DurationUs;
  readonly amount: NanoUsd;
  readonly rate: HourlyRate | undefined;
}

/** One covering budget, one period that the need touches. */
export interface Demand {
  readonly coverage: Coverage;
  readonly period: Period;
  readonly amount: NanoUsd;
  /** Whether the budget judges then; outside its `from` and `until` it only counts. */
  readonly judges: boolean;
}

export function demandsOn(coverage: Coverage, need: Need): readonly Demand[] {
  const first = periodFor(coverage.ground, need.from);
  const end = later(need.from, need.time);
  const judges = (at: Instant) => isActive(coverage.ground, at);
  if (need.rate === undefined || end <= first.end) {
    return [{ coverage, period: first, amount: need.amount, judges: judges(need.from) }];
  }
  const demands: Demand[] = [];
  let at = need.from;
  while (at < end) {
    const period = periodFor(coverage.ground, at);
    const until = earliest(end, period.end);
    const amount = slice(need, need.rate, at, until);
    demands.push({ coverage, period, amount, judges: judges(at) });
    at = until;
  }
  return demands;
}

/** Slices by difference of running totals: they add up to the whole, rounded up once. */
function slice(need: Need, rate: HourlyRate, from: Instant, to: Instant): NanoUsd {
  return subtract(costCeil(rate, between(need.from, to)), costCeil(rate, between(need.from, from)));
}

/** Whether it fits an enforcing budget; one that only watches is always content. */
export function satisfied(demand: Demand, balance: Balance): boolean {
  const limit = refusesBeyond(demand);
  return limit === undefined || fits(limit, balance, demand.amount);
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

function refusesBeyond({ coverage, judges }: Demand): NanoUsd | undefined {
  return judges ? enforcedLimit(coverage.ground) : undefined;
}

export function claimKey(account: AccountKey, start: Instant): string {
  return `${start}|${account}`;
}

function lowest(a: NanoUsd | undefined, b: NanoUsd | undefined): NanoUsd | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
