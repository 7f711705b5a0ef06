// Google's Cloud Billing Catalog: SKUs of parts, from which the price of a whole machine is composed. All
// amounts are integers of nano-dollars, as Google writes them (units and nanos).

import { z } from "zod";
import { hourlyRate } from "../../metering/money.ts";
import { SHAPES, type Shape } from "./gcp-shapes.ts";
import { PricePages } from "./price-pages.ts";
import { Gathered, type PriceAsk, type PriceSource, PriceTrouble } from "./price-source.ts";

const ENDPOINT = "https://cloudbilling.googleapis.com";
const COMPUTE_ENGINE = "6F81-5844-456A";
/** Of 5000 SKUs each; the catalogue has about ten. */
const MOST_PAGES = 100;
/** A disk's SKU is per month. */
const HOURS_PER_MONTH = 730n;

const page = z.object({ skus: z.array(z.unknown()).default([]), nextPageToken: z.string().optional() });
const sku = z.object({
  description: z.string(),
  category: z.object({ resourceGroup: z.string(), usageType: z.enum(["OnDemand", "Preemptible"]) }),
  serviceRegions: z.array(z.string()),
  pricingInfo: z.array(
    z.object({
      effectiveTime: z.string().optional(),
      pricingExpression: z.object({
        usageUnit: z.enum(["h", "GiBy.h", "GiBy.mo"]),
        tieredRates: z.array(
          z.object({
            unitPrice: z.object({
              currencyCode: z.literal("USD"),
              units: z
                .string()
                .regex(/^\d{1,9}$/)
                .default("0"),
              nanos: z
                .string()
                .regex(/^\d{1,9}$/)
                .default("0"),
            }),
          }),
        ),
      }),
    }),
  ),
});
type Sku = z.output<typeof sku>;

export const gcpPrices: PriceSource = {
  async fetch(ask: PriceAsk, signal: AbortSignal): Promise<Gathered> {
    const { key } = ask;
    if (key === undefined) throw new PriceTrouble("it needs an API key: name it with prices.access.gcp.key");
    const pages = new PricePages(signal, ask.pauseMs);
    const parts = new Parts(ask);
    try {
      let token = "";
      for (let count = 0; count === 0 || token !== ""; count += 1) {
        if (count === MOST_PAGES) throw new PriceTrouble("its catalogue has no end");
        const url = new URL(`${ask.endpoint ?? ENDPOINT}/v1/services/${COMPUTE_ENGINE}/skus`);
        url.searchParams.set("pageSize", "5000");
        if (token !== "") url.searchParams.set("pageToken", token);
        const read = page.safeParse(await pages.json({ url, headers: { "x-goog-api-key": key } }));
        if (!read.success) throw new PriceTrouble("its answer is no page of its catalogue");
        for (const each of read.data.skus) parts.add(each);
        token = read.data.nextPageToken ?? "";
      }
    } finally {
      await pages.close();
    }
    return parts.machines();
  },
};

/** What a part costs, in nano-dollars per unit and hour (a disk: per month), by region, kind and part. */
class Parts {
  readonly #ask: PriceAsk;
  readonly #prices = new Map<string, { readonly nanos: bigint; readonly since: string }>();

  constructor(ask: PriceAsk) {
    this.#ask = ask;
  }

  add(given: unknown): void {
    const read = sku.safeParse(given);
    const part = read.success ? partOf(read.data.description) : undefined;
    if (!read.success || part === undefined) return;
    const price = inForce(read.data, this.#ask.asOf);
    if (price === undefined) return;
    const kind = read.data.category.usageType === "OnDemand" ? "on_demand" : "spot";
    for (const region of read.data.serviceRegions) {
      if (!this.#ask.regions.includes(region)) continue;
      const id = `${region} ${kind} ${part}`;
      const known = this.#prices.get(id);
      // Two SKUs for one part: the dearer one, so that nothing is held too low.
      if (known === undefined || known.nanos < price.nanos) this.#prices.set(id, price);
    }
  }

  machines(): Gathered {
    const found = new Gathered("Google Cloud Billing Catalog", this.#ask.asOf);
    for (const region of this.#ask.regions) {
      const before = found.rates.length;
      for (const shape of SHAPES) for (const kind of KINDS) this.#compose(shape, region, kind, found);
      if (found.rates.length === before) found.notes.push(`it has no GPU machine in ${region}`);
    }
    return found;
  }

  /** A machine of which a part has no price is not sold there, and gets none. */
  #compose(shape: Shape, region: string, kind: (typeof KINDS)[number], found: Gathered): void {
    const of = (part: string) => this.#prices.get(`${region} ${kind} ${part}`);
    const core = of(`${shape.family} core`);
    const memory = of(`${shape.family} ram`);
    const gpu = of(`${shape.gpuSku} gpu`);
    const disk = shape.diskGib === 0n ? NOTHING : of("disk");
    if (!core || !memory || !gpu || !disk) return;
    const monthly = shape.diskGib * disk.nanos;
    const nanos =
      shape.cores * core.nanos +
      shape.memoryGib * memory.nanos +
      BigInt(shape.gpus) * gpu.nanos +
      (monthly + HOURS_PER_MONTH - 1n) / HOURS_PER_MONTH;
    const effective = [core, memory, gpu, disk]
      .map(({ since }) => since)
      .toSorted()
      .at(-1);
    const known = { gpu: shape.gpu, gpus: shape.gpus, ...(effective !== "" && { effective }) };
    found.add({ key: `gcp/${region}/${shape.type}`, kind, perHour: hourlyRate(nanos), ...known });
  }
}

const KINDS = ["on_demand", "spot"] as const;
const NOTHING = { nanos: 0n, since: "" };

/** Offers of other kinds carry one of these words. */
const OTHER = /Sole Tenancy|Reserved|Premium|Custom|suspended|Commitment|DWS|Calendar|Confidential/i;
const PART = /^(?:Spot Preemptible |Preemptible )?(.+?) (gpu|ram|core)\b/i;
const DISK = /^SSD backed Local Storage\b/i;

/** "A2 core", "Nvidia L4 gpu", "disk"; undefined for what is no part of a machine with GPUs. */
function partOf(description: string): string | undefined {
  if (OTHER.test(description)) return undefined;
  if (DISK.test(description)) return "disk";
  const [, what = "", kind = ""] = PART.exec(description) ?? [];
  if (kind === "") return undefined;
  if (kind.toLowerCase() === "gpu") return `${what} gpu`;
  const [family = ""] = what.split(" ");
  return `${family} ${kind.toLowerCase()}`;
}

/** The latest figure whose time has come. */
function inForce({ pricingInfo }: Sku, asOf: string): { nanos: bigint; since: string } | undefined {
  const begun = pricingInfo
    .filter(({ effectiveTime }) => !(Date.parse(effectiveTime ?? "") > Date.parse(asOf)))
    .toSorted((a, b) => Date.parse(a.effectiveTime ?? "") - Date.parse(b.effectiveTime ?? ""));
  const latest = begun.at(-1);
  if (latest === undefined) return undefined;
  const tiers = latest.pricingExpression.tieredRates.map(
    ({ unitPrice }) => BigInt(unitPrice.units) * 1_000_000_000n + BigInt(unitPrice.nanos),
  );
  const nanos = tiers.reduce((most, each) => (each > most ? each : most), 0n);
  return nanos === 0n ? undefined : { nanos, since: latest.effectiveTime ?? "" };
}
