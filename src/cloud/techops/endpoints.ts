// Where TechOps' tools say that NIMs are: `nim_endpoints` of an exported file, leniently, because three
// shapes of it are about, and the records of ~/.budgetguard_techops/endpoints.json.

import type { Provider } from "../../policy/policy.ts";
import { url as policyUrl } from "../../policy/schema/addresses.ts";
import { isMapping, lineOf, named, type Oddities } from "./oddities.ts";

/** One address under a node and a provider. */
export interface Endpoint {
  /** As TechOps call it: "FLUX Dev". */
  readonly node: string;
  readonly provider: Provider;
  /** One that a policy may have. */
  readonly url: string;
  /** Lower case. */
  readonly tier: string | undefined;
}

/** What was deployed, by its provider's names; each record lacks some of them. */
export interface Deployment {
  readonly node: string;
  readonly provider: Provider;
  readonly url: string | undefined;
  readonly tier: string | undefined;
  readonly instance: string | undefined;
  readonly region: string | undefined;
  readonly cluster: string | undefined;
  readonly service: string | undefined;
  readonly subscription: string | undefined;
  readonly resourceGroup: string | undefined;
  readonly project: string | undefined;
  readonly zone: string | undefined;
  readonly pool: string | undefined;
  readonly namespace: string | undefined;
  /** The provider's own, as the rate card may have it: "g5.xlarge", "n1-standard-4+nvidia-tesla-t4". */
  readonly machineType: string | undefined;
}

/** More are not read: a policy has at most 256 KiB. */
export const MOST_ENDPOINTS = 500;

const PROVIDER_NAMES: Readonly<Record<string, Provider>> = {
  aws: "aws",
  azure: "azure",
  gcp: "gcp",
  google: "gcp",
  "nvidia-hosted": "nvidia-hosted",
  nvidia: "nvidia-hosted",
  local: "local",
  localhost: "local",
};

/** `map`: node → provider → addresses. */
export function readEndpoints(map: Readonly<Record<string, unknown>>, odd: Oddities): readonly Endpoint[] {
  const found: Endpoint[] = [];
  for (const [node, providers] of Object.entries(map)) {
    const name = lineOf(node, 100);
    if (name === undefined) odd.tell(`the node ${named(node)} has no name that can be shown: left out`);
    else if (!isMapping(providers)) odd.tell(`${named(node)} is no mapping of providers: left out`);
    else
      for (const [key, value] of Object.entries(providers)) found.push(...ofProvider(name, key, value, odd));
  }
  if (found.length > MOST_ENDPOINTS) {
    odd.tell(`there are ${found.length} endpoints: only the first ${MOST_ENDPOINTS} are read`);
  }
  return found.slice(0, MOST_ENDPOINTS);
}

function ofProvider(node: string, key: string, value: unknown, odd: Oddities): readonly Endpoint[] {
  const provider = providerOf(key, odd);
  const where = `${named(node)}, ${named(key)}`;
  return entriesOf(value, where, odd).flatMap(({ entry, tier }): Endpoint[] => {
    const url = urlOf(typeof entry === "string" ? entry : (entry.url ?? entry.endpoint), where, odd);
    if (url === undefined) return [];
    const written = typeof entry === "string" ? tier : (entry.gpu_tier ?? entry.tier ?? tier);
    return [{ node, provider, url, tier: tierOf(written, where, odd) }];
  });
}

interface Entry {
  readonly entry: string | Readonly<Record<string, unknown>>;
  /** Where the key over it says it. */
  readonly tier?: string;
}

/** A list, one address by itself, or addresses by tier. */
function entriesOf(value: unknown, where: string, odd: Oddities): readonly Entry[] {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown): Entry[] => {
      if (typeof item === "string" || isMapping(item)) return [{ entry: item }];
      odd.tell(`${where}: an entry is neither an address nor a mapping: left out`);
      return [];
    });
  }
  if (typeof value === "string") return [{ entry: value }];
  if (!isMapping(value)) {
    odd.tell(`${where}: is neither a list nor an address: left out`);
    return [];
  }
  odd.tell(`${where}: is one mapping, where a list is usual: read as its entries`);
  if ("url" in value || "endpoint" in value) return [{ entry: value }];
  return Object.entries(value).flatMap(([tier, inner]) =>
    (Array.isArray(inner) ? inner : [inner]).flatMap((item: unknown): Entry[] =>
      typeof item === "string" || isMapping(item) ? [{ entry: item, tier }] : [],
    ),
  );
}

function providerOf(key: string, odd: Oddities): Provider {
  const known = PROVIDER_NAMES[key.trim().toLowerCase().replaceAll("_", "-")];
  if (known !== undefined) return known;
  odd.tell(`${named(key)} is no provider that TechOps deploy to: taken as other`);
  return "other";
}

/** Of an address that may not be used nothing is shown: it may carry a password. */
function urlOf(value: unknown, where: string, odd: Oddities): string | undefined {
  const text = lineOf(value, 2000);
  const url = text === undefined ? undefined : policyUrl().safeParse(text).data;
  if (url === undefined) {
    odd.tell(`${where}: has an address that no upstream may have, or none: left out`);
  }
  return url;
}

function tierOf(value: unknown, where: string, odd: Oddities): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const tier = lineOf(value, 40)?.toLowerCase();
  if (tier === undefined) odd.tell(`${where}: has a gpu_tier that is no short text: left out`);
  return tier;
}

const GONE = /^(?:deleted|terminated|failed|error)$/i;

export function readDeployments(list: readonly unknown[], odd: Oddities): readonly Deployment[] {
  const found: Deployment[] = [];
  for (const [index, record] of list.entries()) {
    const node = isMapping(record) ? lineOf(record.node_type ?? record.node, 100) : undefined;
    if (!isMapping(record) || node === undefined) {
      odd.tell(`deployment ${index + 1} is no record with a node_type: left out`);
    } else if (GONE.test(lineOf(record.status) ?? "")) {
      odd.tell(`deployment ${index + 1} (${named(node)}) is ${lineOf(record.status)}: left out`);
    } else found.push(deploymentOf(node, record, odd));
  }
  if (found.length > MOST_ENDPOINTS) {
    odd.tell(`there are ${found.length} deployments: only the first ${MOST_ENDPOINTS} are read`);
  }
  return found.slice(0, MOST_ENDPOINTS);
}

function deploymentOf(node: string, record: Readonly<Record<string, unknown>>, odd: Oddities): Deployment {
  const provider = providerOf(lineOf(record.provider, 40) ?? "", odd);
  const where = `${named(node)}, ${named(provider)}`;
  const address = record.endpoint ?? record.url;
  const gpu = lineOf(record.gpu_type, 40);
  const machine = lineOf(record.gpu_instance_type ?? record.gpu_vm_size ?? record.gpu_machine_type, 80);
  return {
    node,
    provider,
    url: address === undefined || address === "" ? undefined : urlOf(address, where, odd),
    tier: tierOf(record.gpu_tier, where, odd),
    instance: lineOf(record.instance_name),
    region: lineOf(record.region),
    cluster: lineOf(record.cluster),
    service: lineOf(record.service),
    subscription: lineOf(record.subscription_id ?? record.subscription),
    resourceGroup: lineOf(record.resource_group),
    project: lineOf(record.project_id ?? record.project),
    zone: lineOf(record.zone),
    pool: lineOf(record.node_pool ?? record.pool),
    namespace: lineOf(record.namespace),
    machineType: machine !== undefined && gpu !== undefined ? `${machine}+${gpu}` : machine,
  };
}
