// The price list: what a machine costs an hour, who says so, how old that is and whether a second source
// agrees; and how it stands with the sources of live prices.

import { z } from "zod";
import { closed, count, durationUs, filter, instant, usd } from "./scalars.ts";
import { PRICE_SOURCES } from "./vocabulary.ts";

const LONGEST_PAGE = 1000;

export const PricesQuery = closed({
  limit: z.coerce.number().int().min(1).max(LONGEST_PAGE).default(200),
  after: filter.optional().describe("The `next` of the page before: only later keys follow."),
  provider: filter.optional().describe("The first part of the key, such as aws."),
});
export type PricesQuery = Omit<z.input<typeof PricesQuery>, "limit"> & { limit?: number };

export const PriceRow = z
  .object({
    rate: z.string().describe("provider/region/instance type: what a policy writes as rate."),
    kind: z.string().describe("on_demand, spot, secure, ...: what a policy writes as kind."),
    provider: z.string(),
    gpu: z.string().nullable(),
    gpus: z.number().min(0).describe("Of the whole machine; 0 where it is not known or no machine."),
    usd_per_hour: usd,
    live: z.boolean().describe("Fetched from its provider, and not shipped."),
    source: z.string(),
    as_of: z.string().describe("A day, or of a live price the instant at which it was fetched; or unknown."),
    age_us: durationUs.nullable().describe("null where nobody says of which day it is."),
    effective_from: z.string().nullable().describe("Since when its provider charges it, where that is told."),
    verified: z.boolean().describe("Another source has it within 10 %."),
    verified_by: z.string().nullable(),
    unverified_because: z.string().nullable(),
    stale: z.boolean().describe("Older than 90 days, or of a live price than three refreshes."),
    upstreams: z.array(z.string()).describe("Upstreams of the policy in force that are charged by it."),
  })
  .meta({ id: "PriceRow" });
export type PriceRow = z.infer<typeof PriceRow>;

export const PriceSource = z
  .object({
    name: z.enum(PRICE_SOURCES),
    fetching: z.boolean(),
    answered_at: instant.nullable().describe("When it last answered; null: never."),
    trouble: z.object({ at: instant, why: z.string() }).nullable().describe("Of the last time."),
    notes: z.array(z.string()),
    next_at: instant.nullable().describe("When it is asked next; null while it is asked."),
  })
  .meta({ id: "PriceSource" });
export type PriceSource = z.infer<typeof PriceSource>;

export const PriceSuspect = z
  .object({
    rate: z.string(),
    kind: z.string(),
    usd_per_hour: usd.describe("What was fetched, and is not believed until a second refresh agrees."),
    before_usd_per_hour: usd.describe("What goes on."),
    as_of: z.string(),
    source: z.string(),
  })
  .meta({ id: "PriceSuspect" });

export const PriceSources = z
  .object({
    sources: z.array(PriceSource).describe("Of the policy in force; empty where it names none."),
    suspects: z.array(PriceSuspect).describe("Prices that jumped by more than half, the first hundred."),
    suspect_count: count,
  })
  .meta({ id: "PriceSources" });
export type PriceSources = z.infer<typeof PriceSources>;

export const PricePage = PriceSources.extend({
  items: z.array(PriceRow),
  next: z.string().nullable().describe("Pass it as `after` for the next page; null on the last."),
  licence_usd_per_gpu_hour: usd.describe("Added to each machine of the list for each of its GPUs."),
}).meta({ id: "PricePage" });
export type PricePage = z.infer<typeof PricePage>;

export const PricesUpdate = closed({
  sources: z.array(z.enum(PRICE_SOURCES)).min(1).optional().describe("Default: all of the policy's."),
}).meta({ id: "PricesUpdate" });
export type PricesUpdate = z.input<typeof PricesUpdate>;
