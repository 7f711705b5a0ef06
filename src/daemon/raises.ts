// The raises that were ever granted, as the ledger keeps them: the latest ones, also those that are over, so
// that `explain` can tell that one has ended.

import type { TurnRow } from "../ledger/queries.ts";
import { quantityOf } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import { isInForce, type Raise } from "../policy/raise.ts";

/** The name of the raises among the ledger's switches. */
export const RAISES = "raises";

/** Of those that are over, the latest are kept. */
const MOST_KEPT = 200;
/** In force at once: more would be a policy of its own. */
export const MOST_IN_FORCE = 100;

export function raisesText(raises: readonly Raise[]): string {
  return JSON.stringify(raises.map((raise) => ({ ...raise, amount: raise.amount.toString() })));
}

/** Throws SyntaxError for what is no list of raises: then the ledger is damaged. */
export function parseRaises(text: TurnRow["value"] | undefined): readonly Raise[] {
  if (text === undefined || text === "") return [];
  const stored = JSON.parse(text) as readonly (Omit<Raise, "amount"> & { readonly amount: string })[];
  return stored.map((raise) => ({ ...raise, amount: quantityOf(BigInt(raise.amount)) }));
}

export function inForceAt(raises: readonly Raise[], at: Instant): readonly Raise[] {
  return raises.filter((raise) => isInForce(raise, at));
}

/** Oldest first; what is over makes way first. */
export function kept(raises: readonly Raise[], at: Instant): readonly Raise[] {
  const over = raises.filter(({ until }) => until <= at);
  const dropped = new Set(over.slice(0, Math.max(0, raises.length - MOST_KEPT)));
  return raises.filter((raise) => !dropped.has(raise));
}
