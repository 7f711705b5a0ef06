// A fake AKS node pool on a virtual clock: one operation at a time, machines that join minutes later, a count
// that an autoscaler keeps, and a stop of the whole pool.

import { randomUUID } from "node:crypto";
import type { CloudClock } from "./cloud-clock.ts";
import type { KubeCluster } from "./kube-cluster.ts";

/** Seconds after the order. */
const JOINS = 150;
const LEAVES = 60;
const DONE = 190;
const FAILS = 120;
const AUTOSCALER = 300;

export interface PoolProperties {
  eTag: string;
  count: number;
  vmSize: string;
  osType: string;
  type: string;
  mode: string;
  enableAutoScaling: boolean;
  minCount?: number;
  maxCount?: number;
  scaleDownMode: string;
  provisioningState: string;
  powerState: { code: string };
  nodeLabels?: Readonly<Record<string, string>>;
  status?: { provisioningError?: { code: string; message: string } };
}

export interface AksOperation {
  readonly name: string;
  readonly startTime: string;
  status: "InProgress" | "Succeeded" | "Failed" | "Canceled";
  error?: { code: string; message: string };
}

export class AksMachines {
  readonly clock: CloudClock;
  readonly cluster: KubeCluster;
  readonly pool: string;
  readonly operations: AksOperation[] = [];
  readonly properties: PoolProperties = {
    ...{
      eTag: "e1",
      count: 0,
      vmSize: "Standard_NC4as_T4_v3",
      osType: "Linux",
      type: "VirtualMachineScaleSets",
    },
    ...{ mode: "User", enableAutoScaling: false, scaleDownMode: "Delete", provisioningState: "Succeeded" },
    ...{ powerState: { code: "Running" }, nodeLabels: { accelerator: "nvidia-gpu" } },
  };
  /** How the next operation ends instead of well. */
  ending: { status: "Failed" | "Canceled"; error?: { code: string; message: string } } | undefined;
  #count = 0;

  constructor(clock: CloudClock, cluster: KubeCluster, pool: string) {
    this.clock = clock;
    this.cluster = cluster;
    this.pool = pool;
  }

  get isBusy(): boolean {
    return this.operations.some(({ status }) => status === "InProgress");
  }

  get names(): readonly string[] {
    return this.cluster.nodes.filter(({ name }) => name.startsWith("aks-")).map(({ name }) => name);
  }

  /** What somebody else did in the portal: no operation of ours. */
  resize(count: number): void {
    this.properties.count = count;
    this.#changed();
    this.#machines();
  }

  /** Begins an operation; the pool already says what it is to become. */
  put(count: number, power: string): AksOperation {
    const own = this.properties;
    const { ending } = this;
    this.ending = undefined;
    const isPower = own.powerState.code !== power;
    own.provisioningState = isPower ? (power === "Stopped" ? "Stopping" : "Starting") : "Scaling";
    own.count = count;
    own.powerState = { code: power };
    delete own.status;
    this.#changed();
    const name = `OP${this.operations.length + 1}`;
    const operation: AksOperation = { name, startTime: this.clock.text, status: "InProgress" };
    this.operations.push(operation);
    if (ending === undefined) this.#machines();
    this.clock.after(ending === undefined ? DONE : FAILS, () => {
      Object.assign(operation, ending ?? { status: "Succeeded" });
      own.provisioningState = operation.status;
      if (operation.error !== undefined) own.status = { provisioningError: operation.error };
    });
    return operation;
  }

  #changed(): void {
    this.properties.eTag = randomUUID().slice(0, 8);
  }

  #machines(): void {
    const { powerState, enableAutoScaling, minCount = 0 } = this.properties;
    const wanted = powerState.code === "Stopped" ? 0 : this.properties.count;
    const names = this.names;
    for (const name of names.slice(wanted)) this.clock.after(LEAVES, () => this.#leave(name));
    for (let count = names.length; count < wanted; count += 1) this.clock.after(JOINS, () => this.#join());
    if (enableAutoScaling && powerState.code === "Running" && wanted < minCount) {
      this.clock.after(AUTOSCALER, () => this.resize(minCount));
    }
  }

  #join(): void {
    const { count, powerState } = this.properties;
    if (powerState.code === "Stopped" || this.names.length >= count) return;
    const index = this.#count;
    this.#count += 1;
    const set = `aks-${this.pool}-1234-vmss`;
    const path = "subscriptions/SUB/resourceGroups/MC_rg/providers/Microsoft.Compute/virtualMachineScaleSets";
    const id = `azure:///${path}/${set}/virtualMachines/${index}`;
    this.cluster.join(`${set}00000${index}`, id, { "kubernetes.azure.com/agentpool": this.pool });
  }

  #leave(name: string): void {
    const { scaleDownMode, count, powerState } = this.properties;
    if (powerState.code === "Running" && this.names.length <= count) return;
    const node = this.cluster.nodes.find((each) => each.name === name);
    // Deallocated, it stays in the cluster.
    if (scaleDownMode === "Deallocate" && node !== undefined) node.isReady = false;
    else this.cluster.leave(name);
  }
}
