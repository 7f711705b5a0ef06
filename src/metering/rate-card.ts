// The shipped price list: what a machine costs an hour, as of when, and who says so. Read-only; live prices
// are another source (price.ts).

import type { HourlyRate } from "./money.ts";
import type { PriceSource } from "./price.ts";

/** The last five are offers of RunPod and NVIDIA that are none of the first four. */
export const RATE_KINDS = [
  "on_demand",
  "spot",
  "reserved_1y",
  "reserved_3y",
  "secure",
  "community",
  "serverless_flex",
  "licence",
  "hosted_api",
] as const;
export type RateKind = (typeof RATE_KINDS)[number];

/** Those that are the hour of a machine, and not of a licence or of a service that bills otherwise. */
export const MACHINE_KINDS = RATE_KINDS.filter((kind) => kind !== "licence" && kind !== "hosted_api");

/** One price of one machine shape. */
export interface Rate {
  /** provider/region/instance type: "aws/us-east-1/g5.xlarge"; "origin/rtx_4090" for the origin's six. */
  readonly key: string;
  readonly kind: RateKind;
  readonly provider: string;
  /** Lower case; undefined where the list does not say. */
  readonly gpu: string | undefined;
  /** A part of one where machines share a GPU: 0.166667. 0 where the offer is not a machine. */
  readonly gpus: number;
  /** For the whole machine. */
  readonly perHour: HourlyRate;
  /** ISO date, or "unknown". */
  readonly asOf: string;
  readonly source: string;
}

/**
 * An alias: what TechOps call "a10g" at a provider is this machine (facts: the tier does not name the GPU).
 */
export interface TierAlias {
  readonly provider: string;
  readonly tier: string;
  readonly rate: string;
}

export class RateCard {
  readonly #rates = new Map<string, Map<RateKind, Rate>>();
  readonly #tiers = new Map<string, TierAlias>();

  constructor(rates: readonly Rate[], tiers: readonly TierAlias[]) {
    for (const rate of rates) {
      const kinds = this.#rates.get(rate.key) ?? new Map<RateKind, Rate>();
      kinds.set(rate.kind, rate);
      this.#rates.set(rate.key, kinds);
    }
    for (const alias of tiers) this.#tiers.set(`${alias.provider}/${alias.tier}`, alias);
  }

  /** Without a kind: on demand, or else the only kind that the key has. */
  find(key: string, kind?: RateKind): Rate | undefined {
    const kinds = this.#rates.get(key);
    if (kinds === undefined) return undefined;
    if (kind !== undefined) return kinds.get(kind);
    const [only, ...others] = kinds.values();
    return kinds.get("on_demand") ?? (others.length === 0 ? only : undefined);
  }

  /** Which prices the key has: for a sentence that says what to write instead. */
  kindsOf(key: string): readonly RateKind[] {
    return [...(this.#rates.get(key)?.keys() ?? [])];
  }

  forTier(provider: string, tier: string): Rate | undefined {
    const alias = this.#tiers.get(`${provider}/${tier.toLowerCase()}`);
    return alias === undefined ? undefined : this.find(alias.rate);
  }

  tiers(): readonly TierAlias[] {
    return [...this.#tiers.values()];
  }

  keys(): readonly string[] {
    return [...this.#rates.keys()];
  }
}

export function sourceOf(rate: Rate): PriceSource {
  return { kind: "rate_card", rate: rate.key, asOf: rate.asOf, source: rate.source };
}
