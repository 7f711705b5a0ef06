// Azure's Retail Prices API: no key, one list a region, because paging by $skip shifts when rows come in
// between. Machines with GPUs only; Windows and Low Priority rows are other offers and left out.

import { z } from "zod";
import { PricePages } from "./price-pages.ts";
import { Gathered, hourly, type PriceAsk, type PriceSource, PriceTrouble } from "./price-source.ts";

const ENDPOINT = "https://prices.azure.com";
/** Pages of one region; each has up to 1000 rows. */
const MOST_PAGES = 100;

const page = z.object({ Items: z.array(z.unknown()), NextPageLink: z.string().nullish() });
const item = z.object({
  currencyCode: z.literal("USD"),
  retailPrice: z.string(),
  armRegionName: z.string(),
  armSkuName: z.string().regex(/^Standard_N/),
  meterName: z.string(),
  productName: z.string(),
  skuName: z.string(),
  unitOfMeasure: z.literal("1 Hour"),
  type: z.literal("Consumption"),
  effectiveStartDate: z.string().optional(),
});

export const azurePrices: PriceSource = {
  async fetch(ask: PriceAsk, signal: AbortSignal): Promise<Gathered> {
    const found = new Gathered("Azure Retail Prices API", ask.asOf);
    const pages = new PricePages(signal, ask.pauseMs);
    try {
      for (const region of ask.regions) await ofRegion(pages, ask.endpoint ?? ENDPOINT, region, found);
    } finally {
      await pages.close();
    }
    return found;
  },
};

async function ofRegion(pages: PricePages, origin: string, region: string, found: Gathered): Promise<void> {
  const first = new URL(`${origin}/api/retail/prices`);
  first.searchParams.set("api-version", "2023-01-01-preview");
  first.searchParams.set("meterRegion", "'primary'");
  first.searchParams.set(
    "$filter",
    `serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and armRegionName eq '${region}'`,
  );
  const before = found.rates.length;
  let next: URL | undefined = first;
  for (let count = 0; next !== undefined; count += 1) {
    if (count === MOST_PAGES) throw new PriceTrouble(`its list of ${region} has no end`);
    const read = page.safeParse(await pages.json({ url: next }));
    if (!read.success) throw new PriceTrouble("its answer is no page of prices");
    for (const each of read.data.Items) take(each, region, found);
    next = following(first, read.data.NextPageLink);
  }
  if (found.rates.length === before) found.notes.push(`it has no GPU machine in ${region}`);
}

/** Only where in the list it goes on is taken from the link: whom to ask is not the answer's to say. */
function following(first: URL, link: string | null | undefined): URL | undefined {
  const search = link ? URL.parse(link)?.search : undefined;
  return search === undefined ? undefined : new URL(first.pathname + search, first);
}

function take(given: unknown, region: string, found: Gathered): void {
  const read = item.safeParse(given);
  if (!read.success || read.data.armRegionName !== region) return;
  const { armSkuName, meterName, productName, skuName, retailPrice, effectiveStartDate } = read.data;
  const isOther = / Windows$/.test(productName) || / Low Priority$/.test(meterName);
  if (isOther || / Low Priority$/.test(skuName) || /\bDedicated\b/.test(`${meterName} ${productName}`))
    return;
  found.add({
    key: `azure/${region}/${armSkuName}`,
    kind: / Spot$/.test(skuName) ? "spot" : "on_demand",
    perHour: hourly(retailPrice),
    effective: effectiveStartDate,
  });
}
