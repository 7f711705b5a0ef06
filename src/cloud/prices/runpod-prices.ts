// RunPod's prices of pods by the hour, secure and community, from its GraphQL API. Serverless workers are
// billed by the second and are not in it.

import { z } from "zod";
import { PricePages } from "./price-pages.ts";
import { Gathered, hourly, keyPart, type PriceAsk, type PriceSource, PriceTrouble } from "./price-source.ts";

const ENDPOINT = "https://api.runpod.io";
const QUERY = "query { gpuTypes { id displayName securePrice communityPrice } }";

const answer = z.object({
  data: z.object({
    gpuTypes: z.array(
      z.object({
        id: z.string(),
        displayName: z.string(),
        securePrice: z.string().nullish(),
        communityPrice: z.string().nullish(),
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
      for (const { displayName, securePrice, communityPrice } of read.data.data.gpuTypes) {
        const pod = { key: `runpod/any/pod-${keyPart(displayName)}`, gpus: 1 };
        const gpu = keyPart(displayName).toLowerCase();
        found.add({ ...pod, gpu, kind: "secure", perHour: hourly(securePrice) });
        found.add({ ...pod, gpu, kind: "community", perHour: hourly(communityPrice) });
      }
    } finally {
      await pages.close();
    }
    return found;
  },
};
