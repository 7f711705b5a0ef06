// What each upstream and machine costs: the figure that the policy writes, or the rate card's. Rates are
// scaled exactly and rounded up once, so that a share of a machine is never charged below its price.

import { type HourlyRate, hourlyRate, type NanoUsd, nanoUsd } from "../../metering/money.ts";
import type { Price, PriceSource } from "../../metering/price.ts";
import { MACHINE_KINDS, type Rate, type RateCard, sourceOf } from "../../metering/rate-card.ts";
import type { Provider } from "../policy.ts";
import { CLOUDS } from "../settings.ts";
import { OWNERS } from "./container.ts";
import { licenceOf, licensed } from "./licence.ts";
import { didYouMean, listed } from "./near.ts";
import type { PolicyFile } from "./policy-file.ts";
import { type PriceForm, WHOLE } from "./price.ts";
import type { Scene } from "./scene.ts";
import type { Path } from "./source.ts";
import type { MachineEntry, UpstreamEntry } from "./upstream.ts";

export interface Prices {
  readonly machines: ReadonlyMap<string, Price>;
  /** Those of upstreams on a machine are the machine's. */
  readonly upstreams: ReadonlyMap<string, Price>;
}

/** Tells of every price that is missing, unknown or written twice; those are absent from the result. */
export function resolvePrices(file: PolicyFile, scene: Scene): Prices {
  const machines = new Map<string, Price>();
  for (const [id, machine] of file.machines) {
    const path = ["machines", id, "price"];
    const price = machine.price ? read(machine.price, path, scene) : machineDefault(id, machine, file, scene);
    noteForeign(machine.price, machine.group && OWNERS[machine.group.kind], path, scene);
    if (price) machines.set(id, withLicence(price, machine.price, file, scene));
  }
  const upstreams = new Map<string, Price>();
  for (const [id, upstream] of file.upstreams) {
    const price = ofUpstream(id, upstream, machines, scene);
    const isOwn = upstream.machine === undefined;
    if (price) upstreams.set(id, isOwn ? withLicence(price, upstream.price, file, scene) : price);
  }
  return { machines, upstreams };
}

/** Of a machine from a price list; a figure of the policy's own is what the operator pays in all. */
function withLicence(price: Price, form: PriceForm | undefined, file: PolicyFile, scene: Scene): Price {
  const perGpuHour = file.prices?.licencePerGpuHour ?? 0n;
  if (price.kind !== "hour" || perGpuHour === 0n || !("rate" in price.source)) return price;
  const written = form?.kind === "rate" ? form : undefined;
  const rate = scene.context.rates.find(price.source.rate, price.source.rateKind);
  if (rate === undefined) return price;
  return licensed(price, licenceOf(rate, written?.share ?? WHOLE, nanoUsd(perGpuHour)));
}

function ofUpstream(
  id: string,
  upstream: UpstreamEntry,
  machines: ReadonlyMap<string, Price>,
  scene: Scene,
): Price | undefined {
  const path = ["upstreams", id, "price"];
  if (upstream.machine !== undefined) {
    for (const key of ["price", "idle_usd_per_hour", "min_billed"] as const) {
      if (upstream[key] === undefined) continue;
      const text = `belongs to machine ${upstream.machine}, which bills for this upstream: write it there`;
      scene.problem(["upstreams", id, key], text);
    }
    return machines.get(upstream.machine);
  }
  noteForeign(upstream.price, upstream.provider, path, scene);
  if (upstream.price) return read(upstream.price, path, scene);
  return providerDefault(upstream.provider, upstream.gpu_tier, path, scene);
}

/** The rate of the GPU tier that all upstreams of a machine share, at the provider whose machine it is. */
function machineDefault(
  id: string,
  machine: MachineEntry,
  file: PolicyFile,
  scene: Scene,
): Price | undefined {
  const upstreams = [...file.upstreams.values()].filter((each) => each.machine === id);
  const owner = machine.group && OWNERS[machine.group.kind];
  const [provider, otherProvider] = new Set(owner ? [owner] : upstreams.map((each) => each.provider));
  const [tier, otherTier] = new Set(upstreams.map((each) => each.gpu_tier));
  const path = ["machines", id, "price"];
  if (machine.group?.kind === "docker_host" && provider === undefined) return FREE;
  if (provider !== undefined && otherProvider === undefined && otherTier === undefined) {
    return providerDefault(provider, tier, path, scene);
  }
  scene.problem(path, "is missing: write rate: KEY or usd_per_hour");
  return undefined;
}

