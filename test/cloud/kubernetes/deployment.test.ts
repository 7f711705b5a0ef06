// A Deployment as a container, through the Kubernetes API of a cluster that takes its time, refuses, hangs
// and is scaled by others.

import test, { type ExecutionContext } from "ava";
import { Trouble } from "../../../src/cloud/adapter.ts";
import { DeploymentContainer } from "../../../src/cloud/kubernetes/deployment.ts";
import { KubeApi } from "../../../src/cloud/kubernetes/kube-api.ts";
import { CloudClock } from "../../support/clouds/cloud-clock.ts";
import { type KubeFake, kubeFake } from "../../support/clouds/k8s-fake.ts";
import { CERTIFICATE } from "../../support/self-signed.ts";

const SIGNAL = new AbortController().signal;
const AT = Date.UTC(2026, 10, 22, 1);

interface Rig {
  readonly clock: CloudClock;
  readonly fake: KubeFake;
  readonly nim: DeploymentContainer;
  /** Of the way in, as often as it was asked for. */
  readonly opened: boolean[];
}

async function rigOf(t: ExecutionContext, { name = "flux-dev", namespace = "nim" } = {}): Promise<Rig> {
  const clock = new CloudClock(AT);
  const fake = await kubeFake(t, clock, "good");
  fake.cluster.deploy("flux-dev", "nim");
  const opened: boolean[] = [];
  const api = new KubeApi("budgetguard-nim", async (_signal, isFresh) => {
    opened.push(isFresh);
    return {
      server: fake.origin,
      trust: { ca: CERTIFICATE },
      token: isFresh ? "good" : (tokens.shift() ?? "good"),
    };
  });
  t.teardown(() => api.close());
  return { clock, fake, opened, nim: new DeploymentContainer(api, { namespace, deployment: name }) };
}

let tokens: string[] = [];
test.beforeEach(() => {
  tokens = [];
});

/** What is seen, in a few words. */
async function look({ nim }: Rig): Promise<string> {
  const seen = await nim.observe(SIGNAL);
  if (seen.kind === "off") return `off${seen.why === undefined ? "" : `: ${seen.why}`}`;
  const since = (seen.since / 1000 - AT) / 1000;
  const words = ["up", `since ${since}`, seen.isHealthy ? "ready" : "not ready"];
  return [...words, ...(seen.isStopping ? ["stopping"] : []), ...(seen.url ? [seen.url] : [])].join(", ");
}

const node = (rig: Rig) => rig.fake.cluster.join("gpu-0", "gce://p/z/gpu-0", { pool: "gpu" });

test("a start is seen at once, waits for its machine and image, and is ready where its load balancer is", async (t) => {
  const rig = await rigOf(t);
  t.is(await look(rig), "off");
  await rig.nim.start(SIGNAL);
  // Its controller has not made a pod yet: it is starting, not off.
  t.is(await look(rig), "up, since 0, not ready");
  rig.clock.pass(1);
  t.is(await look(rig), "up, since 1, not ready");
  rig.clock.pass(100);
  t.is(await look(rig), "up, since 1, not ready, http://20.1.2.3:8000");
  node(rig);
  rig.clock.pass(301);
  t.is(await look(rig), "up, since 402, not ready, http://20.1.2.3:8000");
  rig.clock.pass(20);
  t.is(await look(rig), "up, since 402, ready, http://20.1.2.3:8000");
});

test("a start is known by one time while no pod is there, however long that takes", async (t) => {
  const rig = await rigOf(t);
  const [deployment] = rig.fake.cluster.deployments;
  if (deployment === undefined) throw new Error("nothing is deployed");
  await rig.nim.start(SIGNAL);
  const first = await rig.nim.observe(SIGNAL);
  rig.clock.now += 900;
  t.deepEqual(await rig.nim.observe(SIGNAL), first);
  t.like(first, { kind: "up", id: deployment.uid, since: AT * 1000 });
});

test("a start leaves replicas alone that somebody wants to have more of", async (t) => {
  const rig = await rigOf(t);
  const [deployment] = rig.fake.cluster.deployments;
  if (deployment === undefined) throw new Error("nothing is deployed");
  rig.fake.cluster.scale(deployment, 3);
  await rig.nim.start(SIGNAL);
  t.is(deployment.replicas, 3);
  await rig.nim.stop(SIGNAL);
  t.is(deployment.replicas, 0);
});

