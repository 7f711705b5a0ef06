// A GKE node pool as a machine group: its size is 0 or 1. What an order leads to is only known once Google's
// operation ends, so each look asks for it too.
//
//   raise, lower: setSize → an operation.   observe: a failed one is told once, then the pool as it is.

import type { protos } from "@google-cloud/container";
import type { GkePool } from "../../policy/container.ts";
import { type Host, type HostSighting, Trouble } from "../adapter.ts";
import type { GkeApi } from "./gke-api.ts";
import type { InstanceGroups } from "./instance-groups.ts";

type NodePool = protos.google.container.v1.INodePool;
type Operation = protos.google.container.v1.IOperation;

export class GkeNodePool implements Host {
  readonly #gke: GkeApi;
  readonly #groups: InstanceGroups;
  readonly #pool: GkePool;
  readonly #what: string;
  /** The name of the one that our last order began. */
  #operation: string | undefined;

  constructor(gke: GkeApi, groups: InstanceGroups, pool: GkePool) {
    this.#gke = gke;
    this.#groups = groups;
    this.#pool = pool;
    const { project, location, cluster } = pool;
    this.#what = `node pool ${pool.pool} of cluster ${cluster} in ${location} (project ${project})`;
  }

  async observe(signal: AbortSignal): Promise<HostSighting> {
    await this.#followUp(signal);
    const pool = await this.#get(signal);
    const seen = await this.#groups.of(pool.instanceGroupUrls ?? [], signal);
    return { ...seen, scaledByOthers: this.#autoscaler(pool) };
  }

  async raise(signal: AbortSignal): Promise<void> {
    const pool = await this.#get(signal);
    const { wanted } = await this.#groups.of(pool.instanceGroupUrls ?? [], signal);
    if (wanted > 0) return;
    const zones = pool.locations?.length ?? 1;
    if (zones > 1) {
      // A size counts in each zone; its autoscaler starts one machine for the pod that waits.
      if (pool.autoscaling?.enabled) return;
      throw new Trouble(
        "failed",
        `${this.#what} lies in ${zones} zones, where a size of 1 starts ${zones} machines: keep it in one ` +
          `(gcloud container node-pools update ${this.#pool.pool} --node-locations ZONE), or turn on its ` +
          "autoscaler with a minimum of 0",
      );
    }
    await this.#resize(1, signal);
  }

  async lower(signal: AbortSignal): Promise<void> {
    const pool = await this.#get(signal);
    const least = leastOf(pool);
    if (least > 0) {
      throw new Trouble(
        "failed",
        `the autoscaler of ${this.#what} keeps at least ${least} running and would start them again: set ` +
          `its minimum to 0 (gcloud container clusters update ${this.#pool.cluster} ` +
          `--node-pool ${this.#pool.pool} --enable-autoscaling --min-nodes 0 --max-nodes N)`,
      );
    }
    await this.#resize(0, signal);
  }

  async #resize(nodeCount: number, signal: AbortSignal): Promise<void> {
    const request = { name: this.#name, nodeCount };
    const operation = await this.#gke.ask(
      (client, options) => client.setNodePoolSize(request, options),
      this.#what,
      signal,
    );
    this.#operation = operation.name ?? undefined;
    if (isDone(operation)) this.#finish(operation);
  }

  /** Google's words for what became of our order, once. */
  async #followUp(signal: AbortSignal): Promise<void> {
    if (this.#operation === undefined) return;
    const { project, location } = this.#pool;
    const name = `projects/${project}/locations/${location}/operations/${this.#operation}`;
    try {
      const what = `the change of ${this.#what}`;
      const operation = await this.#gke.ask(
        (client, options) => client.getOperation({ name }, options),
        what,
        signal,
      );
      if (isDone(operation)) this.#finish(operation);
    } catch (error) {
      // Google forgets operations after some time: then the pool itself tells.
      if (!(error instanceof Trouble) || error.kind !== "not_found") throw error;
      this.#operation = undefined;
    }
  }

  #finish({ error, statusMessage }: Operation): void {
    this.#operation = undefined;
    const said = error?.message || statusMessage;
    if (said) throw new Trouble("operation_failed", `${this.#what}: ${said.slice(0, 400)}`);
  }

  #get(signal: AbortSignal): Promise<NodePool> {
    const request = { name: this.#name };
    return this.#gke.ask((client, options) => client.getNodePool(request, options), this.#what, signal);
  }

  get #name(): string {
    const { project, location, cluster, pool } = this.#pool;
    return `projects/${project}/locations/${location}/clusters/${cluster}/nodePools/${pool}`;
  }

  #autoscaler(pool: NodePool): string | undefined {
    if (!pool.autoscaling?.enabled) return undefined;
    const least = leastOf(pool);
    const { minNodeCount, maxNodeCount } = pool.autoscaling;
    const range = `${minNodeCount ?? 0} to ${maxNodeCount ?? 0} in each zone`;
    const cure =
      least > 0
        ? "set its minimum to 0, else the pool is never off"
        : "it starts machines for pods that wait, and ends idle ones by itself after about 10 minutes";
    return `GKE's autoscaler (${range}) also sizes node pool ${this.#pool.pool}: ${cure}`;
  }
}

function leastOf({ autoscaling }: NodePool): number {
  if (!autoscaling?.enabled) return 0;
  return Math.max(autoscaling.minNodeCount ?? 0, autoscaling.totalMinNodeCount ?? 0);
}

/** The client tells enums by name or by number. */
function isDone({ status }: Operation): boolean {
  return status === "DONE" || status === 3;
}
