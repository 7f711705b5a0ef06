// What every source of live prices has in common: what it is asked, what it answers, and a place where rows
// are gathered. A source asks one provider and believes nothing; whether a price counts is decided elsewhere.

import { MOST_LIVE_PRICES, rateId } from "../../metering/live-prices.ts";
import type { HourlyRate } from "../../metering/money.ts";
import { hourlyRate, parseUsdCeil } from "../../metering/money.ts";
import type { Rate } from "../../metering/rate-card.ts";
import type { PriceSourceName } from "../../policy/settings.ts";

/** Plain values: they go to another thread. */
export interface PriceAsk {
  readonly source: PriceSourceName;
  /** As the provider writes them; sources without regions take no notice. */
  readonly regions: readonly string[];
  /** Now, RFC 3339: the day of what is found, and which of several figures is in force. */
  readonly asOf: string;
  /** Instead of the provider's public one. */
  readonly endpoint: string | undefined;
  /** An API key or token; for AWS a login. Never logged, never part of an address. */
  readonly key: string | undefined;
  readonly profile: string | undefined;
  /** Of the whole, and the pause before a request that was turned away is tried again. */
  readonly timeoutMs: number;
  readonly pauseMs: number;
}

export type Fetched =
  | { readonly kind: "prices"; readonly rates: readonly Rate[]; readonly notes: readonly string[] }
  /** A sentence that says what to do, without a secret or an address in it. */
  | { readonly kind: "trouble"; readonly why: string };

/** Expected: thrown inside a source and made a `Fetched` at its door. */
export class PriceTrouble extends Error {
  override readonly name = "PriceTrouble";
}

export interface PriceSource {
  /** Throws PriceTrouble, or whatever its client throws. */
  fetch(ask: PriceAsk, signal: AbortSignal): Promise<Gathered>;
}

export interface Row {
  readonly key: string;
  readonly kind: Rate["kind"];
  readonly perHour: HourlyRate | undefined;
  readonly gpu?: string | undefined;
  /** 0 where the list does not say. */
  readonly gpus?: number;
  readonly effective?: string | undefined;
}

/** Rows by key and kind: of several the one in force now, whatever the order and however often it comes. */
export class Gathered {
  readonly notes: string[] = [];
  readonly #rates = new Map<string, Rate>();
  readonly #source: string;
  readonly #asOf: string;

  constructor(source: string, asOf: string) {
    this.#source = source;
    this.#asOf = asOf;
  }

  get rates(): readonly Rate[] {
    return [...this.#rates.values()];
  }

  /** Zero is what lists write for what is not sold so; a figure of the future is not in force. */
  add({ key, kind, perHour, gpu, gpus = 0, effective }: Row): void {
    if (perHour === undefined || perHour === 0n || !KEY.test(key)) return;
    if (effective !== undefined && Date.parse(effective) > Date.parse(this.#asOf)) return;
    const id = rateId({ key, kind });
    const known = this.#rates.get(id);
    if (known === undefined && this.#rates.size >= MOST_LIVE_PRICES) return;
    if (known !== undefined && !isYounger(effective, known.effective)) return;
    const provider = key.slice(0, key.indexOf("/"));
    const seen = { asOf: this.#asOf, source: this.#source, live: true } as const;
    const since = effective === undefined ? {} : { effective };
    this.#rates.set(id, { key, kind, provider, gpu, gpus, perHour, ...seen, ...since });
  }
}

/** As the shipped list has it. */
const KEY = /^[a-z0-9-]+(\/[A-Za-z0-9._+-]+){2}$/;

function isYounger(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && (other === undefined || Date.parse(one) > Date.parse(other));
}

/** A figure as the list writes it, to the nano-dollar. */
export function hourly(text: unknown): HourlyRate | undefined {
  const amount = typeof text === "string" ? parseUsdCeil(text) : undefined;
  return amount === undefined ? undefined : hourlyRate(amount);
}

/** "H100 SXM" as a part of a key: every run of other characters is one "-". */
export function keyPart(text: string): string {
  return text.replace(/[^A-Za-z0-9._+]+/g, "-").replace(/^-|-$/g, "");
}

/** JSON whose numbers are texts, as they stand in the source: no amount passes through a float. */
export function parseExact(text: string): unknown {
  const revive: Reviver = (_key, value, context) =>
    typeof value === "number" ? (context.source ?? String(value)) : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
