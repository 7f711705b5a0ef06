// One container at each of Docker, ECS, AKS and GKE, by their protocols, for a gateway that is a process of its
// own: it looks by its own clock, so that dates are this machine's, and minutes pass when a test says so.

import { writeFileSync } from "node:fs";
import type { ExecutionContext } from "ava";
import { type Nim, startNim } from "../../../src/demo/nim.ts";
import { fakeEngine } from "../fake-engine.ts";
import { type GatewayFolder, makeFolder } from "../gateway-folder.ts";
import { CERTIFICATE } from "../self-signed.ts";
import { AWS_KEY, awsFake } from "./aws-fake.ts";
import { AKS, azureFake, PRINCIPAL } from "./azure-fake.ts";
import { DatedClock } from "./cloud-clock.ts";
import { GKE, gcpFake } from "./gcp-fake.ts";
import { kubeFake } from "./k8s-fake.ts";
import type { TlsCloud } from "./tls-cloud.ts";

export type SiteName = "docker" | "ecs" | "aks" | "gke";

/** Of a container, and of the machine under it. */
export type Orders = Readonly<Record<"raise" | "start" | "stop" | "lower", number>>;

/** Times in microseconds since 1970, as the provider tells them. */
export interface Site {
  readonly name: SiteName;
  readonly nim: Nim;
  /** Its keys as an upstream. */
  readonly policy: string;
  /** How often its provider was told so. */
  orders(): Orders;
  /** Of what bills. */
  since(): number;
  /** `isExact`: its provider tells it; else the gateway can only see that it is gone. */
  ended(): { readonly at: number; readonly isExact: boolean };
  /** Its machine comes, and costs; its container does not serve yet. */
  boot(): void;
  serve(): void;
  /** Its container ends, if it was told to. */
  halt(): void;
  /** Its machine ends, if it was told to. */
  leave(): void;
}

export interface FourClouds {
  readonly sites: readonly Site[];
  readonly folder: GatewayFolder;
  /** The same policy with another lifecycle of all four. */
  save(lifecycle: string): void;
  /** Of the daemon. */
  readonly environment: Readonly<Record<string, string>>;
}

const TICK_MS = 50;
const ECS = { "pool 1": "raise", "flux 1": "start", "flux 0": "stop", "pool 0": "lower" } as const;

export async function fourClouds(t: ExecutionContext, lifecycle: string): Promise<FourClouds> {
  const docker = await dockerSite(t);
  const ecs = await ecsSite(t);
  const aks = await aksSite(t);
  const gke = await gkeSite(t);
  const sites = [docker.site, ecs.site, aks.site, gke.site];
  const origins = { aws: ecs.origin, azure: aks.origin, gcp: gke.origin };
  const save = (given: string) => folder.save(policyOf(sites, origins, given));
  const folder = makeFolder(policyOf(sites, origins, lifecycle));
  t.teardown(() => folder.remove());
  const authority = `${folder.path}/authority.pem`;
  writeFileSync(authority, CERTIFICATE);
  const environment = {
    NODE_EXTRA_CA_CERTS: authority,
    FAKE_AWS: AWS_KEY,
    FAKE_AZURE: `${PRINCIPAL.tenant}:${PRINCIPAL.clientId}:${PRINCIPAL.clientSecret}`,
    FAKE_GCP: gke.keyFile,
  };
  return { sites, folder, environment, save };
}

function policyOf(
  sites: readonly Site[],
  { aws, azure, gcp }: Readonly<Record<"aws" | "azure" | "gcp", string>>,
  lifecycle: string,
): string {
  const upstreams = sites.map(
    ({ name, policy }) => `  ${name}: { ${policy}, concurrency: 50, lifecycle: ${lifecycle} }\n`,
  );
  return `version: 1
mode: lowest_price
timezone: UTC
providers:
  aws: { credentials: { env: FAKE_AWS }, endpoint: "${aws}", calls_per_minute: 6000 }
  azure: { credentials: { env: FAKE_AZURE }, endpoint: "${azure}", calls_per_minute: 6000 }
  gcp: { credentials: { env: FAKE_GCP }, endpoint: "${gcp}", calls_per_minute: 6000 }
machines:
  ecs-pool: { asg: { region: us-east-1, name: pool }, price: { usd_per_hour: 1.006 }, min_billed: 2m }
upstreams:
${upstreams.join("")}models:
${sites.map(({ name }) => `  on-${name}: { upstreams: [${name}], estimate: 4s }\n`).join("")}budgets:
  - { id: day, limit_usd: 1000, period: daily, on_limit: block }
`;
}

