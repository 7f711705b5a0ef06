// Whether a machine is said to cost less while unused than the price list has it for: a machine of a cloud
// costs its price, used or not, and the difference would be missing in every budget.

import { formatUsd, type HourlyRate, nanoUsd } from "../../metering/money.ts";
import type { Price, PriceSource } from "../../metering/price.ts";
import type { RateCard } from "../../metering/rate-card.ts";
import type { Policy } from "../policy.ts";
import type { Path } from "./source.ts";

export interface IdleSaid {
  readonly price: Price;
  readonly idleRate: HourlyRate;
  readonly idleSource: PriceSource;
  readonly provider: string | undefined;
  readonly gpuTier: string | undefined;
}

/** In words that say by what factor, and what to do; undefined: it is not below. */
export function idleDoubt(said: IdleSaid, rates: RateCard): string | undefined {
  const { idleRate, idleSource, price } = said;
  if (price.kind === "hour" && idleRate >= price.rate) return undefined;
  if (idleSource.kind !== "policy" && idleSource.kind !== "estimate") return undefined;
  const list = listPrice(said, rates);
  if (list === undefined || idleRate >= list.rate) return undefined;
  const factor = idleRate === 0n ? "nothing" : `${timesOf(list.rate, idleRate)} times less`;
  const what = `${usd(idleRate)} USD/h while unused is ${factor} ${idleRate === 0n ? "of" : "than"}`;
  const known = `the ${usd(list.rate)} USD/h that ${list.name} costs, used or not`;
  const cure =
    idleSource.kind === "estimate"
      ? "write idle_usd_per_hour, for it is an estimate"
      : "take idle_usd_per_hour out, unless somebody else pays the rest";
  return `${what} ${known}: ${cure}`;
}

export function noteIdle(
  { machines, upstreams }: Pick<Policy, "machines" | "upstreams">,
  note: (path: Path, text: string) => void,
): void {
  for (const { id, idleDoubt: doubt } of machines.values())
    if (doubt !== undefined) note(["machines", id, "idle_usd_per_hour"], doubt);
  for (const { id, machine, idleDoubt: doubt } of upstreams.values())
    if (doubt !== undefined && machine === id) note(["upstreams", id, "idle_usd_per_hour"], doubt);
}

/** The list's own where the price is one of it, else that of the tier at the provider. */
function listPrice({ price, provider, gpuTier }: IdleSaid, rates: RateCard) {
  if (price.kind === "hour" && "rate" in price.source) return { rate: price.rate, name: price.source.rate };
  if (provider === undefined || gpuTier === undefined) return undefined;
  const rate = rates.forTier(provider, gpuTier);
  return rate && { rate: rate.perHour, name: rate.key };
}

function timesOf(list: bigint, idle: bigint): string {
  const tenths = (list * 10n) / idle;
  return tenths >= 100n ? String(tenths / 10n) : `${tenths / 10n}.${tenths % 10n}`;
}

function usd(rate: HourlyRate): string {
  return formatUsd(nanoUsd(rate));
}
