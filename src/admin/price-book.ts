// The price list as the admin surface sees it: each row with how far it can be trusted, and how it stands
// with the sources of live prices.

import type { HourlyRate, NanoUsd } from "../metering/money.ts";
import type { Verified } from "../metering/price-judgement.ts";
import type { Rate } from "../metering/rate-card.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { PriceSourceName } from "../policy/settings.ts";

export interface PriceHouse {
  /** Each row with how far it can be trusted. */
  prices(): PriceBook;
  /** Asks these sources now, or all of the policy's; resolves when each has answered or failed. */
  updatePrices(sources: readonly PriceSourceName[] | undefined): Promise<void>;
}

export interface PriceBook {
  /** In the order of their keys. */
  readonly rows: readonly PriceRow[];
  /** Of the policy in force, in its order. */
  readonly sources: readonly PriceSourceState[];
  readonly suspects: readonly { readonly rate: Rate; readonly before: HourlyRate }[];
  readonly licencePerGpuHour: NanoUsd;
}

export interface PriceRow {
  readonly rate: Rate;
  readonly verified: Verified;
  /** Undefined where the list does not say of which day it is. */
  readonly age: DurationUs | undefined;
  readonly isStale: boolean;
  /** Upstreams of the policy in force that are charged by it. */
  readonly upstreams: readonly string[];
}

export interface PriceSourceState {
  readonly name: PriceSourceName;
  readonly isFetching: boolean;
  readonly answeredAt: Instant | undefined;
  /** Of the last time, where it was one. */
  readonly trouble: { readonly at: Instant; readonly why: string } | undefined;
  readonly notes: readonly string[];
  readonly nextAt: Instant | undefined;
}
