// What an upstream costs, and where that figure comes from. A price is a fact about an upstream;
// a quote (quote.ts) is what one request is expected to cost there.

import type { HourlyRate, NanoUsd } from "./money.ts";
import type { RateKind } from "./rate-card.ts";

/** Units in which an upstream can be priced. Exactly one applies. */
export type Price =
  | {
      readonly kind: "hour";
      /** All of it, a licence included. */
      readonly rate: HourlyRate;
      /** The part of it that is NVIDIA's licence; absent where there is none. */
      readonly licence?: HourlyRate;
      readonly source: PriceSource;
    }
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
  /** `asOf` is the instant at which it was fetched. */
  | (Listed & { readonly kind: "live" })
  /** `asOf` is an ISO date, or "unknown". */
  | (Listed & { readonly kind: "rate_card" })
  | { readonly kind: "estimate"; readonly why: string };

interface Listed {
  /** The list's key. */
  readonly rate: string;
  /** Where it is not on_demand. */
  readonly rateKind?: RateKind;
  readonly asOf: string;
  /** Where the figure was read. */
  readonly source: string;
}

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
