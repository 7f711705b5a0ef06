// When an allowed request should be told that a budget runs low. Thresholds are shares of the limit.

import type { Balance } from "../metering/balance.ts";
import { formatUsd } from "../metering/money.ts";
import { type Quantity, sum, type Unit } from "../metering/quantity.ts";
import { formatNumber, formatQuantity } from "../metering/quantity-text.ts";
import type { Demand } from "./claims.ts";
import type { Alternative, Warning } from "./decision.ts";

/**
 * At most one warning a budget: the highest threshold that this request reaches or finds reached. A soft
 * limit names what is `cheaper`, from `critical_at` on.
 */
export function warningsOf(
  demand: Demand,
  balance: Balance,
  cheaper: readonly Alternative[] = [],
): readonly Warning[] {
  const { budget, unit, limit } = demand.coverage.ground;
  if (!demand.judges) return [];
  if (budget.onLimit === "ignore") return [];
  const used = sum(balance.settled, balance.held, demand.amount);
  // Of a limit of 0 nothing is used before something is.
  if (used === 0n || (!reaches(used, limit, budget.warnAt) && used <= limit)) return [];
  const what = used > limit ? "is over its limit" : "runs low";
  const isSoft = budget.onLimit === "soft_limit" && (used > limit || reaches(used, limit, budget.criticalAt));
  const hint = isSoft && cheaper.length > 0 ? `; cheaper: ${cheaper.map(nameOf).join(", ")}` : "";
  const kind = budget.shadow ? "shadow budget" : "budget";
  const text = `${kind} ${budget.id} ${what}: ${state(unit, used, limit)}${hint}`;
  return [{ budget: budget.id, action: isSoft ? "soft_limit" : "warn", text }];
}

function nameOf({ upstream, estimate }: Alternative): string {
  return `${upstream} (${formatUsd(estimate)} USD)`;
}

function state(unit: Unit, used: Quantity, limit: Quantity): string {
  return `${formatNumber(unit, used)} of ${formatQuantity(unit, limit)} used or held`;
}

/** Thresholds have at most six decimals that matter. */
export function reaches(used: Quantity, limit: Quantity, share: number): boolean {
  return used * 1_000_000n >= limit * BigInt(Math.round(share * 1_000_000));
}
