// What a policy says to the rooms around the data path: cloud access, price lists, ComfyUI, alerts.

import type { NanoUsd } from "../metering/money.ts";
import type { DurationUs } from "../metering/time.ts";
import type { SecretRef } from "./policy.ts";

export const CLOUDS = ["aws", "azure", "gcp"] as const;
export type Cloud = (typeof CLOUDS)[number];

/** Whose prices can be fetched. */
export const PRICE_SOURCES = [...CLOUDS, "runpod", "lambda"] as const;
export type PriceSourceName = (typeof PRICE_SOURCES)[number];

export interface ProviderAccess {
  /** Undefined: the provider's own default chain. */
  readonly credentials: Credentials | undefined;
  /** Instead of the provider's public API: private clouds and tests. */
  readonly endpoint: string | undefined;
  /** Reads only; what would be started or stopped is logged. */
  readonly dryRun: boolean;
  readonly callsPerMinute: number;
}

export type Credentials =
  | SecretRef
  | { readonly kind: "profile"; readonly name: string }
  | { readonly kind: "techops" };

export interface Techops {
  readonly config: string | undefined;
  readonly studioKey: SecretRef | undefined;
}

export interface PriceSettings {
  readonly refresh: DurationUs;
  readonly sources: readonly PriceSourceName[];
  readonly access: ReadonlyMap<PriceSourceName, PriceAccess>;
  readonly licencePerGpuHour: NanoUsd;
  /** By the name that usage from outside is reported under. */
  readonly entries: ReadonlyMap<string, PriceEntry>;
}

/** How one source of prices is asked, where not as everybody asks it. */
export interface PriceAccess {
  readonly key: SecretRef | undefined;
  /** Undefined: those of the shipped price list. */
  readonly regions: readonly string[] | undefined;
  readonly endpoint: string | undefined;
}

/** Prices of work that does not pass through the gateway. */
export type PriceEntry =
  | { readonly kind: "hour" | "request" | "image"; readonly amount: NanoUsd }
  /** Per million tokens. */
  | { readonly kind: "tokens"; readonly input: NanoUsd; readonly output: NanoUsd };

export const ALERT_EVENTS = [
  "warning",
  "critical",
  "limit",
  "anomaly",
  "container",
  "policy",
  "price",
  "ledger",
] as const;
export type AlertEvent = (typeof ALERT_EVENTS)[number];

export interface Alerts {
  readonly webhooks: readonly Webhook[];
  readonly rules: {
    readonly maxPerImage: NanoUsd | undefined;
    readonly minSuccessPercent: number | undefined;
    readonly projectedMonth: NanoUsd | undefined;
  };
}

export interface Webhook {
  /** The address itself is a secret: whoever has it can post. */
  readonly url: SecretRef;
  readonly format: "slack" | "teams" | "json";
  readonly events: readonly AlertEvent[];
}
