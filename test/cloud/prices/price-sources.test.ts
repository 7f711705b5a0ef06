// Live prices as their providers send them, over real sockets and through the thread that fetches: what becomes
// a row, what is left out, and what is said of a list that misbehaves. AWS is asked by its own client.

import test, { type ExecutionContext } from "ava";
import { endpointRegion } from "../../../src/cloud/prices/aws-prices.ts";
import type { Fetched, PriceAsk } from "../../../src/cloud/prices/price-source.ts";
import { fetchPrices } from "../../../src/cloud/prices/price-thread.ts";
import { formatUsd } from "../../../src/metering/money.ts";
import { awsError, awsPriceList, G5, type Product } from "../../support/clouds/aws-price-list.ts";
import { azureRetail, type Item } from "../../support/clouds/azure-retail.ts";
import { A2, gcpCatalogue, type Sku } from "../../support/clouds/gcp-catalogue.ts";
import { lambda, runpod } from "../../support/clouds/pod-prices.ts";
import type { PriceServer } from "../../support/clouds/price-server.ts";

// One after another: each starts a thread.
const KEYS = {
  ...{ aws: "AKIAEXAMPLE:secret-of-aws", azure: undefined, gcp: "secret-of-gcp" },
  ...{ runpod: "secret-of-runpod", lambda: "secret-of-lambda" },
};
const REGIONS = { aws: ["us-east-1"], azure: ["eastus"], gcp: ["us-central1"], runpod: [], lambda: [] };

function ask(
  source: PriceAsk["source"],
  server: PriceServer,
  over: Partial<PriceAsk> = {},
): Promise<Fetched> {
  const { signal } = new AbortController();
  const asked: PriceAsk = {
    ...{ source, regions: REGIONS[source], asOf: "2026-11-28T10:00:00Z", endpoint: server.origin },
    ...{ key: KEYS[source], profile: undefined, timeoutMs: 20_000, pauseMs: 20 },
    ...over,
  };
  return fetchPrices(asked, signal);
}

/** One line a row, in the order of the list. */
function linesOf(fetched: Fetched): readonly string[] {
  if (fetched.kind === "trouble") return [`trouble: ${fetched.why}`];
  const rows = fetched.rates.map(
    ({ key, kind, perHour, gpus }) => `${key} ${kind} ${formatUsd(perHour)} x${gpus}`,
  );
  return [...rows, ...fetched.notes];
}

async function check(
  t: ExecutionContext,
  source: PriceAsk["source"],
  server: PriceServer,
  expected: readonly string[],
  over: Partial<PriceAsk> = {},
) {
  t.teardown(() => server.close());
  const fetched = await ask(source, server, over);
  t.deepEqual(linesOf(fetched), expected);
  for (const secret of ["secret-of", "secret-name", server.origin]) {
    t.false(JSON.stringify(linesOf(fetched)).includes(secret), "a secret or an address is told");
  }
}

const aws = (...products: readonly Product[]) => awsPriceList(products);
/** Of the price list, without those of EC2. */
const pagesOf = (list: PriceServer) => list.got.filter(({ headers }) => headers["x-amz-target"]).length;

test.serial("A44: AWS: on-demand Linux machines with GPUs, each price as it is written", async (t) => {
  const list = await aws(
    G5,
    { type: "p4d.24xlarge", usd: "21.9576420000", gpus: "8" },
    { type: "g6f.large", usd: "0.2012345678", gpus: "0.125" },
    { type: "c5.large", usd: "0.0850000000" },
    { type: "p5.48xlarge", usd: "0.0000000000", gpus: "8" },
    { type: "p5.4xlarge", usd: "6.8800000000", gpus: "1", marketoption: "CapacityBlock" },
    { ...G5, usd: "1.7000000000", os: "Windows" },
    { ...G5, usd: "1.9000000000", region: "eu-west-1" },
  );
  await check(t, "aws", list, [
    "aws/us-east-1/g5.xlarge on_demand 1.006 x1",
    "aws/us-east-1/p4d.24xlarge on_demand 21.957642 x8",
    "aws/us-east-1/g6f.large on_demand 0.201234568 x0.125",
  ]);
  const { Filters } = JSON.parse(list.got[0]?.body ?? "{}") as {
    Filters: { Field: string; Value: string }[];
  };
  t.true(Filters.some(({ Field, Value }) => Field === "marketoption" && Value === "OnDemand"));
});

test.serial("AWS: all pages of all regions, and a region without any is told", async (t) => {
  const many = Array.from({ length: 250 }, (_, at) => ({ ...G5, type: `g5.t${at}` }));
  const list = await awsPriceList([...many, { ...G5, region: "us-west-2" }], 100);
  t.teardown(() => list.close());
  const fetched = await ask("aws", list, { regions: ["us-east-1", "us-west-2", "us-moon-1"] });
  t.is(fetched.kind === "prices" && fetched.rates.length, 251);
  t.deepEqual(linesOf(fetched).slice(251), ["it has no GPU machine in us-moon-1"]);
  t.is(pagesOf(list), 5);
});

