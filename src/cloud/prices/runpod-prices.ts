// RunPod's prices of pods by the hour, secure, community and spot, from its GraphQL API. Serverless workers
// are billed by the second and are not in it. A spot pod costs what is bid for it, in either of its clouds:
// the dearer one's price counts, so that no hold is too small.

import { z } from "zod";
import type { HourlyRate } from "../../metering/money.ts";
import { PricePages } from "./price-pages.ts";
import { Gathered, hourly, keyPart, type PriceAsk, type PriceSource, PriceTrouble } from "./price-source.ts";

const ENDPOINT = "https://api.runpod.io";
const QUERY =
  "query { gpuTypes { id displayName securePrice communityPrice secureSpotPrice communitySpotPrice } }";

const answer = z.object({
  data: z.object({
    gpuTypes: z.array(
      z.object({
        id: z.string(),
        displayName: z.string(),
        securePrice: z.string().nullish(),
        communityPrice: z.string().nullish(),
        secureSpotPrice: z.string().nullish(),
        communitySpotPrice: z.string().nullish(),
      }),
    ),
  }),
});

export const runpodPrices: PriceSource = {
  async fetch({ endpoint, key, asOf, pauseMs }: PriceAsk, signal: AbortSignal): Promise<Gathered> {
    if (key === undefined) throw new PriceTrouble("it needs a key: name it with prices.access.runpod.key");
    const found = new Gathered("RunPod GraphQL API", asOf);
    const pages = new PricePages(signal, pauseMs);
    try {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const url = new URL(`${endpoint ?? ENDPOINT}/graphql`);
      const read = answer.safeParse(
        await pages.json({ url, headers, body: JSON.stringify({ query: QUERY }) }),
      );
      // GraphQL tells of what it refuses with 200.
      if (!read.success) throw new PriceTrouble("its answer has no prices: look at its key");
      for (const { displayName, securePrice, communityPrice, ...spot } of read.data.data.gpuTypes) {
        const pod = { key: `runpod/any/pod-${keyPart(displayName)}`, gpus: 1 };
        const gpu = keyPart(displayName).toLowerCase();
        found.add({ ...pod, gpu, kind: "secure", perHour: hourly(securePrice) });
        found.add({ ...pod, gpu, kind: "community", perHour: hourly(communityPrice) });
        const offers = [hourly(spot.secureSpotPrice), hourly(spot.communitySpotPrice)];
        found.add({ ...pod, gpu, kind: "spot", perHour: dearest(offers) });
      }
    } finally {
      await pages.close();
    }
    return found;
  },
};

function dearest(offers: readonly (HourlyRate | undefined)[]): HourlyRate | undefined {
  const known = offers.filter((one) => one !== undefined);
  return known.reduce<HourlyRate | undefined>((most, one) => (one > (most ?? 0n) ? one : most), undefined);
}
