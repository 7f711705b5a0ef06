// Azure's Retail Prices API on the wire: a filter that it applies, 1000 rows a page, links to the next page at
// its public name, and rows of Windows, Spot and Low Priority among the others. Figures are JSON numbers, as
// they are written here.

import { type PriceServer, priceServer } from "./price-server.ts";

export interface Item {
  readonly sku: string;
  /** As it stands in the JSON: 0.526, 5.26E-1. */
  readonly price: string;
  readonly region?: string;
  readonly windows?: true;
  readonly offer?: "Spot" | "Low Priority";
  readonly effective?: string;
  readonly currency?: string;
}

export interface AzureRetail extends PriceServer {
  items: readonly Item[];
  /** Called after each page: rows that come in between shift the others. */
  afterPage?: () => void;
}

const PAGE = 1000;

export async function azureRetail(items: readonly Item[]): Promise<AzureRetail> {
  const server = await priceServer(({ url }) => {
    if (url.pathname !== "/api/retail/prices") return { status: 404, body: "" };
    const wanted = [...(url.searchParams.get("$filter") ?? "").matchAll(/(\w+) eq '([^']*)'/g)];
    const region = wanted.find(([, name]) => name === "armRegionName")?.[2] ?? "";
    const found = list.items.filter((item) => (item.region ?? "eastus") === region);
    const skip = Number(url.searchParams.get("$skip") ?? 0);
    const page = found.slice(skip, skip + PAGE);
    const next = new URL(url.pathname + url.search, "https://prices.azure.com:443");
    next.searchParams.set("$skip", String(skip + PAGE));
    const link = skip + PAGE < found.length ? JSON.stringify(next.href) : "null";
    const rows = page.map(jsonOf).join(",");
    list.afterPage?.();
    return {
      body: `{"BillingCurrency":"USD","Items":[${rows}],"NextPageLink":${link},"Count":${page.length}}`,
    };
  });
  const list: AzureRetail = { ...server, items };
  return list;
}

function jsonOf({
  sku,
  price,
  region = "eastus",
  windows,
  offer,
  effective,
  currency = "USD",
}: Item): string {
  const name = sku.replace(/^Standard_/, "").replaceAll("_", " ");
  const offered = offer === undefined ? name : `${name} ${offer}`;
  const text = JSON.stringify({
    ...{ currencyCode: currency, armRegionName: region, location: "US East" },
    ...{ effectiveStartDate: effective ?? "2023-08-01T00:00:00Z", meterName: offered, skuName: offered },
    productName: `Virtual Machines Series${windows ? " Windows" : ""}`,
    ...{ serviceName: "Virtual Machines", unitOfMeasure: "1 Hour", type: "Consumption" },
    ...{ isPrimaryMeterRegion: true, armSkuName: sku },
  });
  return `{"tierMinimumUnits":0.0,"retailPrice":${price},"unitPrice":${price},${text.slice(1)}`;
}