test.serial("AWS: throttled, its client waits and asks again", async (t) => {
  const list = await aws(G5);
  list.misbehave(awsError(400, "ThrottlingException"), awsError(500, "InternalErrorException"));
  await check(t, "aws", list, ["aws/us-east-1/g5.xlarge on_demand 1.006 x1"]);
  t.is(pagesOf(list), 3);
});

test.serial("AWS: what it refuses is told with what to do, and without who asked", async (t) => {
  const list = await aws(G5);
  list.misbehave(awsError(400, "AccessDeniedException"));
  await check(t, "aws", list, [
    "trouble: it refused the credentials (AccessDeniedException): they need pricing:GetProducts",
  ]);
  const other = await aws(G5);
  const wrong = "trouble: its credentials are not KEY_ID:SECRET: write them so where the policy reads them";
  await check(t, "aws", other, [wrong], { key: "secret-of-aws" });
});

test.serial(
  "AWS: a machine on spot costs what its dearest zone asks, and only machines with GPUs do",
  async (t) => {
    const list = await aws(G5, { ...G5, type: "g4dn.xlarge", usd: "0.5260000000" });
    list.spots = [
      { type: "g5.xlarge", zone: "us-east-1a", usd: "0.401200" },
      { type: "g5.xlarge", zone: "us-east-1b", usd: "0.432100" },
      { type: "g5.xlarge", zone: "us-east-1c", usd: "0.398000" },
      { type: "m7i.large", zone: "us-east-1a", usd: "0.040000" },
      { type: "g4dn.xlarge", zone: "us-east-1a", usd: "0.000000" },
    ];
    await check(t, "aws", list, [
      "aws/us-east-1/g5.xlarge on_demand 1.006 x1",
      "aws/us-east-1/g4dn.xlarge on_demand 0.526 x1",
      "aws/us-east-1/g5.xlarge spot 0.4321 x1",
    ]);
  },
);

test.serial(
  "AWS: a login that may not ask for spot prices still has those on demand, and is told so",
  async (t) => {
    const list = await aws(G5);
    list.refuseSpot = "UnauthorizedOperation";
    const refused =
      "it refused the credentials (UnauthorizedOperation): they need ec2:DescribeSpotPriceHistory";
    await check(t, "aws", list, [
      "aws/us-east-1/g5.xlarge on_demand 1.006 x1",
      `it has no spot prices in us-east-1: ${refused}`,
    ]);
  },
);

test.serial("AWS: a product that is no JSON is told, one that is no machine is left out", async (t) => {
  await check(t, "aws", await aws({ ...G5, raw: "{" }), ["trouble: one of its products is no JSON"]);
  const odd = await aws(G5, { ...G5, raw: '{"product":{}}' }, { ...G5, type: "../../x" });
  await check(t, "aws", odd, ["aws/us-east-1/g5.xlarge on_demand 1.006 x1"]);
});

test.serial("AWS: of two figures the one in force counts, not the one to come", async (t) => {
  const list = await aws(
    { ...G5, usd: "3.0000000000", effective: "2026-12-01T00:00:00Z" },
    { ...G5, usd: "2.0000000000", effective: "2026-11-01T00:00:00Z" },
    { ...G5, usd: "1.0000000000", effective: "2026-07-01T00:00:00Z" },
  );
  await check(t, "aws", list, ["aws/us-east-1/g5.xlarge on_demand 2.00 x1"]);
});

test.serial("AWS is asked where the API lives", (t) => {
  const regions = ["us-east-1", "eu-west-3", "ap-northeast-1", "sa-east-1", ""];
  t.deepEqual(regions.map(endpointRegion), [
    ...["us-east-1", "eu-central-1", "ap-south-1", "us-east-1", "us-east-1"],
  ]);
});

const T4: Item = { sku: "Standard_NC4as_T4_v3", price: "0.526" };

test.serial(
  "A45: Azure: Spot is spot, Windows and Low Priority are left out, figures are exact in any notation",
  async (t) => {
    const list = await azureRetail([
      { ...T4, price: "0.71", windows: true },
      T4,
      { ...T4, price: "0.105", offer: "Spot" },
      { ...T4, price: "0.104", offer: "Low Priority" },
      { ...T4, price: "0.3", windows: true, offer: "Spot" },
      { sku: "Standard_NC6s_v3", price: "3.06E+0" },
      { sku: "Standard_NV36ads_A10_v5", price: "0.10000000000000000555" },
      { sku: "Standard_D2s_v3", price: "0.1" },
      { sku: "Standard_NC24s_v3", price: "0.0" },
      { sku: "Standard_ND96asr_v4", price: "11", currency: "EUR" },
      { ...T4, price: "9", region: "westeurope" },
    ]);
    await check(t, "azure", list, [
      "azure/eastus/Standard_NC4as_T4_v3 on_demand 0.526 x0",
      "azure/eastus/Standard_NC4as_T4_v3 spot 0.105 x0",
      "azure/eastus/Standard_NC6s_v3 on_demand 3.06 x0",
      "azure/eastus/Standard_NV36ads_A10_v5 on_demand 0.100000001 x0",
    ]);
  },
);

