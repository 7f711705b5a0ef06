// The Kubernetes API of a fake cluster, word for word where the gateway reads it: bearer tokens, roles that
// name verbs and resources, label selectors, merge patches of a scale, and Status objects for what it refuses.

import type { ExecutionContext } from "ava";
import type { CloudClock } from "./cloud-clock.ts";
import {
  type FakeDeployment,
  type FakeNode,
  type FakePod,
  type FakeService,
  KubeCluster,
} from "./kube-cluster.ts";
import { type Asked, type Reply, type TlsCloud, tlsCloud } from "./tls-cloud.ts";

export interface KubeFake extends TlsCloud {
  readonly cluster: KubeCluster;
  /** Those that it takes. */
  readonly tokens: Set<string>;
  /** "patch deployments/scale": what its roles do not allow. */
  readonly denied: Set<string>;
  /** What was asked for, by verb and resource. */
  readonly called: Set<string>;
}

export async function kubeFake(t: ExecutionContext, clock: CloudClock, token: string): Promise<KubeFake> {
  const cluster = new KubeCluster(clock);
  const tokens = new Set([token]);
  const denied = new Set<string>();
  const called = new Set<string>();
  const server = await tlsCloud(t, clock, (asked) => {
    if (!tokens.has((asked.headers.authorization ?? "").replace("Bearer ", ""))) {
      return refuse(401, "Unauthorized", "Unauthorized");
    }
    const found = resourceOf(asked);
    if (found === undefined)
      return refuse(404, "NotFound", "the server could not find the requested resource");
    const right = `${found.verb} ${found.resource}`;
    called.add(right);
    if (denied.has(right)) return forbidden(found);
    return answer(cluster, asked, found);
  });
  return { ...server, cluster, tokens, denied, called };
}

interface Found {
  readonly verb: "get" | "list" | "patch";
  readonly resource: string;
  readonly namespace: string;
  readonly name: string | undefined;
}

const PATHS = [
  /^\/apis\/apps\/v1\/namespaces\/(?<namespace>[^/]+)\/(?<plural>deployments)(?:\/(?<name>[^/]+)(?<sub>\/scale)?)?$/,
  /^\/api\/v1\/namespaces\/(?<namespace>[^/]+)\/(?<plural>pods|services)(?:\/(?<name>[^/]+))?$/,
  /^\/api\/v1\/(?<plural>nodes)(?:\/(?<name>[^/]+))?$/,
];

function resourceOf({ method, url }: Asked): Found | undefined {
  const found = PATHS.map((path) => path.exec(url.pathname)?.groups).find((groups) => groups !== undefined);
  if (found === undefined) return undefined;
  const { plural, sub = "", namespace = "", name } = found;
  const verb = method === "PATCH" ? "patch" : name === undefined ? "list" : "get";
  return { verb, resource: `${plural}${sub}`, namespace, name };
}

function answer(cluster: KubeCluster, asked: Asked, { resource, namespace, name }: Found): Reply {
  const mine = cluster.deployments.filter((each) => each.namespace === namespace);
  const selected = (labels: Readonly<Record<string, string>>) => selects(asked.url, labels);
  switch (resource) {
    case "deployments":
    case "deployments/scale": {
      if (name === undefined) return list(mine.map((each) => deploymentOf(cluster, each)));
      const found = mine.find((each) => each.name === name);
      if (found === undefined) return refuse(404, "NotFound", `deployments.apps "${name}" not found`);
      if (resource === "deployments") return { body: deploymentOf(cluster, found) };
      return asked.method === "PATCH" ? patched(cluster, found, asked) : { body: scaleOf(found) };
    }
    case "pods": {
      const own = cluster.pods.filter(({ owner }) => owner.namespace === namespace);
      return list(own.filter(({ owner }) => selected({ app: owner.name })).map(podOf));
    }
    case "services":
      return list(cluster.services.filter((each) => each.namespace === namespace).map(serviceOf));
    default:
      return list(cluster.nodes.filter(({ labels }) => selected(labels)).map(nodeOf));
  }
}