async function nimOf(t: ExecutionContext): Promise<Nim> {
  const nim = await startNim({ scale: 0.01 });
  t.teardown(() => nim.close());
  return nim;
}

/** Its engine says "running" until the process has ended, and answers a stop only then. */
async function dockerSite(t: ExecutionContext): Promise<{ readonly site: Site }> {
  const nim = await nimOf(t);
  const engine = await fakeEngine(t);
  const orders: ("start" | "stop")[] = [];
  const never = "0001-01-01T00:00:00Z";
  const state = { Status: "created", StartedAt: never, FinishedAt: never, ExitCode: 0 };
  let ending: (() => void)[] = [];
  const turn = (change: Partial<typeof state>) => {
    Object.assign(state, change);
    for (const stream of engine.streams) stream.write('{"Type":"container"}\n');
  };
  engine.answers = {
    "GET /v1.40/containers/nim/json": () => [200, { Id: "c0ffee", State: state, NetworkSettings: {} }],
    "POST /v1.40/containers/nim/start": () => {
      if (state.Status === "running") return [304, undefined];
      orders.push("start");
      nim.ready = false;
      turn({ Status: "running", StartedAt: new Date().toISOString(), FinishedAt: never });
      return [204, undefined];
    },
    "POST /v1.40/containers/nim/stop": () => {
      if (state.Status !== "running") return [304, undefined];
      orders.push("stop");
      return new Promise((resolve) => ending.push(() => resolve([204, undefined])));
    },
  };
  const site: Site = {
    ...{ name: "docker", nim, orders: () => counted(orders) },
    policy:
      `provider: other, url: "${nim.url}", price: { usd_per_hour: 0.77 }, ` +
      `container: { docker: { name: nim, socket: "${engine.socket}" } }`,
    since: () => Date.parse(state.StartedAt) * 1000,
    ended: () => ({ at: Date.parse(state.FinishedAt) * 1000, isExact: true }),
    boot: () => undefined,
    serve: () => {
      nim.ready = true;
    },
    halt: () => {
      if (ending.length === 0) return;
      turn({ Status: "exited", FinishedAt: new Date().toISOString() });
      for (const answer of ending) answer();
      ending = [];
    },
    leave: () => undefined,
  };
  return { site };
}

async function ecsSite(t: ExecutionContext) {
  const nim = await nimOf(t);
  const aws = await awsFake(Date.now());
  t.teardown(() => aws.close());
  const { world } = aws;
  const { delays, state } = world;
  const never = Number.POSITIVE_INFINITY;
  Object.assign(delays, { cold: never, warm: never, stop: never, gone: never });
  world.address = () => "127.0.0.1";
  world.group("pool");
  world.service("flux", "pool", { hostPort: nim.port });
  const ticking = setInterval(() => world.pass(Date.now() - world.now), TICK_MS);
  t.teardown(() => clearInterval(ticking));
  const site: Site = {
    ...{ name: "ecs", nim, orders: () => counted(world.orders.map((one) => ECS[one as keyof typeof ECS])) },
    policy:
      "provider: aws, gpu_tier: a10g, machine: ecs-pool, " +
      "container: { ecs: { region: us-east-1, cluster: nim, service: flux } }",
    since: () => (state.instances.at(-1)?.launched ?? 0) * 1000,
    // EC2 tells an end to the second.
    ended: () => ({
      at: Math.floor((state.instances.at(-1)?.ended ?? 0) / 1000) * 1_000_000,
      isExact: true,
    }),
    boot: () => void Object.assign(delays, { cold: 0, warm: never }),
    serve: () => void Object.assign(delays, { warm: 0, stop: never }),
    halt: () => void Object.assign(delays, { stop: 0, gone: never }),
    leave: () => void Object.assign(delays, { cold: never, gone: 0 }),
  };
  return { site, origin: aws.origin };
}

