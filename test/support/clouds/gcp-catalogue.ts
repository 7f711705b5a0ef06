// Google's Cloud Billing Catalog on the wire: SKUs of parts, pages by token, an API key in a header. The three
// of the A2 family are the real ones, to the digit.

import { type PriceServer, priceServer } from "./price-server.ts";

export interface Sku {
  readonly description: string;
  readonly group?: string;
  readonly usage?: string;
  readonly unit?: string;
  readonly units?: string;
  readonly nanos: number;
  readonly currency?: string;
  readonly regions?: readonly string[];
  /** Later figures, each with its day. */
  readonly then?: readonly { readonly at: string; readonly units: string; readonly nanos: number }[];
}

export const A2: readonly Sku[] = [
  { description: "Nvidia Tesla A100 GPU running in Americas", group: "GPU", units: "2", nanos: 933_908_000 },
  { description: "A2 Instance Ram running in Americas", group: "RAM", unit: "GiBy.h", nanos: 4_237_000 },
  { description: "A2 Instance Core running in Americas", group: "CPU", nanos: 31_611_000 },
];

export interface GcpCatalogue extends PriceServer {
  skus: readonly Sku[];
}

export async function gcpCatalogue(
  key: string,
  skus: readonly Sku[],
  pageSize = 5000,
): Promise<GcpCatalogue> {
  const server = await priceServer(({ url, headers }) => {
    if (url.pathname !== "/v1/services/6F81-5844-456A/skus") return { status: 404, body: "" };
    if (headers["x-goog-api-key"] !== key) return { status: 403, body: '{"error":{"code":403}}' };
    const from = Number(url.searchParams.get("pageToken") ?? 0);
    const until = from + Math.min(pageSize, Number(url.searchParams.get("pageSize")));
    const nextPageToken = until < list.skus.length ? String(until) : "";
    return { body: JSON.stringify({ skus: list.skus.slice(from, until).map(whole), nextPageToken }) };
  });
  const list: GcpCatalogue = { ...server, skus };
  return list;
}

function whole(one: Sku) {
  const { description, group = "GPU", usage = "OnDemand", regions = ["us-central1", "us-east1"] } = one;
  const first = { at: "2023-03-24T10:52:50.681Z", units: one.units ?? "0", nanos: one.nanos };
  return {
    ...{ name: "services/6F81-5844-456A/skus/0000-0000-0000", skuId: "0000-0000-0000", description },
    category: { resourceFamily: "Compute", resourceGroup: group, usageType: usage },
    serviceRegions: regions,
    pricingInfo: [first, ...(one.then ?? [])].map(({ at, units, nanos }) => ({
      summary: "",
      pricingExpression: {
        ...{ usageUnit: one.unit ?? "h", displayQuantity: 1, baseUnitConversionFactor: 3600 },
        tieredRates: [
          { startUsageAmount: 0, unitPrice: { currencyCode: one.currency ?? "USD", units, nanos } },
        ],
      },
      ...{ currencyConversionRate: 1, effectiveTime: at },
    })),
  };
}
