// An AKS node pool as a machine group. How it is turned off depends on who else sizes it:
//
//   no autoscaler:  count 0 and 1. Its machines are deleted, so nothing is billed on.
//   autoscaler:     the pool is stopped and started. AKS refuses a count of 0 there, and a stop ends that
//                   pool's autoscaler too, so that nobody starts its machines again.
//
// A pool tells no times: its machines are the cluster's nodes with its label. What an order leads to is known
// once Azure's operation ends, so each look asks for it too; one that failed is told once.

import { type AgentPool, type ContainerServiceClient, isRestError } from "@azure/arm-containerservice";
import type { AksPool } from "../../policy/container.ts";
import { type Host, type HostSighting, Trouble } from "../adapter.ts";
import type { KubeApi } from "../kubernetes/kube-api.ts";
import { instanceOf, isReadyNode, nodesOf } from "../kubernetes/nodes.ts";
import { type AksApi, operationTrouble } from "./aks-api.ts";

type Poller = ReturnType<ContainerServiceClient["agentPools"]["createOrUpdate"]>;

export class AksNodePool implements Host {
  readonly #aks: AksApi;
  readonly #kube: KubeApi;
  readonly #pool: AksPool;
  readonly #what: string;
  /** Of our last order, until it has ended; in an object, because a poller is a promise of that end. */
  #order: { readonly poller: Poller | undefined } | undefined;

  constructor(aks: AksApi, kube: KubeApi, pool: AksPool) {
    this.#aks = aks;
    this.#kube = kube;
    this.#pool = pool;
    const { resourceGroup, subscription } = pool;
    this.#what =
      `node pool ${pool.pool} of cluster ${pool.cluster} in resource group ${resourceGroup} ` +
      `(subscription ${subscription})`;
  }

  async observe(signal: AbortSignal): Promise<HostSighting> {
    await this.#followUp(signal);
    const pool = await this.#get(signal);
    this.#judge(pool);
    const wanted = isStopped(pool) ? 0 : (pool.count ?? 0);
    const scaledByOthers = this.#autoscaler(pool);
    // Settled at none: then its cluster, which may be stopped itself, need not be asked.
    if (wanted === 0 && isSettled(pool) && (!pool.enableAutoScaling || isStopped(pool))) {
      return { instances: [], wanted, scaledByOthers, ended: [] };
    }
    const nodes = await nodesOf(this.#kube, `kubernetes.azure.com/agentpool=${this.#pool.pool}`, signal);
    const billed = nodes.filter((node) => !isDeallocated(pool) || isReadyNode(node) || !isSettled(pool));
    const instances = billed.map((node) => instanceOf(node, wanted === 0));
    return { instances, wanted, scaledByOthers, ended: [] };
  }

  async raise(signal: AbortSignal): Promise<void> {
    const pool = await this.#get(signal);
    const count = pool.count ?? 0;
    if (isStopped(pool)) {
      const start = { ...pool, powerState: { code: "Running" } };
      return this.#put(pool.enableAutoScaling || count > 0 ? start : { ...start, count: 1 }, signal);
    }
    // An autoscaler starts a machine for the pod that waits; a count beside it is refused.
    if (count > 0 || pool.enableAutoScaling) return;
    await this.#put({ ...pool, count: 1 }, signal);
  }

  async lower(signal: AbortSignal): Promise<void> {
    const pool = await this.#get(signal);
    if (pool.mode === "System") {
      throw new Trouble(
        "failed",
        `${this.#what} is a System pool, which AKS keeps running: put the containers on a User pool ` +
          "(az aks nodepool add --mode User), or name no machine to be turned off",
      );
    }
    if (isStopped(pool)) return;
    if (pool.enableAutoScaling) return this.#put({ ...pool, powerState: { code: "Stopped" } }, signal);
    if (pool.count !== 0) await this.#put({ ...pool, count: 0 }, signal);
  }

  /** As it was read: another change in between is not undone. */
  async #put(pool: AgentPool, signal: AbortSignal): Promise<void> {
    const { subscription, resourceGroup, cluster } = this.#pool;
    const ifMatch = pool.eTag;
    await this.#aks.ask(
      subscription,
      async ({ agentPools }, options) => {
        const all = { ...options, ...(ifMatch !== undefined && { ifMatch }) };
        const poller = agentPools.createOrUpdate(resourceGroup, cluster, this.#pool.pool, pool, all);
        await poller.submitted();
        this.#order = { poller };
      },
      this.#what,
      signal,
    );
  }

  async #followUp(signal: AbortSignal): Promise<void> {
    const poller = this.#order?.poller;
    if (poller === undefined) return;
    try {
      await this.#aks.ask(
        this.#pool.subscription,
        async () => {
          if (poller.operationState?.status === "running") await poller.poll();
        },
        this.#what,
        signal,
      );
    } catch (error) {
      if (signal.aborted) throw error;
      if (!poller.isDone) throw error;
      const { cause } = error as { cause?: unknown };
      // A poller that was refused an answer asks no more: the pool itself tells what became of the order.
      this.#order = isRestError(cause) ? { poller: undefined } : undefined;
      throw isRestError(cause) ? error : operationTrouble(cause, this.#what);
    }
    if (poller.isDone) this.#order = undefined;
  }

  /** Of an order that nobody follows any more. */
  #judge({ provisioningState, status }: AgentPool): void {
    if (this.#order === undefined || this.#order.poller !== undefined) return;
    if (provisioningState !== "Failed" && provisioningState !== "Canceled") {
      if (provisioningState === "Succeeded") this.#order = undefined;
      return;
    }
    this.#order = undefined;
    const { code, message } = status?.provisioningError ?? {};
    const said = message === undefined ? `its change is ${provisioningState}` : `${message} (${code})`;
    throw operationTrouble(new Error(said), this.#what);
  }

  #get(signal: AbortSignal): Promise<AgentPool> {
    const { subscription, resourceGroup, cluster, pool } = this.#pool;
    return this.#aks.ask(
      subscription,
      ({ agentPools }, options) => agentPools.get(resourceGroup, cluster, pool, options),
      this.#what,
      signal,
    );
  }

  #autoscaler(pool: AgentPool): string | undefined {
    if (!pool.enableAutoScaling || isStopped(pool)) return undefined;
    const range = `${pool.minCount ?? 0} to ${pool.maxCount ?? 0}`;
    return (
      `the cluster autoscaler (${range}) also sizes node pool ${this.#pool.pool}: to turn it off, the pool ` +
      "is stopped and started as a whole (az aks nodepool update --disable-cluster-autoscaler ends it)"
    );
  }
}

function isStopped({ powerState }: AgentPool): boolean {
  return powerState?.code === "Stopped";
}

function isSettled({ provisioningState }: AgentPool): boolean {
  return provisioningState === "Succeeded";
}

/** Then machines that were turned off stay in the cluster, not ready and not billed but for their disks. */
function isDeallocated({ scaleDownMode }: AgentPool): boolean {
  return scaleDownMode === "Deallocate";
}
