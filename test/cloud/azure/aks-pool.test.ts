// An AKS node pool as a machine group, through Azure's own client: operations that take minutes, fail or are
// cancelled half way, an autoscaler, AKS' own limits, and everything that Azure can refuse.

import test, { type ExecutionContext } from "ava";
import { type Host, Trouble } from "../../../src/cloud/adapter.ts";
import { openAzure } from "../../../src/cloud/azure/azure-cloud.ts";
import type { CloudAccess, OpenCloud } from "../../../src/cloud/cloud-access.ts";
import { AKS, type AzureFake, azureFake, PRINCIPAL } from "../../support/clouds/azure-fake.ts";
import { CloudClock } from "../../support/clouds/cloud-clock.ts";
import { type KubeFake, kubeFake } from "../../support/clouds/k8s-fake.ts";

const SIGNAL = new AbortController().signal;
const AT = Date.UTC(2026, 10, 22, 1);

interface Rig {
  readonly clock: CloudClock;
  readonly fake: AzureFake;
  readonly kube: KubeFake;
  readonly cloud: OpenCloud<"azure">;
  readonly pool: Host;
}

const JSON_LOGIN = JSON.stringify({
  ...{ appId: PRINCIPAL.clientId, displayName: "gateway", password: PRINCIPAL.clientSecret },
  tenant: PRINCIPAL.tenant,
});

async function rigOf(t: ExecutionContext, text = JSON_LOGIN): Promise<Rig> {
  const clock = new CloudClock(AT);
  const kube = await kubeFake(t, clock, "cluster-user");
  kube.cluster.deploy("flux-dev", "nim");
  const fake = await azureFake(t, clock, kube);
  const login: CloudAccess<"azure">["login"] = { kind: "text", text };
  const cloud = openAzure({ login, endpoint: fake.origin });
  t.teardown(() => cloud.close());
  return { clock, fake, kube, cloud, pool: cloud.hostFor({ kind: "aks_pool", ...AKS }) };
}

async function look({ pool }: Pick<Rig, "pool">): Promise<string> {
  const { instances, wanted } = await pool.observe(SIGNAL);
  const shown = instances.map(({ since, isStopping }) => {
    return `since ${(since / 1000 - AT) / 1000}${isStopping ? " stopping" : ""}`;
  });
  return [`wanted ${wanted}`, ...shown].join(", ");
}

async function troubleOf(t: ExecutionContext, asked: Promise<unknown>): Promise<Trouble> {
  const trouble = await t.throwsAsync(asked, { instanceOf: Trouble });
  if (!(trouble instanceof Trouble)) throw new Error("no trouble at all");
  return trouble;
}

const puts = ({ fake }: Rig) => fake.lines().filter((line) => line.startsWith("PUT")).length;

test("a pool has one machine from the second that its node is there to the second that it is gone", async (t) => {
  const rig = await rigOf(t);
  t.is(await look(rig), "wanted 0");
  await rig.pool.raise(SIGNAL);
  t.is(await look(rig), "wanted 1");
  rig.clock.pass(150);
  t.is(await look(rig), "wanted 1, since 150");
  rig.clock.pass(100);
  t.is(await look(rig), "wanted 1, since 150");
  const [machine] = (await rig.pool.observe(SIGNAL)).instances;
  t.regex(machine?.id ?? "", /^azure:\/\/\/.*\/aks-gpu-1234-vmss\/virtualMachines\/0$/);
  await rig.pool.raise(SIGNAL);
  t.is(puts(rig), 1);
  await rig.pool.lower(SIGNAL);
  // Its count is 0 at once, its machine costs until it is gone.
  t.is(await look(rig), "wanted 0, since 150 stopping");
  rig.clock.pass(60);
  t.is(await look(rig), "wanted 0");
  rig.clock.pass(200);
  await rig.pool.lower(SIGNAL);
  t.is(puts(rig), 2);
});

const endings = [
  [
    "a start beyond a quota is told once in Azure's words, then the pool as it is",
    {
      status: "Failed",
      error: { code: "QuotaExceeded", message: "it exceeds approved standardNCASv3_T4Family Cores quota." },
    },
    /node pool gpu of cluster budgetguard-nim .*QuotaExceeded.*standardNCASv3_T4Family Cores quota/,
  ],
  ["a start that somebody cancelled is told as such", { status: "Canceled" }, /canceled/],
] as const;

