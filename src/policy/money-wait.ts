// Waiting for money (MONEY §6): whether a wish has a claim, and whether it
// fits now. Pure arithmetic on balances; the order of those who wait is the waiting room's.

import { fits } from "../metering/balance.ts";
import { minus, sum } from "../metering/quantity.ts";
import type { Balances } from "./admission.ts";
import type { Claim, Wish } from "./decision.ts";

/**
 * Whether it fits once holds end. What does not is parked until the period turns, or the limit is raised, or
 * an adjustment comes, and blocks nobody.
 */
export function hasClaim(wish: Wish, view: Balances): boolean {
  return asksOf(wish).every((claim) => {
    if (claim.limit === undefined || isStale(claim, view)) return true;
    return claim.amount <= minus(claim.limit, view.balance(claim.account, claim.start).settled);
  });
}

/** Whether all of it is there now, beside what earlier ones have a claim to. */
export function fitsNow(wish: Wish, view: Balances): boolean {
  return asksOf(wish).every((claim) => {
    if (claim.limit === undefined || isStale(claim, view)) return true;
    const { settled, held } = view.balance(claim.account, claim.start);
    const claimed = view.claimed?.(claim.account, claim.start).amount;
    const taken = claimed === undefined ? held : sum(held, claimed);
    return fits(claim.limit, { settled, held: taken }, claim.amount);
  });
}

/** All that must be there for it. */
export function asksOf({ claims, others }: Wish): readonly Claim[] {
  return others.length === 0 ? claims : [...claims, ...others];
}

/** Its period is over: it would ask the next one for as much. */
export function isStale({ end }: Claim, { at }: Pick<Balances, "at">): boolean {
  return end <= at;
}