/** "a=b,c in (d,e)", as far as the gateway writes them. */
function selects(url: URL, labels: Readonly<Record<string, string>>): boolean {
  const selector = url.searchParams.get("labelSelector") ?? "";
  return selector.split(",").every((part) => {
    const [label = "", value] = part.split("=");
    return labels[label] === value;
  });
}

function patched(cluster: KubeCluster, found: FakeDeployment, { headers, body }: Asked): Reply {
  if (headers["content-type"] !== "application/merge-patch+json") {
    return refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown format");
  }
  const { spec } = JSON.parse(body) as { spec?: { replicas?: unknown } };
  if (typeof spec?.replicas !== "number") return refuse(422, "Invalid", "spec.replicas: Required value");
  cluster.scale(found, spec.replicas);
  return { body: scaleOf(found) };
}

function scaleOf({ name, namespace, replicas }: FakeDeployment) {
  return { kind: "Scale", apiVersion: "autoscaling/v1", metadata: { name, namespace }, spec: { replicas } };
}

function deploymentOf(
  cluster: KubeCluster,
  { name, namespace, uid, replicas, generation, failure }: FakeDeployment,
) {
  const own = cluster.pods.filter((pod) => pod.owner.uid === uid);
  const ready = own.filter(({ isReady }) => isReady).length;
  const failed = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: failure };
  const labels = { app: name };
  return {
    metadata: { name, namespace, uid, generation, creationTimestamp: "2026-11-01T10:00:00Z", labels },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels } } },
    status: {
      ...{ observedGeneration: generation, replicas: own.length },
      // Left out at 0, as Kubernetes does.
      ...(ready > 0 && { readyReplicas: ready }),
      conditions: failure === undefined ? [] : [failed],
    },
  };
}

function podOf({ name, uid, made, node, startedAt, isReady, waiting, deleted, phase }: FakePod) {
  const message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.";
  const unscheduled = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
  const scheduled = node === undefined ? unscheduled : { type: "PodScheduled", status: "True" };
  const state = startedAt === undefined ? { waiting: waiting ?? {} } : { running: { startedAt } };
  return {
    metadata: {
      name,
      uid,
      creationTimestamp: made,
      ...(deleted !== undefined && { deletionTimestamp: deleted }),
    },
    spec: { ...(node !== undefined && { nodeName: node }) },
    status: {
      phase,
      conditions: [scheduled, { type: "Ready", status: isReady ? "True" : "False" }],
      ...(node !== undefined && { containerStatuses: [{ name: "nim", ready: isReady, state }] }),
    },
  };
}

function serviceOf({ name, type, selector, ports, ingress }: FakeService) {
  return {
    metadata: { name },
    spec: { type, selector, ports },
    status: { loadBalancer: ingress.length === 0 ? {} : { ingress } },
  };
}

function nodeOf({ name, uid, made, labels, providerID, isReady }: FakeNode) {
  const conditions = [{ type: "Ready", status: isReady ? "True" : "Unknown" }];
  return {
    metadata: { name, uid, creationTimestamp: made, labels },
    spec: { providerID },
    status: { conditions },
  };
}

function list(items: readonly object[]): Reply {
  return { body: { kind: "List", apiVersion: "v1", metadata: { resourceVersion: "1001" }, items } };
}

function forbidden({ verb, resource, namespace, name }: Found): Reply {
  const group = resource.startsWith("deployments") ? 'in API group "apps"' : 'in API group ""';
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const what = `User "gateway" cannot ${verb} resource "${resource}" ${group} ${where}`;
  return refuse(
    403,
    "Forbidden",
    `${resource} ${name === undefined ? "" : `"${name}" `}is forbidden: ${what}`,
  );
}

function refuse(code: number, reason: string, message: string): Reply {
  return {
    status: code,
    body: { kind: "Status", apiVersion: "v1", status: "Failure", message, reason, code },
  };
}
