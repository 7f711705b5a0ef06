// A GKE node pool as a machine group, through Google's own client: machines that come and go late, operations
// that fail half way, an autoscaler that fights, and everything that Google can refuse.

import test, { type ExecutionContext } from "ava";
import { type Host, Trouble } from "../../../src/cloud/adapter.ts";
import type { OpenCloud } from "../../../src/cloud/cloud-access.ts";
import { openGcp } from "../../../src/cloud/gcp/gcp-cloud.ts";
import { CloudClock } from "../../support/clouds/cloud-clock.ts";
import { type GcpFake, GKE, gcpFake } from "../../support/clouds/gcp-fake.ts";
import { kubeFake } from "../../support/clouds/k8s-fake.ts";

const SIGNAL = new AbortController().signal;
const AT = Date.UTC(2026, 10, 22, 1);

interface Rig {
  readonly clock: CloudClock;
  readonly fake: GcpFake;
  readonly cloud: OpenCloud<"gcp">;
  readonly pool: Host;
}

async function rigOf(t: ExecutionContext): Promise<Rig> {
  const clock = new CloudClock(AT);
  const kube = await kubeFake(t, clock, "nobody's");
  kube.cluster.deploy("flux-dev", "nim");
  const fake = await gcpFake(t, clock, kube);
  const cloud = openGcp({ login: { kind: "text", text: fake.keyFile }, endpoint: fake.origin });
  t.teardown(() => cloud.close());
  return { clock, fake, cloud, pool: cloud.hostFor({ kind: "gke_pool", ...GKE }) };
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

test("a pool has one machine from the second that Google starts it to the second that it is gone", async (t) => {
  const rig = await rigOf(t);
  t.is(await look(rig), "wanted 0");
  await rig.pool.raise(SIGNAL);
  // Google has taken the order, and does not show it yet.
  t.is(await look(rig), "wanted 0");
  rig.clock.pass(3);
  t.is(await look(rig), "wanted 1");
  rig.clock.pass(40);
  t.is(await look(rig), "wanted 1, since 42");
  rig.clock.pass(600);
  const [machine] = (await rig.pool.observe(SIGNAL)).instances;
  t.is(machine?.id, "7000000000000000001");
  await rig.pool.lower(SIGNAL);
  rig.clock.pass(3);
  t.is(await look(rig), "wanted 0, since 42 stopping");
  rig.clock.pass(35);
  t.is(await look(rig), "wanted 0");
});

test("a pool that has a machine is not raised again, whoever started it", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.resize(2);
  rig.clock.pass(60);
  t.is(await look(rig), "wanted 2, since 40, since 40");
  await rig.pool.raise(SIGNAL);
  t.false(rig.fake.lines().some((line) => line.includes("setSize")));
});

test("a start that fails half way is told once in Google's words, then the pool as it is", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.shortage = "Instance 'gke-x' creation failed: the zone does not have enough resources";
  await rig.pool.raise(SIGNAL);
  rig.clock.pass(30);
  t.is(await look(rig), "wanted 1");
  rig.clock.pass(40);
  const trouble = await troubleOf(t, rig.pool.observe(SIGNAL));
  t.is(trouble.kind, "operation_failed");
  t.regex(trouble.message, /node pool gpu of cluster budgetguard-nim .*does not have enough resources/);
  t.is(await look(rig), "wanted 1");
});

test("an order while another one is under way is put off, not failed", async (t) => {
  const rig = await rigOf(t);
  await rig.pool.raise(SIGNAL);
  const trouble = await troubleOf(t, rig.pool.lower(SIGNAL));
  t.is(trouble.kind, "throttled");
  t.regex(trouble.message, /is busy: Operation operation-1-abcd is currently operating/);
});

test("an autoscaler that keeps machines is named with what to do, and not fought", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.autoscaling = { enabled: true, minNodeCount: 1, maxNodeCount: 3 };
  rig.fake.machines.resize(1);
  rig.clock.pass(60);
  const { scaledByOthers } = await rig.pool.observe(SIGNAL);
  t.regex(scaledByOthers ?? "", /autoscaler \(1 to 3 in each zone\).*set its minimum to 0/);
  const trouble = await troubleOf(t, rig.pool.lower(SIGNAL));
  t.is(trouble.kind, "failed");
  t.regex(trouble.message, /keeps at least 1 running.*--node-pool gpu --enable-autoscaling --min-nodes 0/);
  t.false(rig.fake.lines().some((line) => line.includes("setSize")));
});

test("an autoscaler with a minimum of 0 lets the pool be off", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.autoscaling = { enabled: true, minNodeCount: 0, maxNodeCount: 3 };
  rig.fake.machines.resize(1);
  rig.clock.pass(60);
  await rig.pool.lower(SIGNAL);
  rig.clock.pass(120);
  t.is(await look(rig), "wanted 0");
});

test("a size of 1 in three zones would be three machines, and is not ordered", async (t) => {
  const rig = await rigOf(t);
  rig.fake.machines.zones = ["us-central1-a", "us-central1-b", "us-central1-c"];
  const trouble = await troubleOf(t, rig.pool.raise(SIGNAL));
  t.regex(trouble.message, /3 zones, where a size of 1 starts 3 machines: keep it in one .*--node-locations/);
  rig.fake.machines.autoscaling = { enabled: true, minNodeCount: 0, maxNodeCount: 1 };
  await rig.pool.raise(SIGNAL);
  t.is(rig.fake.machines.targetSize, 0);
});

