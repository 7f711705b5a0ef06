// Which budget stands in for a `per` balance of another one (MONEY §4): beside a `per: user` budget of 5 USD,
// one of 20 USD for ann alone is the only one that judges her.

import type { Unit } from "../metering/quantity.ts";
import type { Budget, Policy, Scope } from "./policy.ts";

/** What `other` counts instead of the `per` balances of `budget`: "user bob"; undefined where both count. */
export function replacementOf(other: Budget, budget: Budget): string | undefined {
  const per = perOf(budget);
  if (per === undefined || !budget.enabled) return undefined;
  for (const unit of budget.limits.keys()) {
    const value = replacedValue(other, budget, per, unit);
    if (value !== undefined) return `${per} ${value}`;
  }
  return undefined;
}

/** per_session and per_task are balances per session and per task that never turn. */
export function perOf(budget: Budget): Scope | undefined {
  if (budget.period === "per_session") return "session";
  if (budget.period === "per_task") return "task";
  return budget.per;
}

/** The values of `per` that other budgets of the policy stand in for. */
export function replacedValues(policy: Policy, budget: Budget, per: Scope, unit: Unit): ReadonlySet<string> {
  return new Set(policy.budgets.flatMap((other) => replacedValue(other, budget, per, unit) ?? []));
}

/**
 * The value of `per` that `other` counts instead of `budget`: its `when` is the same plus exactly that one
 * value, with the same period and unit (MONEY §4). A twin that only watches, or judges on other days, leaves
 * the limit where it is.
 */
function replacedValue(other: Budget, budget: Budget, per: Scope, unit: Unit): string | undefined {
  const own = other.when.get(per);
  const [value] = own ?? [];
  const isTwin = other.enabled && !other.shadow && other.per === undefined && other.limits.has(unit);
  if (!isTwin || own?.length !== 1 || budget.when.has(per)) return undefined;
  if (other.period !== budget.period || other.resetDay !== budget.resetDay) return undefined;
  if (other.from !== budget.from || other.until !== budget.until) return undefined;
  const rest = new Map([...other.when].filter(([scope]) => scope !== per));
  return sameScope(rest, budget.when) ? value : undefined;
}

function sameScope(a: Budget["when"], b: Budget["when"]): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([scope, values]) => {
    const others = b.get(scope);
    return others?.length === values.length && values.every((value) => others.includes(value));
  });
}
