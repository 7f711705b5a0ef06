// The roles in docs/clouds.md name exactly what the gateway was seen to ask for: nothing that it does not need,
// and nothing less.

import { readFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { parse, parseAllDocuments, stringify } from "yaml";
import { openAzure } from "../../src/cloud/azure/azure-cloud.ts";
import type { OpenCloud } from "../../src/cloud/cloud-access.ts";
import { openGcp } from "../../src/cloud/gcp/gcp-cloud.ts";
import { cli } from "../support/cli.ts";
import { AKS, azureFake, PRINCIPAL } from "../support/clouds/azure-fake.ts";
import { CloudClock } from "../support/clouds/cloud-clock.ts";
import { GKE, gcpFake } from "../support/clouds/gcp-fake.ts";
import { kubeFake } from "../support/clouds/k8s-fake.ts";
import { makeFolder } from "../support/gateway-folder.ts";

const PAGE = readFileSync(new URL("../../docs/clouds.md", import.meta.url), "utf8");
const SIGNAL = new AbortController().signal;
const WORK = { namespace: "nim", deployment: "flux-dev" };

function block(name: string): string {
  const found = new RegExp(`<!-- ${name} -->\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(PAGE)?.[1];
  if (found === undefined) throw new Error(`docs/clouds.md has no ${name}`);
  return found;
}

async function sceneOf(t: ExecutionContext) {
  const clock = new CloudClock();
  const kube = await kubeFake(t, clock, "cluster-user");
  kube.cluster.deploy("flux-dev", "nim");
  return { clock, kube };
}

/** Everything that the gateway ever does with one container and the pool under it. */
async function everything(
  { adapterFor, hostFor }: Pick<OpenCloud<"azure" | "gcp">, "adapterFor" | "hostFor">,
  container: object,
  group: object,
  clock: CloudClock,
): Promise<void> {
  const nim = adapterFor({ ...container, ...WORK } as never);
  const pool = hostFor(group as never);
  await pool.raise(SIGNAL);
  await nim.start(SIGNAL);
  for (let count = 0; count < 4; count += 1) {
    clock.pass(150);
    await pool.observe(SIGNAL);
    await nim.observe(SIGNAL);
  }
  await nim.stop(SIGNAL);
  await pool.lower(SIGNAL);
  clock.pass(300);
  await pool.observe(SIGNAL);
  await adapterFor({ ...container, ...WORK, deployment: "none" } as never)
    .observe(SIGNAL)
    .catch(() => undefined);
}

function sorted(all: Iterable<string>): readonly string[] {
  return [...new Set(all)].sort();
}

function rules(): readonly string[] {
  const roles = parseAllDocuments(block("rbac")).map((each) => each.toJS() as Role);
  return roles.flatMap(({ rules = [] }) =>
    rules.flatMap(({ resources, verbs }) =>
      resources.flatMap((each) => verbs.map((verb) => `${verb} ${each}`)),
    ),
  );
}

interface Role {
  readonly rules?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

test("Azure's role and the cluster's allow what the gateway asks of AKS, and nothing else", async (t) => {
  const { clock, kube } = await sceneOf(t);
  const fake = await azureFake(t, clock, kube);
  const text = `${PRINCIPAL.tenant}:${PRINCIPAL.clientId}:${PRINCIPAL.clientSecret}`;
  const cloud = openAzure({ login: { kind: "text", text }, endpoint: fake.origin });
  t.teardown(() => cloud.close());
  await everything(cloud, { kind: "aks", ...AKS }, { kind: "aks_pool", ...AKS }, clock);
  const { Actions } = JSON.parse(block("azure-role")) as { Actions: readonly string[] };
  t.deepEqual(sorted(Actions), sorted(fake.called));
  t.deepEqual(sorted(rules()), sorted(kube.called));
});

test("Google's role and the cluster's allow what the gateway asks of GKE, and nothing else", async (t) => {
  const { clock, kube } = await sceneOf(t);
  const fake = await gcpFake(t, clock, kube);
  const cloud = openGcp({ login: { kind: "text", text: fake.keyFile }, endpoint: fake.origin });
  t.teardown(() => cloud.close());
  await everything(cloud, { kind: "gke", ...GKE }, { kind: "gke_pool", ...GKE }, clock);
  const { includedPermissions } = parse(block("gcp-role")) as { includedPermissions: readonly string[] };
  t.deepEqual(sorted(includedPermissions), sorted(fake.called));
  t.deepEqual(sorted(rules().filter((rule) => rule !== "list nodes")), sorted(kube.called));
});

test("the page's upstreams, machines and providers are a policy", async (t) => {
  const blocks = [...PAGE.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = ""]) => text);
  const keys = ["providers", "machines", "upstreams"] as const;
  const found = blocks
    .filter((text) => keys.some((key) => text.startsWith(`${key}:`)))
    .map((text) => parse(text));
  const all = keys.map((key) => [key, Object.assign({}, ...found.map((each) => each[key]))]);
  const policy = { version: 1, ...Object.fromEntries(all) };
  t.deepEqual(Object.keys(policy.upstreams), ["flux-aws", "flux-azure", "flux-gcp"]);
  const folder = makeFolder(stringify(policy));
  t.teardown(() => folder.remove());
  const { code, stdout, stderr } = await cli(["check", folder.policyPath]);
  t.is(code, 0, stdout + stderr);
});
