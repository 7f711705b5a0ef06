// How prices are written: a rate of the shipped card, or a figure of the policy's own. Which figure a rate
// stands for is found by resolve-price.ts.

import { z } from "zod";
import type { NanoUsd } from "../../metering/money.ts";
import { MACHINE_KINDS, type RateKind } from "../../metering/rate-card.ts";
import { DAY } from "../../metering/time.ts";
import {
  PRICE_SOURCES,
  type PriceAccess,
  type PriceEntry,
  type PriceSettings,
  type PriceSourceName,
} from "../settings.ts";
import { url } from "./addresses.ts";
import { discount, type Ratio, share, usd } from "./amounts.ts";
import { list, mapping, named } from "./collections.ts";
import { duration } from "./measures.ts";
import { scalar, TEXT_TYPE, textOf } from "./scalar.ts";
import { secretRef } from "./secret.ts";
import { choice, text } from "./words.ts";

export type PriceForm =
  | PriceEntry
  | {
      readonly kind: "rate";
      readonly rate: string;
      readonly rateKind: RateKind;
      readonly share: Ratio;
      readonly discount: Ratio;
      readonly extra: NanoUsd;
    };

export const WHOLE: Ratio = { over: 1n, under: 1n };

const figures = {
  usd_per_hour: usd()
    .optional()
    .describe("USD per hour while it is up. Requests that run together share it."),
  usd_per_request: usd().optional().describe("USD per request that was sent."),
  usd_per_image: usd().optional().describe("USD per image that was asked for (samples or n)."),
  usd_per_million_tokens: mapping({
    input: usd().describe("USD per million tokens of the prompt."),
    output: usd().describe("USD per million tokens of the answer."),
  })
    .optional()
    .describe(
      "USD per million tokens, as the reply's usage counts them. A stream tells it only where its client " +
        "asks (stream_options.include_usage); else all that was held is charged.",
    ),
};

const entryShape = mapping(figures);
type Figures = z.output<typeof entryShape>;

function entriesOf(given: Figures): readonly PriceEntry[] {
  const all: PriceEntry[] = [];
  if (given.usd_per_hour !== undefined) all.push({ kind: "hour", amount: given.usd_per_hour });
  if (given.usd_per_request !== undefined) all.push({ kind: "request", amount: given.usd_per_request });
  if (given.usd_per_image !== undefined) all.push({ kind: "image", amount: given.usd_per_image });
  if (given.usd_per_million_tokens) all.push({ kind: "tokens", ...given.usd_per_million_tokens });
  return all;
}

const priceShape = mapping({
  rate: text(100)
    .optional()
    .describe("A key of the shipped price list (config/rates.yaml): provider/region/instance type."),
  kind: choice<RateKind>(MACHINE_KINDS).optional().describe("Which price of the rate. Default: on_demand."),
  share: share()
    .optional()
    .describe('The part of the machine that the container gets, such as "1/8". Default: 1.'),
  discount: discount().optional().describe("Taken off the rate: 0.30 is 30 % off. Default: 0."),
  extra_usd_per_hour: usd()
    .optional()
    .describe("Added after share and discount: disk, address, load balancer."),
  ...figures,
});

const ONLY_RATE = ["kind", "share", "discount", "extra_usd_per_hour"] as const;

/** `price:` of an upstream or a machine. */
export function price() {
  return priceShape.transform((given, context): PriceForm => {
    const complain = (message: string) => {
      context.issues.push({ code: "custom", input: given, message });
      return z.NEVER;
    };
    const forms: PriceForm[] = [...entriesOf(given)];
    if (given.rate !== undefined) {
      forms.push({
        kind: "rate",
        rate: given.rate,
        rateKind: given.kind ?? "on_demand",
        share: given.share ?? WHOLE,
        discount: given.discount ?? WHOLE,
        extra: given.extra_usd_per_hour ?? (0n as NanoUsd),
      });
    }
    const [form] = forms;
    if (forms.length !== 1 || !form) return complain(notOne(forms, ["rate", ...Object.keys(figures)]));
    const stray = form.kind === "rate" ? undefined : ONLY_RATE.find((key) => given[key] !== undefined);
    return stray === undefined ? form : complain(`${stray} belongs to a rate: remove it, or write rate: KEY`);
  });
}

function notOne(found: readonly unknown[], allowed: readonly string[]): string {
  const number = found.length === 0 ? "no price" : `${found.length} prices`;
  return `has ${number}: write exactly one of ${allowed.join(", ")}`;
}

const ENTRY_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/;

const entry = entryShape.transform((given, context): PriceEntry => {
  const found = entriesOf(given);
  const [first] = found;
  if (first && found.length === 1) return first;
  context.issues.push({ code: "custom", input: given, message: notOne(found, Object.keys(figures)) });
  return z.NEVER;
});

const endpoint = () =>
  url().optional().describe("Another address than the public one: a mirror, a test's own.");
const key = () => secretRef().optional().describe("Where its API key is read from.");
const regions = () =>
  list(region())
    .optional()
    .describe("Whose machines are fetched, as the provider writes them. Default: those of the shipped list.");

function region() {
  return scalar<string>({
    what: "a region",
    write: "its name as the provider writes it, such as eu-central-1",
    json: { type: TEXT_TYPE, pattern: "^[a-z][a-z0-9-]{1,39}$" },
    read: (raw) => (/^[a-z][a-z0-9-]{1,39}$/.test(textOf(raw) ?? "") ? textOf(raw) : undefined),
  });
}

const access = mapping({
  aws: mapping({ regions: regions(), endpoint: endpoint() })
    .optional()
    .describe("The AWS Price List API; its credentials are those of providers.aws."),
  azure: mapping({ regions: regions(), endpoint: endpoint() })
    .optional()
    .describe("The Azure Retail Prices API, which needs no key."),
  gcp: mapping({ key: key(), regions: regions(), endpoint: endpoint() })
    .optional()
    .describe("Google's Cloud Billing Catalog."),
  runpod: mapping({ key: key(), endpoint: endpoint() }).optional().describe("RunPod's GraphQL API."),
  lambda: mapping({ key: key(), endpoint: endpoint() }).optional().describe("Lambda's cloud API."),
});

/** `prices:` of the policy. */
export const prices = mapping({
  refresh: duration()
    .optional()
    .describe("How often live prices are fetched; less than a minute is a minute. Default: 24h."),
  sources: list(choice(PRICE_SOURCES)).optional().describe("Whose live prices are fetched. Default: none."),
  access: access.optional().describe("How a source is asked. By its name."),
  licence_usd_per_gpu_hour: usd()
    .optional()
    .describe("NVIDIA AI Enterprise licence, a line of its own. Default: 0."),
  entries: named(entry, ENTRY_NAME, "1 to 128 letters, digits and . _ : / @ -")
    .optional()
    .describe("Prices of work that other systems report, by the name they report it under."),
}).transform(
  (given): PriceSettings => ({
    refresh: given.refresh ?? DAY,
    sources: [...new Set(given.sources ?? [])],
    access: accessOf(given.access ?? {}),
    licencePerGpuHour: given.licence_usd_per_gpu_hour ?? (0n as NanoUsd),
    entries: given.entries ?? new Map(),
  }),
);

function accessOf(given: z.output<typeof access>): PriceSettings["access"] {
  const found = new Map<PriceSourceName, PriceAccess>();
  for (const name of PRICE_SOURCES) {
    const one: Partial<PriceAccess> | undefined = given[name];
    if (one) found.set(name, { key: one.key, regions: one.regions, endpoint: one.endpoint });
  }
  return found;
}