test("it is off once its last pod has ended, not when its replicas are 0", async (t) => {
  const rig = await rigOf(t);
  node(rig);
  await rig.nim.start(SIGNAL);
  rig.clock.pass(400);
  const up = await rig.nim.observe(SIGNAL);
  await rig.nim.stop(SIGNAL);
  t.is(await look(rig), "up, since 301, ready, stopping, http://20.1.2.3:8000");
  rig.clock.pass(2);
  t.is(await look(rig), "up, since 301, not ready, stopping, http://20.1.2.3:8000");
  rig.clock.pass(30);
  // What has ended is the pod that was seen, not the Deployment.
  t.deepEqual(await rig.nim.observe(SIGNAL), { kind: "off", id: up.id, stopped: undefined, why: undefined });
});

test("a warm start takes a minute, a cold one minutes, and each is another life", async (t) => {
  const rig = await rigOf(t);
  node(rig);
  const lives = new Set<string>();
  for (const seconds of [301, 61]) {
    await rig.nim.start(SIGNAL);
    rig.clock.pass(seconds + 20 - 1);
    t.regex(await look(rig), /not ready/);
    rig.clock.pass(2);
    t.regex(await look(rig), /, ready/);
    lives.add((await rig.nim.observe(SIGNAL)).id);
    await rig.nim.stop(SIGNAL);
    rig.clock.pass(40);
    t.is(await look(rig), "off");
  }
  t.is(lives.size, 2);
});

test("what somebody else starts and stops is seen, also when its machine goes", async (t) => {
  const rig = await rigOf(t);
  const [deployment] = rig.fake.cluster.deployments;
  if (deployment === undefined) throw new Error("nothing is deployed");
  node(rig);
  rig.fake.cluster.scale(deployment, 1);
  rig.clock.pass(400);
  t.regex(await look(rig), /since 301, ready/);
  rig.fake.cluster.leave("gpu-0");
  rig.clock.pass(2);
  t.is(await look(rig), "up, since 401, not ready, http://20.1.2.3:8000");
});

test("a process that ended and was started again in its pod lives anew", async (t) => {
  const rig = await rigOf(t);
  node(rig);
  await rig.nim.start(SIGNAL);
  rig.clock.pass(400);
  const [pod] = rig.fake.cluster.pods;
  if (pod === undefined) throw new Error("it has no pod");
  pod.startedAt = rig.clock.text;
  t.is(await look(rig), "up, since 400, ready, http://20.1.2.3:8000");
});

test("why a pod does not get on is told in its cluster's words", async (t) => {
  const rig = await rigOf(t);
  await rig.nim.start(SIGNAL);
  rig.clock.pass(2);
  const why = async () => {
    const seen = await rig.nim.observe(SIGNAL);
    return seen.kind === "up" ? seen.said : `off: ${seen.why}`;
  };
  t.is(await why(), "no machine takes its pod yet: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.");
  node(rig);
  rig.clock.pass(2);
  t.is(await why(), undefined);
  const [pod] = rig.fake.cluster.pods;
  if (pod === undefined) throw new Error("it has no pod");
  pod.waiting = { reason: "ImagePullBackOff", message: "Back-off pulling image nvcr.io/nim/nim_flux_dev" };
  t.regex((await why()) ?? "", /pod waits \(ImagePullBackOff\): Back-off.*secret for nvcr\.io/);
});

test("what its controller cannot make does not run, and says why", async (t) => {
  const rig = await rigOf(t);
  const [deployment] = rig.fake.cluster.deployments;
  if (deployment === undefined) throw new Error("nothing is deployed");
  deployment.failure = 'pods "flux-dev-" is forbidden: exceeded quota: gpus';
  await rig.nim.start(SIGNAL);
  rig.clock.pass(5);
  t.is(await look(rig), 'off: pods "flux-dev-" is forbidden: exceeded quota: gpus');
});

