// One Deployment of a Kubernetes cluster as a container: on is one replica, off is none. What it runs on, and
// what that costs, is its node pool's affair.
//
//   off: no replica is wanted and no pod is left.   up: one is wanted, or a pod is still ending.
// Until a pod is there, a start is seen under the Deployment's own uid, since the first look at it.

import { type Instant, instantUs } from "../../metering/time.ts";
import { type Adapter, type Sighting, Trouble } from "../adapter.ts";
import type { KubeApi } from "./kube-api.ts";
import { addressOf } from "./load-balancer.ts";
import { Deployment, listOf, Pod, read, Scale, Service } from "./objects.ts";
import { isLiving, isReady, sinceOf, whyWaiting } from "./pods.ts";

const MOST_NAMED = 8;
/** More pods than a Deployment for one artist ever has; a page, so that no answer is endless. */
const PAGE = 250;

export interface Workload {
  readonly namespace: string;
  readonly deployment: string;
}

export class DeploymentContainer implements Adapter {
  readonly #api: KubeApi;
  readonly #name: string;
  readonly #what: string;
  readonly #namespace: string;
  readonly #path: string;
  /** The pod that was last seen up: it is what has ended once there is none. */
  #lastPod: string | undefined;
  /** Since when a start without a pod is seen, by the Deployment's generation. */
  #waiting: { readonly generation: number; readonly since: Instant } | undefined;

  constructor(api: KubeApi, { namespace, deployment }: Workload) {
    this.#api = api;
    this.#name = deployment;
    this.#what = `deployment ${deployment} in namespace ${namespace}`;
    this.#namespace = `/namespaces/${encodeURIComponent(namespace)}`;
    this.#path = `/apis/apps/v1${this.#namespace}/deployments/${encodeURIComponent(deployment)}`;
  }

  async observe(signal: AbortSignal): Promise<Sighting> {
    const { deployment, at } = await this.#deployment(signal);
    const pods = await this.#list("pods", listOf(Pod), signal, selectorOf(deployment));
    const living = pods.filter(isLiving);
    const { replicas } = deployment.spec;
    if (replicas === 0 && living.length === 0) return this.#off(deployment, undefined);
    const pod = living.find(isReady) ?? living.find((each) => !isEnding(each)) ?? living[0];
    if (pod === undefined) return this.#withoutPod(deployment, at);
    this.#lastPod = pod.metadata.uid;
    this.#waiting = undefined;
    const services = await this.#list("services", listOf(Service), signal);
    return {
      ...{ kind: "up", id: pod.metadata.uid, since: sinceOf(pod) },
      isHealthy: isReady(pod),
      url: addressOf(services, deployment.spec.template.metadata.labels),
      isStopping: replicas === 0,
      ...(!isReady(pod) && { said: whyWaiting(pod) }),
    };
  }

  /** More replicas than one are somebody's wish: they stay. */
  async start(signal: AbortSignal): Promise<void> {
    const what = `scale of ${this.#what}`;
    const path = `${this.#path}/scale`;
    const { body } = await this.#api.ask({ path, what }, signal);
    if (read(Scale, body, what).spec.replicas === 0) await this.#scale(1, signal);
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#scale(0, signal);
  }

  async #scale(replicas: number, signal: AbortSignal): Promise<void> {
    const what = `scale of ${this.#what}`;
    const path = `${this.#path}/scale`;
    await this.#api.ask({ method: "PATCH", path, patch: { spec: { replicas } }, what }, signal);
  }

  /** What its own controller cannot make, such as beyond a quota, does not run; else it is about to. */
  #withoutPod(deployment: Deployment, at: number): Sighting {
    const failed = deployment.status.conditions.find((each) => each.type === "ReplicaFailure");
    if (failed?.status === "True") return this.#off(deployment, failed.message ?? failed.reason);
    const generation = deployment.metadata.generation ?? 0;
    if (this.#waiting?.generation !== generation) {
      this.#waiting = { generation, since: instantUs(at * 1000) };
    }
    const { since } = this.#waiting;
    const { uid: id } = deployment.metadata;
    return { kind: "up", id, since, isHealthy: false, url: undefined, isStopping: false };
  }

  /** When it ended, a Deployment does not tell. */
  #off({ metadata }: Deployment, why: string | undefined): Sighting {
    this.#waiting = undefined;
    return { kind: "off", id: this.#lastPod ?? metadata.uid, stopped: undefined, why };
  }

  async #deployment(signal: AbortSignal) {
    try {
      const { body, at } = await this.#api.ask({ path: this.#path, what: this.#what }, signal);
      return { deployment: read(Deployment, body, this.#what), at };
    } catch (error) {
      if (!(error instanceof Trouble) || error.kind !== "not_found") throw error;
      throw new Trouble("not_found", `${error.message}: ${await this.#others(signal)}`, error);
    }
  }

  /** What there is instead, where that may be asked. */
  async #others(signal: AbortSignal): Promise<string> {
    const cure = "look at container.aks or container.gke (namespace, deployment)";
    try {
      const path = `/apis/apps/v1${this.#namespace}/deployments?limit=${MOST_NAMED}`;
      const { body } = await this.#api.ask({ path, what: "deployments" }, signal);
      const found = read(listOf(Deployment), body, "deployments").items.map(({ metadata }) => metadata.name);
      return found.length === 0
        ? `there is none in that namespace; ${cure}`
        : `it has ${found.join(", ")}; ${cure}`;
    } catch (error) {
      if (signal.aborted) throw error;
      return cure;
    }
  }

  async #list<T>(
    plural: "pods" | "services",
    schema: Parameters<typeof read<{ items: T[] }>>[0],
    signal: AbortSignal,
    query = "",
  ): Promise<T[]> {
    const what = `${plural} of ${this.#name}`;
    const path = `/api/v1${this.#namespace}/${plural}?limit=${PAGE}${query}`;
    const { body } = await this.#api.ask({ path, what }, signal);
    return read(schema, body, what).items;
  }
}

function isEnding({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function selectorOf({ spec, metadata }: Deployment): string {
  const { matchLabels, matchExpressions } = spec.selector;
  const parts = [
    ...Object.entries(matchLabels).map(([label, value]) => `${label}=${value}`),
    ...matchExpressions.map(({ key, operator, values }) => expressed(key, operator, values)),
  ];
  // Without one, every pod of the namespace would be its own.
  if (parts.length === 0) throw new Trouble("failed", `deployment ${metadata.name} selects no pods`);
  return `&labelSelector=${encodeURIComponent(parts.join(","))}`;
}

function expressed(key: string, operator: string, values: readonly string[]): string {
  switch (operator) {
    case "In":
      return `${key} in (${values.join(",")})`;
    case "NotIn":
      return `${key} notin (${values.join(",")})`;
    case "Exists":
      return key;
    default:
      return `!${key}`;
  }
}
