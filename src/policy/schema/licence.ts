// NVIDIA's licence on top of what a machine costs: so much for each GPU and hour, for as long as the machine
// is up. It is a part of the price that is held and charged, and is shown apart (MONEY §9). It knows nobody's
// discount: NVIDIA gives none on the cloud's.

import { type HourlyRate, hourlyRate, type NanoUsd } from "../../metering/money.ts";
import type { Price } from "../../metering/price.ts";
import type { Rate } from "../../metering/rate-card.ts";
import type { Ratio } from "./amounts.ts";

type Hourly = Extract<Price, { kind: "hour" }>;

/** The card has a GPU that several machines share with six decimals. */
const MILLION = 1_000_000n;

/** For `share` of the machine that `rate` is the price of; rounded up. */
export function licenceOf({ gpus }: Pick<Rate, "gpus">, share: Ratio, perGpuHour: NanoUsd): HourlyRate {
  const over: bigint = perGpuHour * BigInt(Math.round(gpus * Number(MILLION))) * share.over;
  const under = MILLION * share.under;
  return hourlyRate((over + under - 1n) / under);
}

export function licensed(price: Hourly, licence: HourlyRate): Hourly {
  if (licence === 0n) return price;
  return { ...price, rate: hourlyRate(price.rate + licence), licence };
}
