// A price list: what a machine costs an hour, as of when, and who says so. The shipped one lies below, live
// prices above. Read-only; which live prices are believed is live-prices.ts's affair.

import type { HourlyRate } from "./money.ts";
import type { PriceSource } from "./price.ts";
import { parseInstant } from "./time.ts";

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
  /** ISO date, or "unknown"; of a live price the instant at which it was fetched. */
  readonly asOf: string;
  readonly source: string;
  /** Fetched from its provider, and not shipped. */
  readonly live?: true;
  /** Since when its provider charges it: an ISO date or instant, where the list says. */
  readonly effective?: string;
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

  /** This card with `live` above it; a live price that is older than the shipped one gives way to it. */
  under(live: readonly Rate[]): RateCard {
    const younger = live.filter((rate) => {
      const shipped = this.#rates.get(rate.key)?.get(rate.kind);
      return shipped === undefined || !isYounger(shipped, rate);
    });
    return younger.length === 0 ? this : new RateCard([...this.rates(), ...younger], this.tiers());
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

  rates(): readonly Rate[] {
    return [...this.#rates.values()].flatMap((kinds) => [...kinds.values()]);
  }

  keys(): readonly string[] {
    return [...this.#rates.keys()];
  }
}

/** A list that says no day is no younger. */
function isYounger(one: Rate, other: Rate): boolean {
  return (parseInstant(one.asOf) ?? 0) > (parseInstant(other.asOf) ?? 0);
}

export function sourceOf(rate: Rate): PriceSource {
  const { key, asOf, source } = rate;
  const other = rate.kind === "on_demand" ? {} : { rateKind: rate.kind };
  return { kind: rate.live === true ? "live" : "rate_card", rate: key, asOf, source, ...other };
}
