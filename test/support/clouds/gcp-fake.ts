// Google's token service, GKE API and Compute API of one cluster with one node pool, as Google's own client
// and plain JSON meet them: signed assertions, permissions by name, operations that end later or half way.

import { generateKeyPairSync, verify } from "node:crypto";
import type { ExecutionContext } from "ava";
import { CERTIFICATE } from "../self-signed.ts";
import type { CloudClock } from "./cloud-clock.ts";
import { GkeMachines, type Machine } from "./gke-machines.ts";
import type { KubeFake } from "./k8s-fake.ts";
import { type Asked, type Reply, type TlsCloud, tlsCloud } from "./tls-cloud.ts";

export const GKE = {
  project: "p",
  location: "us-central1-a",
  cluster: "budgetguard-nim",
  pool: "gpu",
} as const;
const CLUSTER = `/v1/projects/${GKE.project}/locations/${GKE.location}/clusters/${GKE.cluster}`;
const GROUP =
  "/compute/v1/projects/p/zones/us-central1-a/instanceGroupManagers/gke-budgetguard-nim-gpu-1234-grp";
const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
const EMAIL = "gateway@p.iam.gserviceaccount.com";
const NUMBER = { PENDING: 1, RUNNING: 2, DONE: 3 } as const;

export interface GcpFake extends TlsCloud {
  readonly machines: GkeMachines;
  /** Of the service account, as Google hands it out. */
  readonly keyFile: string;
  readonly called: Set<string>;
  readonly denied: Set<string>;
  /** Tokens that still count. */
  readonly tokens: Set<string>;
  /** Whether the service account's key was deleted. */
  isRevoked: boolean;
}

interface Operation {
  readonly name: string;
  readonly started: string;
  status: keyof typeof NUMBER;
  error: string | undefined;
}

export async function gcpFake(
  t: ExecutionContext,
  clock: CloudClock,
  kube: KubeFake,
  isPlain = false,
): Promise<GcpFake> {
  const machines = new GkeMachines(clock, kube.cluster, GKE.pool);
  const operations: Operation[] = [];
  const answer = (asked: Asked): Reply => {
    if (asked.url.pathname === "/token") return tokenFor(fake, kube, asked);
    const bearer = (asked.headers.authorization ?? "").replace("Bearer ", "");
    if (!fake.tokens.has(bearer)) return refuse(401, "UNAUTHENTICATED", UNAUTHENTICATED);
    const route = ROUTES.find(({ on }) => on.test(`${asked.method} ${asked.url.pathname}`));
    if (route === undefined) return refuse(404, "NOT_FOUND", `Not found: ${asked.url.pathname.slice(4)}.`);
    fake.called.add(route.needs);
    if (fake.denied.has(route.needs)) {
      const where = `projects/p/zones/us-central1-a/clusters/${GKE.cluster}`;
      return refuse(403, "PERMISSION_DENIED", `Required "${route.needs}" permission(s) for "${where}".`);
    }
    return route.answer({ asked, clock, machines, operations, kube });
  };
  const server = await tlsCloud(t, clock, answer, isPlain);
  const keyFile = JSON.stringify({
    ...{
      type: "service_account",
      project_id: "p",
      private_key_id: "k1",
      client_email: EMAIL,
      client_id: "1",
    },
    private_key: keys.privateKey.export({ type: "pkcs8", format: "pem" }),
    token_uri: `${server.origin}/token`,
  });
  const sets = { called: new Set<string>(), denied: new Set<string>(), tokens: new Set<string>() };
  const fake: GcpFake = { ...server, ...sets, machines, keyFile, isRevoked: false };
  return fake;
}

const UNAUTHENTICATED =
  "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid " +
  "authentication credential.";

function tokenFor(fake: GcpFake, kube: KubeFake, { body }: Asked): Reply {
  const [head = "", claims = "", signature = ""] = (new URLSearchParams(body).get("assertion") ?? "").split(
    ".",
  );
  const signed = Buffer.from(`${head}.${claims}`);
  const isSound = verify("sha256", signed, keys.publicKey, Buffer.from(signature, "base64url"));
  const { iss } = JSON.parse(Buffer.from(claims, "base64url").toString() || "{}") as { iss?: string };
  if (!isSound || iss !== EMAIL || fake.isRevoked) {
    return { status: 400, body: { error: "invalid_grant", error_description: "Invalid JWT Signature." } };
  }
  const token = `ya29.${fake.tokens.size + 1}`;
  fake.tokens.add(token);
  kube.tokens.add(token);
  return { body: { access_token: token, expires_in: 3599, token_type: "Bearer" } };
}

interface Scene {
  readonly asked: Asked;
  readonly clock: CloudClock;
  readonly machines: GkeMachines;
  readonly operations: Operation[];
  readonly kube: KubeFake;
}