for (const [title, ending, words] of endings) {
  test(title, async (t) => {
    const rig = await rigOf(t);
    rig.fake.machines.ending = ending;
    await rig.pool.raise(SIGNAL);
    rig.clock.pass(60);
    t.is(await look(rig), "wanted 1");
    rig.clock.pass(60);
    const trouble = await troubleOf(t, rig.pool.observe(SIGNAL));
    t.is(trouble.kind, "operation_failed");
    t.regex(trouble.message, words);
    t.is(await look(rig), "wanted 1");
  });
}

test("an operation that Azure no longer tells of is judged by the pool itself", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.ending = {
    status: "Failed",
    error: { code: "AllocationFailed", message: "no capacity" },
  };
  await rig.pool.raise(SIGNAL);
  rig.fake.denied.add("Microsoft.ContainerService/locations/operations/read");
  t.is((await troubleOf(t, rig.pool.observe(SIGNAL))).kind, "denied");
  t.is(await look(rig), "wanted 1");
  rig.clock.pass(120);
  const trouble = await troubleOf(t, rig.pool.observe(SIGNAL));
  t.regex(trouble.message, /no capacity \(AllocationFailed\)/);
  t.is(await look(rig), "wanted 1");
});

test("A29, A68: a pool with an autoscaler is stopped and started as a whole, so that nobody starts it again", async (t) => {
  const rig = await rigOf(t);
  Object.assign(rig.fake.machines.properties, { enableAutoScaling: true, minCount: 1, maxCount: 3 });
  rig.fake.machines.resize(1);
  rig.clock.pass(200);
  t.regex(
    (await rig.pool.observe(SIGNAL)).scaledByOthers ?? "",
    /autoscaler \(1 to 3\).*--disable-cluster-autoscaler/,
  );
  await rig.pool.lower(SIGNAL);
  t.is(await look(rig), "wanted 0, since 150 stopping");
  rig.clock.pass(1000);
  t.is(await look(rig), "wanted 0");
  t.is((await rig.pool.observe(SIGNAL)).scaledByOthers, undefined);
  await rig.pool.raise(SIGNAL);
  rig.clock.pass(200);
  t.is(await look(rig), "wanted 1, since 1350");
});

test("an autoscaled pool that runs with no machine is left to its autoscaler", async (t) => {
  const rig = await rigOf(t);
  Object.assign(rig.fake.machines.properties, { enableAutoScaling: true, minCount: 0, maxCount: 3 });
  await rig.pool.raise(SIGNAL);
  t.is(puts(rig), 0);
});

test("machines that are deallocated stay in the cluster and cost nothing", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.properties.scaleDownMode = "Deallocate";
  rig.fake.machines.resize(2);
  rig.clock.pass(200);
  t.is(await look(rig), "wanted 2, since 150, since 150");
  rig.fake.machines.resize(1);
  rig.clock.pass(100);
  t.is(await look(rig), "wanted 1, since 150");
});

test("a System pool is not turned off", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.properties.mode = "System";
  rig.fake.machines.resize(1);
  t.regex(
    (await troubleOf(t, rig.pool.lower(SIGNAL))).message,
    /System pool.*az aks nodepool add --mode User/,
  );
  t.is(puts(rig), 0);
});

test("an order while another one is under way is put off, not failed", async (t) => {
  const rig = await rigOf(t);
  await rig.pool.raise(SIGNAL);
  const trouble = await troubleOf(t, rig.pool.lower(SIGNAL));
  t.is(trouble.kind, "throttled");
  t.regex(trouble.message, /is busy: .*Another agentpool operation is in progress/);
});

test("what somebody else changed in between is not undone", async (t) => {
  const rig = await rigOf(t);
  const { properties } = rig.fake.machines;
  rig.fake.misbehave(/GET .*agentPools/, {
    ...{ kind: "reply", body: { name: "gpu", properties: { ...properties, eTag: "older" } } },
  });
  const trouble = await troubleOf(t, rig.pool.raise(SIGNAL));
  t.is(trouble.kind, "throttled");
  t.regex(trouble.message, /somebody else changed node pool gpu/);
});

test("toggling until AKS' bucket of 20 is empty says when it is asked again", async (t) => {
  const rig = await rigOf(t);
  rig.fake.bucket = 1;
  await rig.pool.raise(SIGNAL);
  rig.fake.bucket = 0;
  const trouble = await troubleOf(t, rig.pool.lower(SIGNAL));
  t.is(trouble.kind, "throttled");
  t.regex(trouble.message, /\(429\).*again in 42 s/);
});

