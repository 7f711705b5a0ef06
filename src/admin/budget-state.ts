// How a budget stands, as the rest of the house tells it: what `status`, /metrics and the dashboard show.

import type { Period } from "../metering/period.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import type { Budget } from "../policy/policy.ts";

/** One balance: a budget's in one unit, or that of one value of a `per` budget. */
export interface BudgetState {
  readonly budget: Budget;
  readonly value: string | undefined;
  readonly period: Period;
  readonly unit: Unit;
  readonly limit: Quantity;
  readonly settled: Quantity;
  readonly held: Quantity;
  /** Entries of before then were gone when it was made, and it misses some of them. */
  readonly missedBefore?: Instant | undefined;
}
