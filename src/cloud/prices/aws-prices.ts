// The AWS Price List Query API, through AWS' own client: it signs, and finds credentials wherever AWS' tools
// look for them. Imported only in the thread that fetches. Linux machines with GPUs, on demand; what they
// cost on spot is asked of another API (aws-spot.ts).

import { GetProductsCommand, type GetProductsCommandOutput, PricingClient } from "@aws-sdk/client-pricing";
import { z } from "zod";
import { addSpot } from "./aws-spot.ts";
import {
  Gathered,
  hourly,
  type PriceAsk,
  type PriceSource,
  PriceTrouble,
  parseExact,
} from "./price-source.ts";

/** Pages of 100 machines in one region. */
const MOST_PAGES = 100;

/** Without marketoption a CapacityBlock offer at 0 comes back as well. */
const FILTERS = {
  operatingSystem: "Linux",
  preInstalledSw: "NA",
  tenancy: "Shared",
  capacitystatus: "Used",
  marketoption: "OnDemand",
  productFamily: "Compute Instance",
};

export const awsPrices: PriceSource = {
  async fetch(ask: PriceAsk, signal: AbortSignal): Promise<Gathered> {
    const found = new Gathered("AWS Price List API", ask.asOf);
    const client = clientOf(ask);
    try {
      for (const region of ask.regions) {
        await ofRegion(client, region, found, signal);
        await spotOf(ask, region, found, signal);
      }
    } catch (error) {
      if (signal.aborted || error instanceof PriceTrouble) throw error;
      throw new PriceTrouble(wordsOf(error), { cause: error });
    } finally {
      client.destroy();
    }
    return found;
  },
};

function clientOf(ask: PriceAsk): PricingClient {
  return new PricingClient({ region: endpointRegion(ask.regions[0] ?? ""), ...accessOf(ask) });
}

function accessOf({ endpoint, key, profile }: PriceAsk) {
  const credentials = key === undefined ? undefined : loginOf(key);
  return {
    maxAttempts: 4,
    // The default reads files of the machine that may name other endpoints; a policy says it itself.
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
    ...(profile !== undefined && { profile }),
  };
}

/** A login that may not ask for them still has the prices on demand. */
async function spotOf(ask: PriceAsk, region: string, found: Gathered, signal: AbortSignal): Promise<void> {
  const onDemand = found.rates.filter(
    ({ key, kind }) => kind === "on_demand" && key.startsWith(`aws/${region}/`),
  );
  try {
    await addSpot({ region, ...accessOf(ask) }, onDemand, found, signal);
  } catch (error) {
    if (signal.aborted || error instanceof PriceTrouble) throw error;
    const why = wordsOf(error, "ec2:DescribeSpotPriceHistory");
    found.notes.push(`it has no spot prices in ${region}: ${why}`);
  }
}

/** The API lives in three regions and tells the prices of all; at another name nobody answers. */
export function endpointRegion(region: string): string {
  if (region.startsWith("ap-")) return "ap-south-1";
  return region.startsWith("eu-") ? "eu-central-1" : "us-east-1";
}

/** "KEY_ID:SECRET", with ":SESSION_TOKEN" behind it where there is one. */
function loginOf(key: string) {
  const [accessKeyId, secretAccessKey, ...rest] = key.split(":");
  if (!accessKeyId || !secretAccessKey) {
    throw new PriceTrouble(
      "its credentials are not KEY_ID:SECRET: write them so where the policy reads them",
    );
  }
  return { accessKeyId, secretAccessKey, ...(rest.length > 0 && { sessionToken: rest.join(":") }) };
}

async function ofRegion(
  client: PricingClient,
  region: string,
  found: Gathered,
  signal: AbortSignal,
): Promise<void> {
  const wanted = Object.entries({ regionCode: region, ...FILTERS });
  const Filters = wanted.map(([Field, Value]) => ({ Type: "TERM_MATCH" as const, Field, Value }));
  const before = found.rates.length;
  let token: string | undefined;
  for (let count = 0; ; count += 1) {
    if (count === MOST_PAGES) throw new PriceTrouble(`its list of ${region} has no end`);
    const asked = { ServiceCode: "AmazonEC2", FormatVersion: "aws_v1", MaxResults: 100, Filters };
    const command = new GetProductsCommand({ ...asked, ...(token !== undefined && { NextToken: token }) });
    const page: GetProductsCommandOutput = await client.send(command, { abortSignal: signal });
    for (const product of page.PriceList ?? []) take(String(product), region, found);
    token = page.NextToken;
    if (!token) break;
  }
  if (found.rates.length === before) found.notes.push(`it has no GPU machine in ${region}`);
}

const dimension = z.object({ unit: z.literal("Hrs"), pricePerUnit: z.object({ USD: z.string() }) });
const product = z.object({
  product: z.object({
    attributes: z.object({
      regionCode: z.string(),
      instanceType: z.string(),
      gpu: z.string().regex(/^\d{1,3}(\.\d{1,6})?$/),
      marketoption: z.literal("OnDemand"),
    }),
  }),
  terms: z.object({
    OnDemand: z.record(
      z.string(),
      z.object({ effectiveDate: z.string().optional(), priceDimensions: z.record(z.string(), dimension) }),
    ),
  }),
});

/** Each product is JSON in a text of its own. One that is no machine with a GPU is none of ours. */
function take(text: string, region: string, found: Gathered): void {
  let given: unknown;
  try {
    given = parseExact(text);
  } catch {
    throw new PriceTrouble("one of its products is no JSON");
  }
  const read = product.safeParse(given);
  if (!read.success) return;
  const { attributes } = read.data.product;
  if (attributes.regionCode !== region) return;
  for (const { effectiveDate, priceDimensions } of Object.values(read.data.terms.OnDemand)) {
    for (const { pricePerUnit } of Object.values(priceDimensions)) {
      found.add({
        key: `aws/${region}/${attributes.instanceType}`,
        kind: "on_demand",
        perHour: hourly(pricePerUnit.USD),
        gpus: Number(attributes.gpu),
        effective: effectiveDate,
      });
    }
  }
}

/** By AWS' own names for what went wrong; its messages may hold the caller's identity. */
function wordsOf(error: unknown, action = "pricing:GetProducts"): string {
  const name = error instanceof Error ? error.name : "";
  if (REFUSED.some((word) => name.includes(word))) {
    return `it refused the credentials (${name}): they need ${action}`;
  }
  if (/CredentialsProvider/.test(name)) {
    return "no AWS credentials were found: name them with providers.aws.credentials";
  }
  if (/Throttl|TooManyRequests|LimitExceeded/.test(name)) return `it is asked too often (${name})`;
  const code = error instanceof Error && "code" in error ? String(error.code) : name;
  return `it could not be asked (${/^\w{1,64}$/.test(code) ? code : "unknown error"})`;
}

const REFUSED = [
  ...["AccessDenied", "UnauthorizedOperation", "AuthFailure", "NotAuthorized", "UnrecognizedClient"],
  ...["InvalidSignature", "ExpiredToken", "InvalidClientToken"],
];