test.serial("Azure: a thousand rows a page, and rows that shift between pages count once", async (t) => {
  const many = Array.from({ length: 2_500 }, (_, at) => ({ ...T4, sku: `Standard_NC${at}` }));
  const list = await azureRetail(many);
  t.teardown(() => list.close());
  list.afterPage = () => {
    list.items = [{ ...T4, sku: `Standard_ND${list.got.length}` }, ...list.items];
  };
  const fetched = await ask("azure", list);
  const keys = fetched.kind === "prices" ? fetched.rates.map(({ key }) => key) : [];
  t.is(new Set(keys).size, keys.length);
  t.is(keys.filter((key) => key.includes("_NC")).length, 2_500);
  t.is(list.got.length, 3);
});

test.serial("Azure: turned away with 429 it waits and asks again, and gives up in the end", async (t) => {
  const busy = { kind: "status", status: 429 } as const;
  const list = await azureRetail([T4]);
  list.misbehave(busy, { kind: "status", status: 503 }, { kind: "cut" });
  await check(t, "azure", list, ["azure/eastus/Standard_NC4as_T4_v3 on_demand 0.526 x0"]);
  t.is(list.got.length, 4);
  const never = await azureRetail([T4]);
  never.misbehave(busy, busy, busy, busy);
  await check(t, "azure", never, ["trouble: it is asked too often (429)"]);
  t.is(never.got.length, 4);
});

test.serial("Azure: a pause that the list asks for is kept", async (t) => {
  const list = await azureRetail([T4]);
  list.misbehave({ kind: "status", status: 429, headers: { "retry-after": "1" } });
  await check(t, "azure", list, ["azure/eastus/Standard_NC4as_T4_v3 on_demand 0.526 x0"]);
  const [first = 0, second = 0] = list.got.map(({ at }) => at);
  t.true(second - first >= 990, `${second - first} ms`);
});

test.serial("a list that hangs, is no JSON, or has nothing is told in a sentence", async (t) => {
  const list = await azureRetail([T4]);
  list.misbehave({ kind: "hang" });
  await check(t, "azure", list, ["trouble: it took longer than 1 s"], { timeoutMs: 1000 });
  const broken = await azureRetail([T4]);
  broken.misbehave({ kind: "status", status: 200, body: '{"Items": [' });
  await check(t, "azure", broken, ["trouble: its answer is no JSON"]);
  const other = await azureRetail([T4]);
  other.misbehave({ kind: "status", status: 200, body: '{"hello": 1}' });
  await check(t, "azure", other, ["trouble: its answer is no page of prices"]);
  await check(t, "azure", await azureRetail([]), ["trouble: it has no price of a machine with a GPU"]);
  const moved = await azureRetail([T4]);
  moved.misbehave({ kind: "status", status: 302, headers: { location: "http://169.254.169.254/" } });
  await check(t, "azure", moved, ["trouble: it answered 302"]);
});

test.serial(
  "AWS: a list that hangs ends with its time, and so does a fetch when the gateway stops",
  async (t) => {
    const list = await aws(G5);
    list.misbehave({ kind: "hang" }, { kind: "hang" });
    await check(t, "aws", list, ["trouble: it took longer than 2 s"], { timeoutMs: 2000 });
    const stopping = new AbortController();
    const asked = {
      source: "aws",
      regions: ["us-east-1"],
      asOf: "",
      endpoint: list.origin,
      key: KEYS.aws,
    } as const;
    const running = fetchPrices(
      { ...asked, profile: undefined, timeoutMs: 60_000, pauseMs: 1 },
      stopping.signal,
    );
    stopping.abort();
    t.deepEqual(await running, { kind: "trouble", why: "the gateway stops" });
  },
);

test.serial("A46: Google: a machine's price is composed of its parts, to the nano-dollar", async (t) => {
  const list = await gcpCatalogue(KEYS.gcp, A2);
  await check(t, "gcp", list, [
    "gcp/us-central1/a2-highgpu-1g on_demand 3.673385 x1",
    "gcp/us-central1/a2-highgpu-2g on_demand 7.34677 x2",
    "gcp/us-central1/a2-highgpu-4g on_demand 14.69354 x4",
    "gcp/us-central1/a2-highgpu-8g on_demand 29.38708 x8",
    "gcp/us-central1/a2-megagpu-16g on_demand 55.739504 x16",
  ]);
});

