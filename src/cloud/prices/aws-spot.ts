// AWS' spot prices of the machines with GPUs that its price list has in a region, from EC2's own API. A spot
// price is one of an availability zone, and nobody knows beforehand in which a machine starts: the dearest
// zone's counts, so that no hold is too small.

import {
  DescribeSpotPriceHistoryCommand,
  type DescribeSpotPriceHistoryCommandOutput,
  EC2Client,
  type EC2ClientConfig,
} from "@aws-sdk/client-ec2";
import type { HourlyRate } from "../../metering/money.ts";
import type { Rate } from "../../metering/rate-card.ts";
import { type Gathered, hourly, PriceTrouble } from "./price-source.ts";

const SYSTEMS = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];
const PAGE = 1000;
const MOST_PAGES = 20;

/** `known`: the region's rows on demand. */
export async function addSpot(
  config: EC2ClientConfig & { readonly region: string },
  known: readonly Rate[],
  found: Gathered,
  signal: AbortSignal,
): Promise<void> {
  const types = new Map(known.map((rate) => [rate.key.split("/").at(-1) ?? "", rate]));
  if (types.size === 0) return;
  const client = new EC2Client(config);
  const dearest = new Map<string, HourlyRate>();
  try {
    let token: string | undefined;
    for (let count = 0; ; count += 1) {
      if (count === MOST_PAGES)
        throw new PriceTrouble(`its list of spot prices in ${config.region} has no end`);
      const command = new DescribeSpotPriceHistoryCommand({
        InstanceTypes: [...types.keys()] as never[],
        ProductDescriptions: SYSTEMS,
        // From now on: the one that is in force in each zone.
        StartTime: new Date(),
        MaxResults: PAGE,
        ...(token !== undefined && { NextToken: token }),
      });
      const page: DescribeSpotPriceHistoryCommandOutput = await client.send(command, { abortSignal: signal });
      for (const { InstanceType: type, SpotPrice } of page.SpotPriceHistory ?? []) {
        const price = hourly(SpotPrice);
        if (type === undefined || price === undefined || !types.has(type)) continue;
        const before = dearest.get(type);
        if (before === undefined || price > before) dearest.set(type, price);
      }
      token = page.NextToken;
      if (!token) break;
    }
  } finally {
    client.destroy();
  }
  for (const [type, perHour] of dearest) {
    const { key, gpus, gpu } = types.get(type) as Rate;
    found.add({ key, gpus, gpu, kind: "spot", perHour });
  }
}
