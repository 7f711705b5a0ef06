// Machines and upstreams of the policy, from their sound entries and resolved prices, with all defaults.

import { type HourlyRate, hourlyRate, type NanoUsd } from "../../metering/money.ts";
import { isFree, type Price, type PriceSource } from "../../metering/price.ts";
import type { RateCard } from "../../metering/rate-card.ts";
import type { DurationUs } from "../../metering/time.ts";
import type { Machine, Upstream } from "../policy.ts";
import { type IdleSaid, idleDoubt } from "./note-idle.ts";
import type { PolicyFile } from "./policy-file.ts";
import { IDLE_ESTIMATE, type Prices } from "./resolve-price.ts";
import { DEFAULT_TIMEOUTS, type UpstreamEntry } from "./upstream.ts";

export function buildMachines(
  file: PolicyFile,
  prices: Prices,
  rates: RateCard,
): ReadonlyMap<string, Machine> {
  const machines = new Map<string, Machine>();
  for (const [id, entry] of file.machines) {
    const price = known(prices.machines, id);
    const group = entry.group === undefined ? {} : { group: entry.group };
    const served = [...file.upstreams.values()].find(({ machine }) => machine === id);
    const idle = idleOf(price, entry.idle_usd_per_hour, true);
    machines.set(id, {
      id,
      price,
      ...idle,
      ...doubtOf({ ...idle, price, provider: served?.provider, gpuTier: served?.gpu_tier }, rates),
      ...billedOf(entry),
      ...group,
    });
  }
  return machines;
}

export function buildUpstreams(
  file: PolicyFile,
  prices: Prices,
  machines: ReadonlyMap<string, Machine>,
  rates: RateCard,
): ReadonlyMap<string, Upstream> {
  const upstreams = new Map<string, Upstream>();
  for (const [id, entry] of file.upstreams) {
    const price = known(prices.upstreams, id);
    const machine = entry.machine === undefined ? undefined : machines.get(entry.machine);
    const idle = idleOf(price, entry.idle_usd_per_hour, entry.container !== undefined);
    const doubt =
      entry.container &&
      doubtOf({ ...idle, price, provider: entry.provider, gpuTier: entry.gpu_tier }, rates);
    const own = { ...idle, ...doubt, ...billedOf(entry) };
    upstreams.set(id, {
      id,
      provider: entry.provider,
      url: entry.url,
      model: entry.model,
      gpuTier: entry.gpu_tier,
      price,
      machine: machine?.id ?? id,
      ...(machine ? billingOf(machine) : own),
      concurrency: entry.concurrency ?? (entry.container && !isFree(price) ? 1 : undefined),
      auth: entry.auth,
      hasContainer: entry.container !== undefined,
      timeouts: entry.timeouts ?? DEFAULT_TIMEOUTS,
      rankPerRequest: entry.rank_usd_per_request,
      ...laterRooms(entry),
    });
  }
  return upstreams;
}

function laterRooms(entry: UpstreamEntry): Pick<Upstream, "rateLimit" | "container" | "lifecycle"> {
  return {
    ...(entry.rate_limit && { rateLimit: entry.rate_limit }),
    ...(entry.container && { container: entry.container }),
    ...(entry.lifecycle && { lifecycle: entry.lifecycle }),
  };
}

function billingOf({ idleRate, idleSource, idleDoubt, minBilled }: Machine) {
  return { idleRate, minBilled, ...(idleSource && { idleSource }), ...(idleDoubt && { idleDoubt }) };
}

function doubtOf(said: IdleSaid, rates: RateCard): { readonly idleDoubt?: string } {
  const doubt = idleDoubt(said, rates);
  return doubt === undefined ? {} : { idleDoubt: doubt };
}

function billedOf(entry: { readonly min_billed?: DurationUs | undefined }) {
  return { minBilled: entry.min_billed ?? (0 as DurationUs) };
}

interface Idle {
  readonly idleRate: HourlyRate;
  readonly idleSource: PriceSource;
}

/** What it costs unused; where nothing of its own can be up unused, nothing. */
function idleOf(price: Price, written: NanoUsd | undefined, isMetered: boolean): Idle {
  if (written !== undefined) return { idleRate: hourlyRate(written), idleSource: { kind: "policy" } };
  if (price.kind === "hour") return { idleRate: price.rate, idleSource: price.source };
  if (!isMetered) return { idleRate: hourlyRate(0n), idleSource: { kind: "policy" } };
  const why = "the machine's price is not known per hour";
  return { idleRate: hourlyRate(IDLE_ESTIMATE), idleSource: { kind: "estimate", why } };
}

function known(prices: ReadonlyMap<string, Price>, id: string): Price {
  const price = prices.get(id);
  if (!price) throw new Error(`${id} passed the checks without a price: this is a bug`);
  return price;
}
