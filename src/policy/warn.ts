// When an allowed request should be told that a budget runs low. Thresholds are shares of the limit.

import type { Balance } from "../metering/balance.ts";
import { add, formatUsd, type NanoUsd } from "../metering/money.ts";
import type { Demand } from "./claims.ts";
import type { Warning } from "./decision.ts";

/** At most one warning a budget: the highest threshold that this request reaches or finds reached. */
export function warningsOf(demand: Demand, balance: Balance): readonly Warning[] {
  const { budget, limit } = demand.coverage.ground;
  if (!demand.judges) return [];
  if (budget.onLimit === "ignore") return [];
  const used = add(balance.settled, balance.held, demand.amount);
  if (used > limit)
    return [{ budget: budget.id, text: `budget ${budget.id} is over its limit: ${state(used, limit)}` }];
  if (!reaches(used, limit, budget.warnAt)) return [];
  return [{ budget: budget.id, text: `budget ${budget.id} runs low: ${state(used, limit)}` }];
}

function state(used: NanoUsd, limit: NanoUsd): string {
  return `${formatUsd(used)} of ${formatUsd(limit)} USD used or held`;
}

/** Thresholds have at most six decimals that matter. */
function reaches(used: NanoUsd, limit: NanoUsd, share: number): boolean {
  return used * 1_000_000n >= limit * BigInt(Math.round(share * 1_000_000));
}
