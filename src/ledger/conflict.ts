// What must never happen in a ledger that decides and holds in one tick: a hold that does not fit.

import { fits } from "../metering/balance.ts";
import type { Balances } from "../policy/admission.ts";
import type { Claim } from "../policy/decision.ts";

/** Thrown when a hold no longer fits what was decided a moment ago: in this ledger always a bug. */
export class ConflictError extends Error {}

/** `view`: the live balances as they were decided on, at that instant. Throws ConflictError. */
export function checkFits(view: Balances, claim: Claim): void {
  if (claim.limit === undefined) return;
  const balance = view.balance(claim.account, claim.start);
  if (fits(claim.limit, balance, claim.amount)) return;
  throw new ConflictError(
    `a hold of ${claim.amount} no longer fits ${claim.account}: settled ${balance.settled}, ` +
      `held ${balance.held}, limit ${claim.limit}`,
  );
}