test("without a load balancer nobody tells an address", async (t) => {
  const rig = await rigOf(t);
  const [service] = rig.fake.cluster.services;
  rig.fake.cluster.services.length = 0;
  node(rig);
  await rig.nim.start(SIGNAL);
  rig.clock.pass(400);
  t.is(await look(rig), "up, since 301, ready");
  if (service === undefined) throw new Error("it has no service");
  // Another Deployment's, and one inside the cluster.
  rig.fake.cluster.services.push(
    { ...service, selector: { app: "sdxl" } },
    { ...service, type: "ClusterIP" },
  );
  t.is(await look(rig), "up, since 301, ready");
  rig.fake.cluster.services.push({
    ...service,
    ports: [{ port: 443 }],
    ingress: [{ hostname: "nim.example" }],
  });
  t.is(await look(rig), "up, since 301, ready, https://nim.example:443");
});

const refusals = [
  [
    "a verb that its role lacks is named",
    (fake: KubeFake) => fake.denied.add("patch deployments/scale"),
    "denied",
    /cannot patch resource "deployments\/scale" in API group "apps" in the namespace "nim".*docs\/clouds\.md/,
  ],
  [
    "credentials of another cluster are told as such",
    (fake: KubeFake) => fake.tokens.clear(),
    "unauthenticated",
    /cluster budgetguard-nim does not take the gateway's credentials/,
  ],
  [
    "a cluster that is busy is asked again",
    (fake: KubeFake) =>
      fake.misbehave(/PATCH/, {
        kind: "reply",
        status: 429,
        body: { kind: "Status", message: "too many requests" },
      }),
    "throttled",
    /busy \(too many requests\)/,
  ],
  [
    "a failing API server is not an answer",
    (fake: KubeFake) =>
      fake.misbehave(/PATCH/, { kind: "reply", status: 500, body: "etcdserver: timed out" }),
    "unreachable",
    /status 500/,
  ],
  [
    "an answer that breaks off is none",
    (fake: KubeFake) => fake.misbehave(/PATCH/, { kind: "cut" }),
    "unreachable",
    /broke/,
  ],
] as const;

for (const [title, prepare, kind, words] of refusals) {
  test(title, async (t) => {
    const rig = await rigOf(t);
    prepare(rig.fake);
    const trouble = await t.throwsAsync(rig.nim.start(SIGNAL), { instanceOf: Trouble });
    t.is((trouble as Trouble).kind, kind);
    t.regex(trouble?.message ?? "", words);
  });
}

test("a Deployment that is not there is told with those that are", async (t) => {
  const rig = await rigOf(t, { name: "flux-def" });
  const trouble = await t.throwsAsync(rig.nim.observe(SIGNAL), { instanceOf: Trouble });
  t.is((trouble as Trouble).kind, "not_found");
  t.regex(trouble?.message ?? "", /no deployment flux-def in namespace nim: it has flux-dev;/);
  const other = await rigOf(t, { namespace: "default" });
  await t.throwsAsync(other.nim.observe(SIGNAL), { message: /there is none in that namespace/ });
});

test("a token that was replaced is fetched anew, once", async (t) => {
  const rig = await rigOf(t);
  tokens = ["old"];
  t.is(await look(rig), "off");
  t.deepEqual(rig.opened, [false, true, false]);
});

test("a look that is broken off ends with the reason that it was given", async (t) => {
  const rig = await rigOf(t);
  rig.fake.misbehave(/GET/, { kind: "hang" });
  const ended = new AbortController();
  const looking = rig.nim.observe(ended.signal);
  setTimeout(() => ended.abort(new Error("enough")), 50);
  await t.throwsAsync(looking, { message: "enough" });
});

test("a cluster that somebody else vouches for is not believed", async (t) => {
  const rig = await rigOf(t);
  const api = new KubeApi("other", async () => ({
    ...{ server: rig.fake.origin, token: "good" },
    trust: { ca: STRANGER },
  }));
  t.teardown(() => api.close());
  const nim = new DeploymentContainer(api, { namespace: "nim", deployment: "flux-dev" });
  const trouble = await t.throwsAsync(nim.observe(SIGNAL), { instanceOf: Trouble });
  t.is((trouble as Trouble).kind, "unreachable");
  t.deepEqual(rig.fake.asked, []);
});

/** Some other authority: the machine's own first one. */
const STRANGER = (await import("node:tls")).rootCertificates[0] ?? "";