const faults = [
  [
    "a permission that is missing is named",
    (fake: GcpFake) => fake.denied.add("container.clusters.get"),
    "denied",
    /Required "container\.clusters\.get" permission.*docs\/clouds\.md/,
  ],
  [
    "a permission of Compute Engine that is missing is named",
    (fake: GcpFake) => fake.denied.add("compute.instanceGroupManagers.get"),
    "denied",
    /Required "compute\.instanceGroupManagers\.get" permission/,
  ],
  [
    "Compute Engine's 403 for too many calls is no missing permission",
    (fake: GcpFake) => fake.misbehave(/instanceGroupManagers/, { kind: "reply", status: 403, body: RATE }),
    "throttled",
    /asked too often about instance group gke-budgetguard-nim-gpu-1234-grp: Rate Limit Exceeded/,
  ],
  [
    "a spent quota of GKE calls is throttling",
    (fake: GcpFake) => fake.misbehave(/nodePools/, { kind: "reply", status: 429, body: QUOTA }),
    "throttled",
    /Quota exceeded for quota metric/,
  ],
  [
    "a token that Google no longer takes is said to be one",
    (fake: GcpFake) => fake.misbehave(/nodePools/, { kind: "reply", status: 401, body: UNKNOWN }),
    "unauthenticated",
    /does not take the gateway's token: .* Renew what providers.gcp.credentials names/,
  ],
  [
    "an error inside GKE is not an answer",
    (fake: GcpFake) => fake.misbehave(/nodePools/, { kind: "reply", status: 500, body: "oops" }),
    "unreachable",
    /./,
  ],
  [
    "an answer that breaks off is none",
    (fake: GcpFake) => fake.misbehave(/instanceGroupManagers/, { kind: "cut" }),
    "unreachable",
    /Google's Compute API at 127\.0\.0\.1:\d+ cannot be reached/,
  ],
  [
    "a key that was deleted is told as such, without a word of it",
    (fake: GcpFake) => {
      fake.isRevoked = true;
    },
    "unauthenticated",
    /Google refuses the gateway's key \(invalid_grant\).*clock wrong/,
  ],
] as const;

const RATE = {
  error: { code: 403, errors: [{ reason: "rateLimitExceeded" }], message: "Rate Limit Exceeded" },
};
const QUOTA = {
  error: {
    ...{ code: 429, status: "RESOURCE_EXHAUSTED" },
    message: "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'",
  },
};
const UNKNOWN = {
  error: { code: 401, status: "UNAUTHENTICATED", message: "Request had invalid credentials." },
};

for (const [title, prepare, kind, words] of faults) {
  test(title, async (t) => {
    const rig = await rigOf(t);
    prepare(rig.fake);
    const trouble = await troubleOf(t, rig.pool.observe(SIGNAL));
    t.is(trouble.kind, kind, trouble.message);
    t.regex(trouble.message, words);
    t.notRegex(trouble.message, /PRIVATE|eyJ/);
  });
}

test("a pool that is not there is told with its cluster, place and project", async (t) => {
  const { cloud } = await rigOf(t);
  const pool = cloud.hostFor({ kind: "gke_pool", ...GKE, pool: "gpus" });
  const trouble = await troubleOf(t, pool.observe(SIGNAL));
  t.is(trouble.kind, "not_found");
  t.regex(
    trouble.message,
    /there is no node pool gpus of cluster budgetguard-nim in us-central1-a \(project p\)/,
  );
});

test("a look that is broken off ends at once, though Google says nothing", async (t) => {
  const rig = await rigOf(t);
  rig.fake.misbehave(/nodePools/, { kind: "hang" });
  const ended = new AbortController();
  const looking = rig.pool.observe(ended.signal);
  setTimeout(() => ended.abort(new Error("enough")), 100);
  await t.throwsAsync(looking, { message: "enough" });
});

test("a Deployment is reached by GKE's word for its cluster and a token of Google's", async (t) => {
  const rig = await rigOf(t);
  const nim = rig.cloud.adapterFor({ kind: "gke", ...GKE, namespace: "nim", deployment: "flux-dev" });
  t.is((await nim.observe(SIGNAL)).kind, "off");
  await rig.pool.raise(SIGNAL);
  await nim.start(SIGNAL);
  rig.clock.pass(79);
  t.like(await nim.observe(SIGNAL), { kind: "up", isHealthy: false, said: undefined });
  rig.clock.pass(321);
  t.like(await nim.observe(SIGNAL), { kind: "up", isHealthy: true, url: "http://20.1.2.3:8000" });
});

const keys = [
  ["a file that is no JSON", () => "hello", /is not the key file of a service account/],
  [
    "a key that was cut",
    (key: string) => key.replace(/(?<=BEGIN PRIVATE KEY-----)[^-]+/, "\\nMII\\n"),
    /damaged/,
  ],
] as const;

for (const [title, broken, words] of keys) {
  test(`${title} is said to be no credential`, async (t) => {
    const { fake } = await rigOf(t);
    const trouble = await troubleOf(
      t,
      (async () => {
        const cloud = openGcp({ login: { kind: "text", text: broken(fake.keyFile) }, endpoint: fake.origin });
        await cloud.hostFor({ kind: "gke_pool", ...GKE }).observe(SIGNAL);
      })(),
    );
    t.is(trouble.kind, "unauthenticated");
    t.regex(trouble.message, words);
  });
}

test("a login is not sent in the clear to another machine", (t) => {
  const login = { kind: "default" } as const;
  const trouble = t.throws(() => openGcp({ login, endpoint: "http://gke.example" }), { instanceOf: Trouble });
  t.regex(trouble?.message ?? "", /providers\.gcp\.endpoint would send the login in the clear/);
});