function isCloud(provider: string): boolean {
  return (CLOUDS as readonly string[]).includes(provider);
}

function tiersOf(provider: Provider, scene: Scene): string {
  return listed(
    scene.context.rates.tiers().flatMap((each) => (each.provider === provider ? [each.tier] : [])),
  );
}

function noteForeign(
  form: PriceForm | undefined,
  provider: Provider | undefined,
  path: Path,
  scene: Scene,
): void {
  if (form?.kind !== "rate" || provider === undefined) return;
  const [owner = ""] = form.rate.split("/", 1);
  if (owner === provider || !(isCloud(owner) || isCloud(provider))) return;
  scene.note([...path, "rate"], `is a price of ${owner}, and this is ${provider}`);
}

const FREE: Price = { kind: "hour", rate: 0n as HourlyRate, source: { kind: "policy" } };

function providerDefault(
  provider: Provider,
  tier: string | undefined,
  path: Path,
  scene: Scene,
): Price | undefined {
  if (provider === "local") return FREE;
  const rate =
    isCloud(provider) && tier !== undefined ? scene.context.rates.forTier(provider, tier) : undefined;
  if (rate) return { kind: "hour", rate: rate.perHour, source: sourceOf(rate) };
  const why = !isCloud(provider)
    ? `a price of provider ${provider} must be stated, 0 included`
    : tier === undefined
      ? "without gpu_tier the rate card cannot be asked"
      : `the rate card has none for ${provider} and this gpu_tier; it has: ${tiersOf(provider, scene)}`;
  scene.problem(path, `is missing (${why}): write rate: KEY, usd_per_hour or another price`);
  return undefined;
}

const POLICY: PriceSource = { kind: "policy" };

function read(form: PriceForm, path: Path, scene: Scene): Price | undefined {
  switch (form.kind) {
    case "rate": {
      const rate = find(form.rate, form.rateKind, [...path, "rate"], scene);
      return rate && { kind: "hour", rate: scaledCeil(rate, form), source: sourceOf(rate) };
    }
    case "hour":
      return { kind: "hour", rate: hourlyRate(form.amount), source: POLICY };
    case "tokens":
      return { kind: "tokens", input: form.input, output: form.output, source: POLICY };
    case "request":
    case "image":
      return { kind: form.kind, amount: form.amount, source: POLICY };
  }
}

function find(key: string, kind: Rate["kind"], path: Path, scene: Scene): Rate | undefined {
  const card: RateCard = scene.context.rates;
  const rate = card.find(key, kind);
  if (rate) return rate;
  const known = card.kindsOf(key);
  const kinds = MACHINE_KINDS.filter((each) => known.includes(each));
  if (known.length > 0 && kinds.length === 0) {
    scene.problem(path, `is no hour of a machine (${listed(known)}): state usd_per_request or another price`);
  } else if (kinds.length > 0) {
    scene.problem(path, `has no ${kind} price in the rate card; it has: ${listed(kinds)}`);
  } else {
    const guess = didYouMean(key, card.keys(), 3);
    const text = `"${key}" is not in the rate card${guess}: budgetguard prices list shows what is`;
    scene.problem(path, text);
  }
  return undefined;
}

function scaledCeil(rate: Rate, form: PriceForm & { readonly kind: "rate" }): HourlyRate {
  const over: bigint = rate.perHour * form.share.over * form.discount.over;
  const under = form.share.under * form.discount.under;
  return hourlyRate((over + under - 1n) / under + form.extra);
}

/** What a machine costs unused, if the policy does not say and its own price is not per hour. */
export const IDLE_ESTIMATE: NanoUsd = 40_000_000n as NanoUsd;
