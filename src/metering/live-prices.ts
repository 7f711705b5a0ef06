// The live prices that are believed, and those that are kept aside. A price that jumps is a suspect until a
// second refresh agrees with it, because a list is misread more often than a price moves by half; until then
// the old one goes on, and ages. A price that a refresh does not have is kept: a short page deletes nothing.
//
//   new ──no jump──► believed        suspect ──a further refresh agrees──► believed
//    └────jump────► suspect             └──it is back where it was──► forgotten

import type { HourlyRate } from "./money.ts";
import { agree, isJump } from "./price-judgement.ts";
import type { Rate, RateCard } from "./rate-card.ts";

export interface LivePrices {
  /** By `rateId`. */
  readonly believed: ReadonlyMap<string, Rate>;
  readonly suspects: ReadonlyMap<string, Suspect>;
}

export interface Suspect {
  readonly rate: Rate;
  /** What it jumped from, and what goes on. */
  readonly before: HourlyRate;
}

export interface TakenIn {
  readonly prices: LivePrices;
  /** Of those that are believed, whose figure is another one than before. */
  readonly changed: readonly Rate[];
  /** Those that this refresh put aside, or left there with another figure. */
  readonly doubted: readonly Suspect[];
}

export const NO_LIVE_PRICES: LivePrices = { believed: new Map(), suspects: new Map() };

/** More rows than any provider has GPU machines in the regions that one studio uses. */
export const MOST_LIVE_PRICES = 20_000;

export function rateId({ key, kind }: Pick<Rate, "key" | "kind">): string {
  return `${key} ${kind}`;
}

/** `fetched`: one refresh of one provider. Zero is no price: lists write it for what is not sold so. */
export function takeIn(known: LivePrices, shipped: RateCard, fetched: readonly Rate[]): TakenIn {
  const believed = new Map(known.believed);
  const suspects = new Map(known.suspects);
  const changed: Rate[] = [];
  const doubted: Suspect[] = [];
  for (const rate of fetched) {
    if (rate.perHour === 0n) continue;
    const id = rateId(rate);
    const own = believed.get(id);
    if (own === undefined && believed.size >= MOST_LIVE_PRICES) continue;
    const before = own?.perHour ?? shipped.find(rate.key, rate.kind)?.perHour;
    const suspect = suspects.get(id);
    const isConfirmed = suspect !== undefined && agree(suspect.rate.perHour, rate.perHour);
    if (before !== undefined && isJump(before, rate.perHour) && !isConfirmed) {
      const found = { rate, before };
      suspects.set(id, found);
      doubted.push(found);
      continue;
    }
    suspects.delete(id);
    believed.set(id, rate);
    if (before !== rate.perHour) changed.push(rate);
  }
  return { prices: { believed, suspects }, changed, doubted };
}