const ROUTES: readonly { readonly on: RegExp; readonly needs: string; answer(scene: Scene): Reply }[] = [
  {
    on: new RegExp(`^GET ${CLUSTER}$`),
    needs: "container.clusters.get",
    answer: ({ kube }) => {
      const clusterCaCertificate = Buffer.from(CERTIFICATE).toString("base64");
      return { body: { name: GKE.cluster, endpoint: kube.host, masterAuth: { clusterCaCertificate } } };
    },
  },
  {
    on: new RegExp(`^GET ${CLUSTER}/nodePools/${GKE.pool}$`),
    needs: "container.clusters.get",
    answer: ({ machines: { autoscaling, zones } }) => ({
      body: {
        ...{ name: GKE.pool, initialNodeCount: 3, status: NUMBER.RUNNING, locations: zones },
        ...(autoscaling && { autoscaling }),
        instanceGroupUrls: [`https://www.googleapis.com${GROUP}`],
      },
    }),
  },
  {
    on: new RegExp(`^POST ${CLUSTER}/nodePools/${GKE.pool}:setSize$`),
    needs: "container.clusters.update",
    answer: setSize,
  },
  {
    on: /^GET \/v1\/projects\/p\/locations\/us-central1-a\/operations\//,
    needs: "container.operations.get",
    answer: ({ asked, operations }) => {
      const found = operations.find(({ name }) => asked.url.pathname.endsWith(name));
      return found === undefined ? refuse(404, "NOT_FOUND", "Not found: operation.") : { body: wire(found) };
    },
  },
  {
    on: new RegExp(`^GET ${GROUP}$`),
    needs: "compute.instanceGroupManagers.get",
    answer: ({ machines }) => ({ body: { targetSize: machines.targetSize, status: { isStable: true } } }),
  },
  {
    on: new RegExp(`^POST ${GROUP}/listManagedInstances$`),
    needs: "compute.instanceGroupManagers.list",
    answer: ({ machines }) => ({ body: { managedInstances: machines.machines.map(managed) } }),
  },
  {
    on: /^GET \/compute\/v1\/projects\/p\/zones\/us-central1-a\/instances\//,
    needs: "compute.instances.get",
    answer: ({ asked, machines }) => {
      const found = machines.machines.find(({ name }) => asked.url.pathname.endsWith(`/${name}`));
      return found === undefined
        ? refuse(404, "NOT_FOUND", "The resource was not found")
        : { body: instance(found) };
    },
  },
];

function setSize({ asked, clock, machines, operations }: Scene): Reply {
  const busy = operations.find(({ status }) => status !== "DONE");
  if (busy !== undefined) {
    const where = `is currently operating on cluster ${GKE.cluster}. Please wait and try again once it is done.`;
    return refuse(400, "FAILED_PRECONDITION", `Operation ${busy.name} ${where}`);
  }
  const { nodeCount = 0 } = JSON.parse(asked.body) as { nodeCount?: number };
  const name = `operation-${operations.length + 1}-abcd`;
  const operation: Operation = { name, started: clock.text, status: "RUNNING", error: undefined };
  operations.push(operation);
  // What it asked for is not to be seen at once.
  clock.after(2, () => machines.resize(nodeCount * machines.zones.length));
  const shortage = nodeCount > 0 ? machines.shortage : undefined;
  clock.after(62, () => {
    operation.status = "DONE";
    operation.error = shortage;
  });
  return { body: wire(operation) };
}

function wire({ name, status, started, error }: Operation) {
  const failed = error !== undefined && status === "DONE" ? { error: { code: 8, message: error } } : {};
  return {
    name,
    operationType: 9,
    status: NUMBER[status],
    startTime: started,
    location: GKE.location,
    ...failed,
  };
}

const ACTIONS = {
  PROVISIONING: "CREATING",
  RUNNING: "NONE",
  STOPPING: "DELETING",
  TERMINATED: "NONE",
} as const;

function managed({ name, id, status }: Machine) {
  const url = `https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a/instances/${name}`;
  return { instance: url, id, instanceStatus: status, currentAction: ACTIONS[status] };
}

function instance({ name, id, status, made, started, stopped }: Machine) {
  const times = {
    creationTimestamp: zoned(made),
    ...(started !== undefined && { lastStartTimestamp: zoned(started) }),
    ...(stopped !== undefined && { lastStopTimestamp: zoned(stopped) }),
  };
  return { name, id, status, ...times };
}

/** As Compute Engine writes them: in California's time, to the millisecond. */
function zoned(text: string): string {
  return `${new Date(Date.parse(text) - 8 * 3_600_000).toISOString().slice(0, -1)}-08:00`;
}

function refuse(code: number, status: string, message: string): Reply {
  return { status: code, body: { error: { code, message, status } } };
}