async function aksSite(t: ExecutionContext) {
  const nim = await nimOf(t);
  const clock = new DatedClock();
  const kube = await kubeFake(t, clock, "cluster-user");
  kube.cluster.deploy("flux-dev", "nim", "127.0.0.1", nim.port);
  const azure = await azureFake(t, clock, kube);
  const { subscription, resourceGroup, cluster, pool } = AKS;
  const place = `subscription: ${subscription}, resource_group: ${resourceGroup}, cluster: ${cluster}`;
  const site: Site = {
    ...{ name: "aks", nim },
    policy:
      "provider: azure, price: { usd_per_hour: 0.526 }, " +
      `container: { aks: { ${place}, pool: ${pool}, namespace: nim, deployment: flux-dev } }`,
    orders: () =>
      counted([
        ...bodies(azure, /^PUT .*\/agentPools\/gpu$/).map((body) => turned(body, "count", "raise", "lower")),
        ...bodies(kube, /^PATCH .*\/scale$/).map((body) => turned(body, "replicas", "start", "stop")),
      ]),
    ...passing(clock, () => kube.cluster.nodes[0]?.made),
  };
  return { site, origin: azure.origin };
}

async function gkeSite(t: ExecutionContext) {
  const nim = await nimOf(t);
  const clock = new DatedClock();
  const kube = await kubeFake(t, clock, "nobody's");
  kube.cluster.deploy("flux-dev", "nim", "127.0.0.1", nim.port);
  const gcp = await gcpFake(t, clock, kube);
  const { project, location, cluster, pool } = GKE;
  const place = `project: ${project}, location: ${location}, cluster: ${cluster}`;
  const site: Site = {
    ...{ name: "gke", nim },
    policy:
      "provider: gcp, price: { usd_per_hour: 3.6 }, min_billed: 60s, " +
      `container: { gke: { ${place}, pool: ${pool}, namespace: nim, deployment: flux-dev } }`,
    orders: () =>
      counted([
        ...bodies(gcp, /^POST .*:setSize$/).map((body) => turned(body, "nodeCount", "raise", "lower")),
        ...bodies(kube, /^PATCH .*\/scale$/).map((body) => turned(body, "replicas", "start", "stop")),
      ]),
    ...passing(clock, () => gcp.machines.machines[0]?.started),
  };
  return { site, origin: gcp.origin, keyFile: gcp.keyFile };
}

/** Of all requests that came. */
function bodies({ asked }: TlsCloud, on: RegExp): readonly string[] {
  return asked.filter(({ method, url }) => on.test(`${method} ${url.pathname}`)).map(({ body }) => body);
}

/** Left out, a number is 0. */
function turned(body: string, key: string, up: keyof Orders, down: keyof Orders): keyof Orders {
  return Number(new RegExp(`"${key}":(\\d+)`).exec(body)?.[1] ?? 0) > 0 ? up : down;
}

function counted(all: readonly (keyof Orders)[]): Orders {
  const count = (one: keyof Orders) => all.filter((each) => each === one).length;
  return { raise: count("raise"), start: count("start"), stop: count("stop"), lower: count("lower") };
}

/** `machine`: the date of the one that bills, while it is there. */
function passing(clock: DatedClock, machine: () => string | undefined) {
  let since = 0;
  let ended = 0;
  const pass = (seconds: number) => () => {
    const before = machine();
    clock.pass(seconds);
    const after = machine();
    if (after !== undefined) since = Date.parse(after) * 1000;
    else if (before !== undefined) ended = Date.now() * 1000;
  };
  return {
    since: () => since,
    ended: () => ({ at: ended, isExact: false }),
    ...{ boot: pass(200), serve: pass(400), halt: pass(40), leave: pass(250) },
  };
}
