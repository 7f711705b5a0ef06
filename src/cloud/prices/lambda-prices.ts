// Lambda's instance types and their prices, in cents an hour, the same in all of its regions.

import { z } from "zod";
import { PricePages } from "./price-pages.ts";
import { Gathered, hourly, type PriceAsk, type PriceSource, PriceTrouble } from "./price-source.ts";

const ENDPOINT = "https://cloud.lambda.ai";

const answer = z.object({ data: z.record(z.string(), z.object({ instance_type: z.unknown() })) });
const type = z.object({
  name: z.string(),
  /** A text: it was read so. */
  price_cents_per_hour: z.string().regex(/^\d{1,7}(\.\d{1,9})?$/),
  specs: z
    .object({
      gpus: z
        .string()
        .regex(/^\d{1,3}$/)
        .optional(),
    })
    .optional(),
});

export const lambdaPrices: PriceSource = {
  async fetch({ endpoint, key, asOf, pauseMs }: PriceAsk, signal: AbortSignal): Promise<Gathered> {
    if (key === undefined) throw new PriceTrouble("it needs a key: name it with prices.access.lambda.key");
    const found = new Gathered("Lambda Cloud API", asOf);
    const pages = new PricePages(signal, pauseMs);
    try {
      const url = new URL(`${endpoint ?? ENDPOINT}/api/v1/instance-types`);
      const read = answer.safeParse(await pages.json({ url, headers: { authorization: `Bearer ${key}` } }));
      if (!read.success) throw new PriceTrouble("its answer is no list of instance types");
      for (const { instance_type } of Object.values(read.data.data)) {
        const one = type.safeParse(instance_type);
        if (!one.success) continue;
        const { name, price_cents_per_hour: cents, specs } = one.data;
        const gpus = Number(specs?.gpus ?? /^gpu_(\d{1,2})x_/.exec(name)?.[1] ?? 0);
        found.add({ key: `lambda/all/${name}`, kind: "on_demand", perHour: hourly(`${cents}e-2`), gpus });
      }
    } finally {
      await pages.close();
    }
    return found;
  },
};
