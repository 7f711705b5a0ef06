// What those who wait have a claim to (MONEY §6): a waiter claims in a budget only where what it needs fits
// once holds end; otherwise it is parked and blocks nobody. It knows no order: it is given those that come
// earlier.

import { NOTHING, type Quantity, sum } from "../metering/quantity.ts";
import { between, type DurationUs, type Instant, MINUTE } from "../metering/time.ts";
import type { Balances, Claimed } from "../policy/admission.ts";
import type { AccountKey, Claim, Wish } from "../policy/decision.ts";
import { asksOf, fitsNow, hasClaim, isStale } from "../policy/money-wait.ts";
import { SOONEST } from "./alarms.ts";

/** One that waits, as far as money goes. */
export interface Claimant {
  /** What it has stood in line for; empty for one that only ever waited for a slot. */
  readonly wishes: readonly Wish[];
  /** False once it was woken and until it has decided: then it may take what it was woken for. */
  readonly isWaiting: boolean;
  /** How long it takes its priority to grow by one. */
  readonly step: DurationUs;
}

/** `view`, beside what `ahead` have a claim to. */
export function claimedBefore(ahead: readonly Claimant[], view: Balances): Balances {
  const claiming = ahead.map((one) => liveWishes(one, view)).filter((wishes) => wishes.length > 0);
  return {
    ...view,
    claimed: (account, start): Claimed => {
      const amounts = claiming.map((wishes) => mostOf(wishes, account, start, view));
      const asked = amounts.filter((amount) => amount > 0n);
      return { amount: sum(...asked), requests: asked.length };
    },
  };
}

/** Whether one of its wishes fits now: then it decides. */
export function mayHaveIt({ wishes }: Claimant, view: Balances): boolean {
  return wishes.some((wish) => fitsNow(wish, view));
}

/** Clocks step, so nothing is believed for longer. */
const LONGEST_LOOK = MINUTE;

/** When a period turns under one of them, or one may come before another. */
export function nextLook(waiting: readonly Claimant[], now: Instant): DurationUs {
  let next: number = LONGEST_LOOK;
  for (const { wishes, step } of waiting) {
    next = Math.min(next, step);
    for (const { end } of wishes.flatMap(asksOf)) {
      next = Math.min(next, between(now, end));
    }
  }
  return Math.max(next, SOONEST) as DurationUs;
}

function liveWishes({ wishes, isWaiting }: Claimant, view: Balances): readonly Wish[] {
  return isWaiting ? wishes.filter((wish) => hasClaim(wish, view)) : wishes;
}

/** It takes one of its wishes. */
function mostOf(wishes: readonly Wish[], account: AccountKey, start: Instant, view: Balances): Quantity {
  const isThat = (claim: Claim) =>
    claim.account === account && (claim.start === start || isStale(claim, view));
  return wishes
    .flatMap(({ claims }) => claims.filter(isThat))
    .reduce((most, { amount }) => (amount > most ? amount : most), NOTHING);
}
