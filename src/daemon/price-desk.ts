// Live prices, kept fresh: each source of the policy is asked in its turn, what it answers is judged, written
// to DATA, and then the policy is resolved anew along the way of every reload. No request waits for any of
// it.
//
// Invariant: what is charged by is on disk. A restart goes on with it and asks no network.
//
//   idle ──due, or asked──► fetching ──prices──► judged ──► kept ──► policy resolved anew ──► idle
//                              └──────trouble──► idle, tried again sooner; the old prices go on, and age

import { LRUCache } from "lru-cache";
import type { PriceBook, PriceRow } from "../admin/price-book.ts";
import type { Fetched, PriceAsk } from "../cloud/prices/price-source.ts";
import { type LivePrices, rateId, takeIn } from "../metering/live-prices.ts";
import { ZERO_USD } from "../metering/money.ts";
import { ageOf, isStale, verify } from "../metering/price-judgement.ts";
import type { Rate, RateCard } from "../metering/rate-card.ts";
import {
  DAY,
  type DurationUs,
  formatInstant,
  type Instant,
  instantUs,
  later,
  MINUTE,
  milliseconds,
} from "../metering/time.ts";
import type { Alert } from "../policy/alert.ts";
import type { Policy, SecretRef } from "../policy/policy.ts";
import type { KeptPrices } from "../policy/schema/live-rates.ts";
import type { PriceSettings, PriceSourceName } from "../policy/settings.ts";
import type { Logger } from "./log.ts";
import { accessTo } from "./price-access.ts";
import { jumpAlerts, staleAlert } from "./price-alerts.ts";
import { keepPrices, NOTHING_KEPT, readPrices } from "./price-file.ts";
import { pauseBefore } from "./price-plan.ts";

export interface PriceDeskParts {
  /** DATA. */
  readonly folder: string;
  readonly shipped: RateCard;
  readonly log: Pick<Logger, "info" | "warn">;
  policy(): Policy;
  now(): Instant;
  /** 0 to 1. */
  random(): number;
  raise(alert: Alert): boolean;
  secretOf(ref: SecretRef): string | undefined;
  /** KEY_ID:SECRET of TechOps, where they have installed one for AWS. */
  techopsLogin(): string | undefined;
  fetch(ask: PriceAsk, stopping: AbortSignal): Promise<Fetched>;
  /** Resolves the policy in force against what is kept now. */
  reprice(): Promise<void>;
}

interface Source {
  readonly name: PriceSourceName;
  timer: NodeJS.Timeout | undefined;
  fetching: Promise<void> | undefined;
  failures: number;
  trouble: { readonly at: Instant; readonly why: string } | undefined;
  notes: readonly string[];
  nextAt: Instant | undefined;
}

export class PriceDesk {
  readonly #parts: PriceDeskParts;
  readonly #stopping = new AbortController();
  readonly #sources = new Map<PriceSourceName, Source>();
  /** A list of thousands is judged and sorted once a minute, however many pages ask. */
  readonly #judged = new LRUCache<string, readonly PriceRow[]>({ max: 4 });
  readonly #said = new Set<string>();
  #kept: KeptPrices;
  #version = 0;
  /** One after another: what is judged against is what is kept. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(parts: PriceDeskParts) {
    this.#parts = parts;
    const found = readPrices(parts.folder);
    this.#kept = found.kind === "kept" ? found.prices : NOTHING_KEPT;
    if (found.kind === "unreadable") parts.log.warn(found.why);
  }

  /** A policy came into force: its sources are asked, others no more. */
  follow(): void {
    const { sources } = this.#settings();
    for (const [name, source] of this.#sources) {
      if (sources.includes(name)) continue;
      clearTimeout(source.timer);
      this.#sources.delete(name);
    }
    for (const name of sources) {
      const known = this.#sources.get(name);
      if (known === undefined) this.#sources.set(name, newSource(name));
      this.#plan(this.#sources.get(name));
    }
    this.#sayStale();
  }

