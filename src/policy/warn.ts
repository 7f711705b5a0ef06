// When an allowed request should be told that a budget runs low. Thresholds are shares of the limit.

import type { Balance } from "../metering/balance.ts";
import { type Quantity, sum, type Unit } from "../metering/quantity.ts";
import { formatNumber, formatQuantity } from "../metering/quantity-text.ts";
import type { Demand } from "./claims.ts";
import type { Warning } from "./decision.ts";

/** At most one warning a budget: the highest threshold that this request reaches or finds reached. */
export function warningsOf(demand: Demand, balance: Balance): readonly Warning[] {
  const { budget, unit, limit } = demand.coverage.ground;
  if (!demand.judges) return [];
  if (budget.onLimit === "ignore") return [];
  const used = sum(balance.settled, balance.held, demand.amount);
  if (used > limit)
    return [
      { budget: budget.id, text: `budget ${budget.id} is over its limit: ${state(unit, used, limit)}` },
    ];
  if (!reaches(used, limit, budget.warnAt)) return [];
  return [{ budget: budget.id, text: `budget ${budget.id} runs low: ${state(unit, used, limit)}` }];
}

function state(unit: Unit, used: Quantity, limit: Quantity): string {
  return `${formatNumber(unit, used)} of ${formatQuantity(unit, limit)} used or held`;
}

/** Thresholds have at most six decimals that matter. */
function reaches(used: Quantity, limit: Quantity, share: number): boolean {
  return used * 1_000_000n >= limit * BigInt(Math.round(share * 1_000_000));
}
