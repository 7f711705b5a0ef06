// A raise: for a while a budget's limit is higher, by somebody's word and for a reason. It is laid over the
// policy, so that whoever reads a limit reads the one in force; the policy file does not change. It never
// moves a balance: what a budget counts does not depend on its limit.

import { type Quantity, sum, type Unit } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import type { Budget, Policy } from "./policy.ts";

export interface Raise {
  readonly id: string;
  readonly budget: string;
  readonly unit: Unit;
  readonly amount: Quantity;
  readonly from: Instant;
  /** Not included: when somebody ended it before its time, that moment. */
  readonly until: Instant;
  readonly by: string;
  readonly reason: string;
}

/** From the moment that it was granted on: after a crash ledger time may be short of that by a second. */
export function isInForce({ until }: Raise, at: Instant): boolean {
  return at < until;
}

/** `raises`: those in force. The same policy where they raise nothing in it. */
export function withRaises(policy: Policy, raises: readonly Raise[]): Policy {
  const raised = new Set(raises.map(({ budget }) => budget));
  if (!policy.budgets.some(({ id }) => raised.has(id))) return policy;
  const budgets = policy.budgets.map((budget) => (raised.has(budget.id) ? higher(budget, raises) : budget));
  return Object.freeze({ ...policy, budgets });
}

function higher(budget: Budget, raises: readonly Raise[]): Budget {
  const limits = new Map(budget.limits);
  for (const { budget: id, unit, amount } of raises) {
    const limit = limits.get(unit);
    // A reload may have taken that limit away: then there is nothing to raise.
    if (id === budget.id && limit !== undefined) limits.set(unit, sum(limit, amount));
  }
  return Object.freeze({ ...budget, limits });
}