  /** Asks all of them now, or those that are named; resolves when each has answered or failed. */
  async update(names: readonly PriceSourceName[] = [...this.#sources.keys()]): Promise<void> {
    await Promise.all(names.map((name) => this.#refresh(this.#sources.get(name))));
  }

  book(): PriceBook {
    const { licencePerGpuHour } = this.#settings();
    const sources = [...this.#sources.values()].map(({ name, fetching, trouble, notes, nextAt }) => {
      const isFetching = fetching !== undefined;
      return { name, isFetching, answeredAt: this.#answeredAt(name), trouble, notes, nextAt };
    });
    return { rows: this.#rows(), sources, suspects: [...this.#kept.suspects.values()], licencePerGpuHour };
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    for (const { timer } of this.#sources.values()) clearTimeout(timer);
    await Promise.all([...this.#sources.values()].map(({ fetching }) => fetching));
    await this.#work;
  }

  #settings(): typeof NO_SETTINGS {
    const { prices } = this.#parts.policy();
    return prices ?? NO_SETTINGS;
  }

  #answeredAt(name: PriceSourceName): Instant | undefined {
    const text = this.#kept.answered.get(name);
    return text === undefined ? undefined : instantUs(Date.parse(text) * 1000);
  }

  #plan(source: Source | undefined): void {
    if (source === undefined || source.fetching !== undefined || this.#stopping.signal.aborted) return;
    clearTimeout(source.timer);
    const { now, random } = this.#parts;
    const at = now();
    const { refresh } = this.#settings();
    const answeredAt = this.#answeredAt(source.name);
    const pause = pauseBefore({ refresh, answeredAt, failures: source.failures }, at, random());
    source.nextAt = later(at, pause);
    source.timer = setTimeout(() => void this.#refresh(source), milliseconds(pause)).unref();
  }

  /** One at a time for each source; whoever asks meanwhile waits for the same answer. */
  #refresh(source: Source | undefined): Promise<void> {
    if (source === undefined || this.#stopping.signal.aborted) return Promise.resolve();
    source.fetching ??= this.#fetch(source).finally(() => {
      source.fetching = undefined;
      if (this.#sources.get(source.name) === source) this.#plan(source);
    });
    return source.fetching;
  }

  async #fetch(source: Source): Promise<void> {
    const { policy, shipped, secretOf, techopsLogin, now, fetch } = this.#parts;
    clearTimeout(source.timer);
    source.nextAt = undefined;
    const asOf = secondOf(now());
    const access = accessTo(source.name, policy(), shipped, secretOf, asOf, techopsLogin);
    if (access.kind === "missing") return this.#failed(source, access.why);
    const fetched = await fetch(access.ask, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    if (fetched.kind === "trouble") return this.#failed(source, fetched.why);
    const kept = this.#work.then(() => this.#take(source, asOf, fetched));
    this.#work = kept;
    await kept;
  }

  async #take(source: Source, asOf: string, fetched: Extract<Fetched, { kind: "prices" }>): Promise<void> {
    const { shipped, folder, log, policy, now, raise, reprice } = this.#parts;
    const { prices, changed, doubted } = takeIn(this.#kept, shipped, fetched.rates.map(shapedBy(shipped)));
    const kept = { ...prices, answered: new Map([...this.#kept.answered, [source.name, asOf]]) };
    try {
      await keepPrices(folder, kept);
    } catch (error) {
      log.warn({ err: error }, "prices cannot be written, so the old ones go on");
      return this.#failed(source, "they cannot be written to the data folder: see the log");
    }
    this.#kept = kept;
    this.#version += 1;
    source.failures = 0;
    source.trouble = undefined;
    source.notes = fetched.notes;
    const counts = { prices: fetched.rates.length, changed: changed.length, doubted: doubted.length };
    log.info({ source: source.name, ...counts, notes: fetched.notes }, "live prices were fetched");
    for (const alert of jumpAlerts(source.name, doubted, policy().timezone, now())) raise(alert);
    await reprice();
  }

  #failed(source: Source, why: string): void {
    const { log, now, policy, raise } = this.#parts;
    const at = now();
    source.failures += 1;
    source.trouble = { at, why };
    log.warn({ source: source.name, failures: source.failures }, `no prices of ${source.name}: ${why}`);
    const isOld = this.#rows().some(
      ({ rate, upstreams, isStale: old }) => old && upstreams.length > 0 && rate.provider === source.name,
    );
    if (isOld) raise(staleAlert(source.name, why, policy().timezone, at));
  }

  /** Of what is charged by, once each. */
  #sayStale(): void {
    for (const { rate, upstreams, isStale: isOld } of this.#rows()) {
      const said = `${rateId(rate)} ${rate.asOf}`;
      if (!isOld || upstreams.length === 0 || this.#said.has(said)) continue;
      this.#said.add(said);
      const cure = "name its provider in prices.sources, or state the price in the policy";
      this.#parts.log.warn({ upstreams }, `the price ${rate.key} is stale, of ${rate.asOf}: ${cure}`);
    }
  }

  #rows(): readonly PriceRow[] {
    const { policy, now } = this.#parts;
    const at = now();
    const key = `${this.#version} ${policy().digest} ${Math.floor(at / MINUTE)} ${[...this.#sources.keys()]}`;
    const known = this.#judged.get(key);
    if (known !== undefined) return known;
    const found = judged(this.#kept, this.#parts.shipped, policy(), this.#settings().refresh, at);
    this.#judged.set(key, found);
    return found;
  }
}

const NO_SETTINGS: Pick<PriceSettings, "refresh" | "sources" | "licencePerGpuHour"> = {
  ...{ refresh: DAY, sources: [], licencePerGpuHour: ZERO_USD },
};

function newSource(name: PriceSourceName): Source {
  const nothing = { timer: undefined, fetching: undefined, trouble: undefined, nextAt: undefined };
  return { name, ...nothing, failures: 0, notes: [] };
}

/** The list as the policy is resolved by it, each row judged beside the other list's. */
function judged(
  live: LivePrices,
  shipped: RateCard,
  { upstreams, prices }: Policy,
  refresh: DurationUs,
  at: Instant,
): readonly PriceRow[] {
  const sources: readonly string[] = prices?.sources ?? [];
  const above = [...live.believed.values()].filter(({ provider }) => sources.includes(provider));
  const using = new Map<string, string[]>();
  for (const { id, price } of upstreams.values()) {
    if (!("rate" in price.source)) continue;
    const { rate: key, rateKind: kind = "on_demand" } = price.source;
    const users = using.get(rateId({ key, kind })) ?? [];
    using.set(rateId({ key, kind }), users);
    users.push(id);
  }
  const rows = shipped
    .under(above)
    .rates()
    .map((rate): PriceRow => {
      const other = rate.live === true ? shipped.find(rate.key, rate.kind) : live.believed.get(rateId(rate));
      const users = using.get(rateId(rate)) ?? [];
      const own = { rate, verified: verify(rate, other), age: ageOf(rate, at), upstreams: users };
      return { ...own, isStale: isStale(rate, refresh, at) };
    });
  return rows.toSorted((a, b) => compare(rateId(a.rate), rateId(b.rate)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Azure tells no GPUs, AWS not whose: the shipped list knows the machine, wherever it stands. */
function shapedBy(shipped: RateCard): (rate: Rate) => Rate {
  const known = new Map(shipped.rates().map((rate) => [machineOf(rate), rate]));
  return (rate) => {
    const machine = known.get(machineOf(rate));
    if (machine === undefined) return rate;
    return { ...rate, gpu: rate.gpu ?? machine.gpu, gpus: rate.gpus === 0 ? machine.gpus : rate.gpus };
  };
}

/** Without its region. */
function machineOf({ key }: Rate): string {
  const [provider, , type] = key.split("/");
  return `${provider}/${type}`;
}

/** A price is of the second. */
function secondOf(at: Instant): string {
  return `${formatInstant(at).slice(0, 19)}Z`;
}
