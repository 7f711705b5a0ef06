// The prices that were fetched, as they are kept in DATA: written whole, read whole or not at all. What is
// read there was believed before (metering/live-prices.ts); here only its form is looked at.

import { z } from "zod";
import { type LivePrices, rateId } from "../../metering/live-prices.ts";
import { formatUsd, type HourlyRate, hourlyRate, parseUsd } from "../../metering/money.ts";
import { RATE_KINDS, type Rate } from "../../metering/rate-card.ts";
import { PRICE_SOURCES, type PriceSourceName } from "../settings.ts";

/** The file's name in DATA. */
export const LIVE_PRICES_FILE = "prices.json";

export interface KeptPrices extends LivePrices {
  /** When each source last answered, RFC 3339. */
  readonly answered: ReadonlyMap<PriceSourceName, string>;
}

const perHour = z.string().transform((text, context): HourlyRate => {
  const amount = parseUsd(text);
  if (amount !== undefined) return hourlyRate(amount);
  context.issues.push({ code: "custom", input: text, message: "is no amount" });
  return z.NEVER;
});

const rate = z.strictObject({
  key: z.string().regex(/^[a-z0-9-]+(\/[A-Za-z0-9._+-]+)+$/),
  kind: z.enum(RATE_KINDS),
  gpu: z.string().optional(),
  gpus: z.number().min(0).max(1000),
  usd_per_hour: perHour,
  as_of: z.iso.datetime(),
  source: z.string().min(1),
  effective: z.string().optional(),
});

const file = z.strictObject({
  version: z.literal(1),
  answered: z.partialRecord(z.enum(PRICE_SOURCES), z.iso.datetime()),
  rates: z.array(rate),
  suspects: z.array(z.strictObject({ ...rate.shape, before: perHour })),
});

/** Undefined for what is no such file. */
export function parseLiveRates(text: string): KeptPrices | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    // A file that is no JSON is as good as none.
    return undefined;
  }
  const read = file.safeParse(given);
  if (!read.success) return undefined;
  const { answered, rates, suspects } = read.data;
  return {
    answered: new Map(Object.entries(answered) as [PriceSourceName, string][]),
    believed: new Map(rates.map((one) => [rateId(one), rateOf(one)])),
    suspects: new Map(suspects.map((one) => [rateId(one), { rate: rateOf(one), before: one.before }])),
  };
}

export function liveRatesText({ answered, believed, suspects }: KeptPrices): string {
  return JSON.stringify({
    version: 1,
    answered: Object.fromEntries(answered),
    rates: [...believed.values()].map(textOf),
    suspects: [...suspects.values()].map((one) => ({ ...textOf(one.rate), before: formatUsd(one.before) })),
  });
}

function textOf({ key, kind, gpu, gpus, perHour: amount, asOf, source, effective }: Rate) {
  return { key, kind, gpu, gpus, usd_per_hour: formatUsd(amount), as_of: asOf, source, effective };
}

function rateOf({ key, kind, gpu, gpus, ...one }: z.output<typeof rate>): Rate {
  const provider = key.slice(0, key.indexOf("/"));
  const seen = { perHour: one.usd_per_hour, asOf: one.as_of, source: one.source, live: true } as const;
  const since = one.effective === undefined ? {} : { effective: one.effective };
  return { key, kind, provider, gpu, gpus, ...seen, ...since };
}
