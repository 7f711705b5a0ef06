// Turns a table of prices into config/rates.yaml: node tools/make-rates.ts ratecard.csv > config/rates.yaml
// The table is CSV with a first line of names; used are provider, kind, region, instance_type, gpu_model,
// gpu_count, usd_per_hour, spot_usd_per_hour, as_of and source. Figures are copied as text and never become
// numbers.

import { readFileSync } from "node:fs";

type Row = ReadonlyMap<string, string>;

/** How a source is cited, by what its text in the table begins with. */
const SOURCES = [
  {
    id: "aws",
    begins: "aws/karpenter-provider-aws@1d927085",
    cite: "AWS Price List API, in aws/karpenter-provider-aws@1d927085 zz_generated.pricing_aws.go",
  },
  {
    id: "azure",
    begins: "Azure/karpenter-provider-azure@352646f5",
    cite: "Azure Retail Prices API, in Azure/karpenter-provider-azure@352646f5 zz_generated.pricing.go",
  },
  {
    id: "gcp",
    begins: "Cyclenerd/google-cloud-pricing-cost-calculator@fd66b26f",
    cite: "Cloud Billing Catalog, in Cyclenerd/google-cloud-pricing-cost-calculator@fd66b26f; with local SSD",
  },
  {
    id: "gcp-t4",
    begins: "n1: Cyclenerd/google-cloud-pricing-cost-calculator@fd66b26f",
    cite: "machine: as gcp; T4: SkyPilot catalog v8 of 2026-09-25, quoted by a third party",
  },
  {
    id: "lambda",
    begins: "skypilot-org/skypilot-catalog@0f407038",
    cite: "skypilot-org/skypilot-catalog@0f407038 catalogs/v8/lambda/vms.csv",
  },
  {
    id: "lambda-page",
    begins: "tgarg01/silybench-data",
    cite: "lambda.ai/pricing, in tgarg01/silybench-data derived/cost.json",
  },
  {
    id: "runpod-page",
    begins: "datareceipts/data-receipts",
    cite: "runpod.io/pricing, in datareceipts/data-receipts 109-gpu-pricing/vendors.json",
  },
  {
    id: "runpod",
    begins: "third-party test fixture quoting skypilot-catalog v8",
    cite: "SkyPilot catalog v8 of 2026-09-25, quoted by a third party",
  },
  {
    id: "runpod-flex",
    begins: "runpod/docs@a900806e",
    cite: "runpod/docs@a900806e snippets/serverless-gpu-pricing-table.mdx, price a second x 3600",
  },
  {
    id: "nvidia-licence",
    begins: "fundalyst.xyz",
    cite: "NVIDIA Enterprise Licensing Guide, quoted by fundalyst.xyz",
  },
  {
    id: "nvidia-hosted",
    begins: "steipete/CodexBar#2498",
    cite: "NVIDIA staff in its forums, in steipete/CodexBar#2498 and diegosouzapw/OmniRoute#6846, #7726",
  },
] as const;

/** What a reader of a price should know, by key. */
const REMARKS: Readonly<Record<string, string>> = {
  "azure/eastus/Standard_NC48ads_A100_v4": "9.554 was seen on 2026-11-09",
  "azure/eastus/Standard_NC96ads_A100_v4": "19.108 was seen on 2026-11-09",
  "azure/eastus/Standard_NC80adis_H100_v5": "17.64 was seen on 2026-11-09",
  "gcp/us-central1/a3-highgpu-1g": "can be ordered as spot only",
  "nvidia/any/NVIDIA-AI-Enterprise-marketplace-pay-as-you-go":
    "per GPU; 4500 USD a GPU and year by subscription",
  "nvidia/any/build.nvidia.com-ai.api.nvidia.com-trial":
    "free trial with a request rate limit, no published price",
};

const ORIGIN_DATE = "2025-11-08";
const ORIGIN = [
  { gpu: "cpu", gpus: 0, usd: "0.00", kind: "on_demand", remark: "the workstation's own" },
  { gpu: "local_gpu", gpus: 1, usd: "0.00", kind: "on_demand", remark: "the workstation's own" },
  { gpu: "rtx_3060", gpus: 1, usd: "0.10", kind: "spot", remark: "RunPod" },
  { gpu: "rtx_4000_ada", gpus: 1, usd: "0.15", kind: "spot", remark: "RunPod, the origin's recommendation" },
  { gpu: "rtx_4090", gpus: 1, usd: "0.40", kind: "on_demand", remark: "RunPod" },
  { gpu: "a40", gpus: 1, usd: "0.50", kind: "on_demand", remark: "RunPod" },
] as const;