test("short throttling is waited out, and not told", async (t) => {
  const rig = await rigOf(t);
  const busy = { kind: "reply", status: 429, headers: { "retry-after": "1" }, body: THROTTLED } as const;
  rig.fake.misbehave(/GET .*agentPools/, busy);
  t.is(await look(rig), "wanted 0");
});

const THROTTLED = { error: { code: "Throttled", message: "The request was throttled." } };
const READ = "Microsoft.ContainerService/managedClusters/agentPools/read";

const refusals = [
  [
    "an action that is not allowed is named",
    ({ fake }: Rig) => fake.denied.add(READ),
    "denied",
    /the action Microsoft\.ContainerService\/managedClusters\/agentPools\/read is not allowed.*docs\/clouds\.md/,
  ],
  [
    "an expired secret says how to make a new one",
    ({ fake }: Rig) => {
      fake.refusal = "7000222";
    },
    "unauthenticated",
    /AADSTS7000222\): the client secret has expired: make a new one \(az ad app credential reset\)/,
  ],
  [
    "a token that Azure does not take is told as such",
    ({ fake }: Rig) => {
      const body = { error: { code: "InvalidAuthenticationToken", message: "The access token is invalid." } };
      for (let count = 0; count < 3; count += 1) {
        fake.misbehave(/GET .*agentPools/, { kind: "reply", status: 401, body });
      }
    },
    "unauthenticated",
    /does not take the gateway's token .*\(InvalidAuthenticationToken\): is providers.azure.credentials/,
  ],
  [
    "an error inside Azure is not an answer",
    ({ fake }: Rig) => {
      const broken = {
        kind: "reply",
        status: 500,
        body: { error: { code: "Internal", message: "oops" } },
      } as const;
      fake.misbehave(/GET .*agentPools/, broken, broken, broken);
    },
    "unreachable",
    /node pool gpu .*oops \(Internal\)/,
  ],
  [
    "an answer that breaks off is none",
    ({ fake }: Rig) => fake.misbehave(/GET .*agentPools/, { kind: "cut" }, { kind: "cut" }, { kind: "cut" }),
    "unreachable",
    /Azure cannot be asked about node pool gpu/,
  ],
  [
    "nodes that may not be listed are no reason to think that none are there",
    ({ fake, kube }: Rig) => {
      fake.machines.properties.count = 1;
      kube.denied.add("list nodes");
    },
    "denied",
    /cannot list resource "nodes" in API group "" at the cluster scope/,
  ],
] as const;

for (const [title, prepare, kind, words] of refusals) {
  test(title, async (t) => {
    const rig = await rigOf(t);
    prepare(rig);
    const trouble = await troubleOf(t, rig.pool.observe(SIGNAL));
    t.is(trouble.kind, kind, trouble.message);
    t.regex(trouble.message, words);
    t.notRegex(trouble.message, /s3cret|eyJ|Trace ID/);
  });
}

test("a pool that is not there is told with its cluster, group and subscription", async (t) => {
  const { cloud } = await rigOf(t);
  const pool = cloud.hostFor({ kind: "aks_pool", ...AKS, resourceGroup: "rg2" });
  const trouble = await troubleOf(t, pool.observe(SIGNAL));
  t.is(trouble.kind, "not_found");
  t.regex(
    trouble.message,
    /there is no node pool gpu of cluster budgetguard-nim in resource group rg2 \(subscription 1111/,
  );
});

test("a look that is broken off ends at once, though Azure says nothing", async (t) => {
  const rig = await rigOf(t);
  rig.fake.misbehave(/agentPools/, { kind: "hang" });
  const ended = new AbortController();
  const looking = rig.pool.observe(ended.signal);
  setTimeout(() => ended.abort(new Error("enough")), 100);
  await t.throwsAsync(looking, { message: "enough" });
});

for (const door of ["token", "entra"] as const) {
  test(`a Deployment is reached by the kubeconfig that Azure hands out (${door})`, async (t) => {
    const rig = await rigOf(t);
    rig.fake.door = door;
    if (door === "entra") rig.kube.tokens.clear();
    const nim = rig.cloud.adapterFor({ kind: "aks", ...AKS, namespace: "nim", deployment: "flux-dev" });
    t.is((await nim.observe(SIGNAL)).kind, "off");
    await rig.pool.raise(SIGNAL);
    await nim.start(SIGNAL);
    rig.clock.pass(480);
    t.like(await nim.observe(SIGNAL), { kind: "up", isHealthy: true, url: "http://20.1.2.3:8000" });
    const credentials = rig.fake.lines().filter((line) => line.includes("listClusterUserCredential"));
    t.is(credentials.length, 1);
  });
}