test.serial(
  "Google: reserved, premium, other money and other regions are no part of it; spot and disk are",
  async (t) => {
    const [gpu, memory, core] = A2 as [Sku, Sku, Sku];
    const list = await gcpCatalogue(
      KEYS.gcp,
      [
        ...A2,
        { ...gpu, description: "Reserved Nvidia Tesla A100 GPU in Americas", units: "9" },
        { ...core, description: "A2 Sole Tenancy Instance Core in Americas", nanos: 900_000_000 },
        { ...memory, currency: "IDR", units: "68" },
        { ...core, nanos: 800_000_000, regions: ["asia-south1"] },
        { description: "Nvidia Tesla A100 80GB GPU running in Americas", units: "3", nanos: 927_080_000 },
        { description: "SSD backed Local Storage", group: "LocalSSD", unit: "GiBy.mo", nanos: 80_000_000 },
        { ...gpu, description: `Spot Preemptible ${gpu.description}`, usage: "Preemptible", units: "1" },
        { ...memory, description: `Spot Preemptible ${memory.description}`, usage: "Preemptible" },
        { ...core, description: `Spot Preemptible ${core.description}`, usage: "Preemptible", nanos: 1 },
      ],
      4,
    );
    t.teardown(() => list.close());
    const lines = linesOf(await ask("gcp", list));
    const of = (type: string) => lines.filter((line) => line.includes(`/${type} `));
    t.deepEqual(of("a2-highgpu-1g"), [
      "gcp/us-central1/a2-highgpu-1g on_demand 3.673385 x1",
      "gcp/us-central1/a2-highgpu-1g spot 2.294053012 x1",
    ]);
    // 12 cores, 170 GiB, one GPU, and 375 GiB x 0.08 USD / 730 h rounded up.
    t.deepEqual(of("a2-ultragpu-1g"), ["gcp/us-central1/a2-ultragpu-1g on_demand 5.067797891 x1"]);
    t.is(list.got.length, 3);
  },
);

test.serial("Google: of several figures the latest that is in force counts", async (t) => {
  const [gpu, ...others] = A2 as [Sku, Sku, Sku];
  const then = [
    { at: "2026-09-25T00:00:00Z", units: "3", nanos: 101_560_000 },
    { at: "2027-01-01T00:00:00Z", units: "9", nanos: 0 },
  ];
  const list = await gcpCatalogue(KEYS.gcp, [{ ...gpu, then }, ...others]);
  t.teardown(() => list.close());
  t.is(linesOf(await ask("gcp", list))[0], "gcp/us-central1/a2-highgpu-1g on_demand 3.841037 x1");
});

test.serial("Google: without a key, or with a wrong one, it says which", async (t) => {
  const list = await gcpCatalogue("another", A2);
  const refused = "trouble: it answered 403: look at its key, and at what that key may do";
  await check(t, "gcp", list, [refused]);
  t.is(list.got.length, 1, "what is refused is not asked again");
  const needs = "trouble: it needs an API key: name it with prices.access.gcp.key";
  await check(t, "gcp", await gcpCatalogue("another", A2), [needs], { key: undefined });
});

test.serial(
  "B48: RunPod: secure, community and the dearer spot by the name of the GPU; a null is no price",
  async (t) => {
    const pods = {
      "H100 SXM": ["3.99", "2.69", "1.75", "1.5"],
      "RTX 4090": ["0.74", "null", "0", "0.34"],
      MI300X: ["0", "null"],
    } as const;
    await check(t, "runpod", await runpod(KEYS.runpod, pods), [
      "runpod/any/pod-H100-SXM secure 3.99 x1",
      "runpod/any/pod-H100-SXM community 2.69 x1",
      "runpod/any/pod-H100-SXM spot 1.75 x1",
      "runpod/any/pod-RTX-4090 secure 0.74 x1",
      "runpod/any/pod-RTX-4090 spot 0.34 x1",
    ]);
    const refused = "trouble: its answer has no prices: look at its key";
    await check(t, "runpod", await runpod("another", pods), [refused]);
  },
);

test.serial("Lambda: cents an hour, exact, with the GPUs of its name", async (t) => {
  const cents = { gpu_1x_a10: "129", gpu_8x_a100_80gb_sxm4: "2232", cpu_4x: "0", odd: '"1e3"' };
  await check(t, "lambda", await lambda(KEYS.lambda, cents), [
    "lambda/all/gpu_1x_a10 on_demand 1.29 x1",
    "lambda/all/gpu_8x_a100_80gb_sxm4 on_demand 22.32 x8",
  ]);
  const refused = "trouble: it answered 401: look at its key, and at what that key may do";
  await check(t, "lambda", await lambda("another", cents), [refused]);
});