const TIERS = [
  { provider: "aws", tier: "t4", rate: "aws/us-east-1/g4dn.xlarge", is: "1 x T4" },
  { provider: "aws", tier: "a10g", rate: "aws/us-east-1/g5.xlarge", is: "1 x A10G" },
  { provider: "aws", tier: "a100", rate: "aws/us-east-1/p4d.24xlarge", is: "8 x A100 40 GB" },
  { provider: "azure", tier: "t4", rate: "azure/eastus/Standard_NC6s_v3", is: "1 x V100" },
  { provider: "azure", tier: "a10g", rate: "azure/eastus/Standard_NC24s_v3", is: "4 x V100" },
  { provider: "azure", tier: "a100", rate: "azure/eastus/Standard_ND96asr_v4", is: "8 x A100 40 GB" },
  { provider: "gcp", tier: "t4", rate: "gcp/us-central1/n1-standard-4+nvidia-tesla-t4", is: "1 x T4" },
  { provider: "gcp", tier: "a10g", rate: "gcp/us-central1/a2-highgpu-1g", is: "1 x A100 40 GB" },
  { provider: "gcp", tier: "a100", rate: "gcp/us-central1/a2-highgpu-4g", is: "4 x A100 40 GB" },
] as const;

const HEAD = `\
# The shipped price list. Made by tools/make-rates.ts: change the table it is made from, not this file.
#
# key           provider/region/instance type, letters as the provider writes them; every run of characters that
#               are not letters, digits, ".", "_", "+" or "-" is one "-" ("pod H100-SXM" is pod-H100-SXM)
# usd_per_hour  for the whole machine
# gpus          of the whole machine; a fraction where machines share one, 0 where it is not a machine
# as_of         the day of the figure; list prices moved within 2026, so mind the age
# source        an id of sources
`;

const table = process.argv[2];
if (table === undefined) {
  console.error("usage: node tools/make-rates.ts ratecard.csv > config/rates.yaml");
  process.exit(2);
}
process.stdout.write(document(parseCsv(readFileSync(table, "utf8"))));

function document(rows: readonly Row[]): string {
  const sources = SOURCES.map(({ id, cite }) => `  ${id}: ${JSON.stringify(cite)}`);
  return [
    HEAD,
    "sources:",
    ...sources,
    "  origin: origin",
    "",
    "rates:",
    ...rows.flatMap(ratesOf),
    "  # The six GPU types of the document that BudgetGuard began with; as_of is that document's date.",
    ...ORIGIN.map(originRate),
    "",
    "# What TechOps means by a GPU tier at each provider, in its default region. The name of a tier does not",
    "# name the GPU: the machine behind it is what is billed.",
    "tiers:",
    ...TIERS.map(({ is, ...alias }) => `  - ${flow(alias)} # ${is}`),
    "",
  ].join("\n");
}

/** One line for the row's own kind, and one for spot where that is known. */
function ratesOf(row: Row): readonly string[] {
  const key = [row.get("provider"), row.get("region"), row.get("instance_type")].map(keyPart).join("/");
  const gpu = cell(row, "gpu_model").toLowerCase();
  const rate = (kind: string, usd: string) => {
    const fields = {
      key,
      kind,
      ...(gpu === "any" ? {} : { gpu }),
      gpus: cell(row, "gpu_count") || 0,
      usd_per_hour: usd,
      as_of: cell(row, "as_of"),
      source: sourceId(cell(row, "source")),
    };
    const remark = kind === "spot" ? undefined : REMARKS[key];
    return `  - ${flow(fields)}${remark === undefined ? "" : ` # ${remark}`}`;
  };
  const spot = cell(row, "spot_usd_per_hour");
  return [rate(cell(row, "kind"), cell(row, "usd_per_hour")), ...(spot === "" ? [] : [rate("spot", spot)])];
}

function originRate({ gpu, gpus, usd, kind, remark }: (typeof ORIGIN)[number]): string {
  const name = gpu === "cpu" || gpu === "local_gpu" ? {} : { gpu };
  const price = { usd_per_hour: usd, as_of: ORIGIN_DATE, source: "origin" };
  return `  - ${flow({ key: `origin/${gpu}`, kind, ...name, gpus, ...price })} # ${remark}`;
}

function flow(fields: Readonly<Record<string, string | number>>): string {
  return `{ ${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ")} }`;
}

function keyPart(text: string | undefined): string {
  return (text ?? "").replace(/[^A-Za-z0-9._+-]+/g, "-").replace(/^-+|-+$/g, "");
}

function sourceId(text: string): string {
  const source = SOURCES.find(({ begins }) => text.startsWith(begins));
  if (source === undefined)
    throw new Error(`unknown source "${text}": add it to SOURCES in tools/make-rates.ts`);
  return source.id;
}

function cell(row: Row, name: string): string {
  const value = row.get(name);
  if (value === undefined) throw new Error(`the table has no column ${name}`);
  return value.trim();
}

/** RFC 4180: quoted cells may hold commas and doubled quotes. */
function parseCsv(text: string): readonly Row[] {
  const [names = [], ...rows] = text.split(/\r?\n/).filter(Boolean).map(parseLine);
  return rows.map((cells) => new Map(names.map((name, index) => [name, cells[index] ?? ""])));
}

function parseLine(line: string): readonly string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
  );
}
