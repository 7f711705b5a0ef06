// What the ledger sums by the day for ever, and how long it keeps the entries themselves. Whoever makes a
// budget later than that gets its balance from the sums, where its keys allow (MONEY §4). It knows no table.

import { DAY, type DurationUs } from "../metering/time.ts";
import type { Scope } from "./policy.ts";

/** Entries younger than this are never dropped: longer than the longest period that turns, a year. */
export const ENTRIES_KEPT = (400 * DAY) as DurationUs;

/** Their values come from a policy: there are only so many. */
export const ROLLED_PLACES = ["provider", "model", "upstream"] as const satisfies readonly Scope[];
/** Clients name these: further values of one day than MOST_VALUES_A_DAY are summed as "other". */
export const ROLLED_NAMES = ["user", "workflow", "project"] as const satisfies readonly Scope[];
export const MOST_VALUES_A_DAY = 1000;

export type RolledScope = (typeof ROLLED_PLACES | typeof ROLLED_NAMES)[number];

/** The sums that answer for these keys: of one scope, or of all; undefined where only entries can. */
export function rolledBy(
  scopes: Iterable<string>,
  per: string | undefined,
): RolledScope | "total" | undefined {
  const asked = new Set([...scopes, ...(per === undefined ? [] : [per])]);
  if (asked.size === 0) return "total";
  const [only] = asked;
  return asked.size === 1 ? [...ROLLED_PLACES, ...ROLLED_NAMES].find((one) => one === only) : undefined;
}

export function isNamedByClients(scope: RolledScope | "total"): boolean {
  return ROLLED_NAMES.some((one) => one === scope);
}
