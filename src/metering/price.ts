// What an upstream costs, and where that figure comes from. A price is a fact about an upstream;
// a quote (quote.ts) is what one request is expected to cost there.

import type { HourlyRate, NanoUsd } from "./money.ts";

/** Units in which an upstream can be priced. Exactly one applies. */
export type Price =
  | { readonly kind: "hour"; readonly rate: HourlyRate; readonly source: PriceSource }
  | { readonly kind: "request"; readonly amount: NanoUsd; readonly source: PriceSource }
  | { readonly kind: "image"; readonly amount: NanoUsd; readonly source: PriceSource }
  | {
      readonly kind: "tokens";
      /** Per million tokens. */
      readonly input: NanoUsd;
      readonly output: NanoUsd;
      readonly source: PriceSource;
    };

export type HourPrice = Extract<Price, { kind: "hour" }>;

/** Where a price comes from, best first (MONEY: policy > live > rate_card > estimate). */
export type PriceSource =
  | { readonly kind: "policy" }
  | { readonly kind: "live"; readonly asOf: string; readonly source: string }
  /** `rate` is the card's key, `asOf` an ISO date, `source` where the figure was read. */
  | { readonly kind: "rate_card"; readonly rate: string; readonly asOf: string; readonly source: string }
  | { readonly kind: "estimate"; readonly why: string };

/** True when work there costs nothing, however long or much it is. */
export function isFree(price: Price): boolean {
  switch (price.kind) {
    case "hour":
      return price.rate === 0n;
    case "tokens":
      return price.input === 0n && price.output === 0n;
    default:
      return price.amount === 0n;
  }
}
