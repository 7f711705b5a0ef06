// The machines of a fake GKE node pool, on a virtual clock: allocated, running, joined to the cluster, and the
// other way; somebody else may size the pool, and its autoscaler may do so again.

import type { CloudClock } from "./cloud-clock.ts";
import type { KubeCluster } from "./kube-cluster.ts";

/** Seconds after the order. */
const RUNS = 40;
const JOINS = 75;
const GONE = 35;
const AUTOSCALER = 60;

export interface Machine {
  readonly name: string;
  readonly id: string;
  readonly made: string;
  status: "PROVISIONING" | "RUNNING" | "STOPPING" | "TERMINATED";
  started: string | undefined;
  stopped: string | undefined;
}

export interface Autoscaling {
  readonly enabled: boolean;
  readonly minNodeCount: number;
  readonly maxNodeCount: number;
}

export class GkeMachines {
  readonly clock: CloudClock;
  readonly cluster: KubeCluster;
  readonly pool: string;
  autoscaling: Autoscaling | undefined;
  zones: readonly string[] = ["us-central1-a"];
  targetSize = 0;
  machines: Machine[] = [];
  /** What the next machines end with instead of running. */
  shortage: string | undefined;
  #count = 0;

  constructor(clock: CloudClock, cluster: KubeCluster, pool: string) {
    this.clock = clock;
    this.cluster = cluster;
    this.pool = pool;
  }

  /** Whoever says so. */
  resize(size: number): void {
    this.targetSize = size;
    const living = this.machines.filter(({ status }) => status !== "STOPPING");
    for (const machine of living.slice(size)) this.#end(machine);
    for (let count = living.length; count < size; count += 1) this.#begin();
    const least = this.autoscaling?.enabled ? this.autoscaling.minNodeCount : 0;
    if (size < least) this.clock.after(AUTOSCALER, () => this.resize(least));
  }

  #begin(): void {
    if (this.shortage !== undefined) return;
    this.#count += 1;
    const name = `gke-nim-${this.pool}-${this.#count}`;
    const made = this.clock.text;
    const id = String(7_000_000_000_000_000_000n + BigInt(this.#count));
    const machine: Machine = {
      ...{ name, id, made, status: "PROVISIONING", started: undefined, stopped: undefined },
    };
    this.machines.push(machine);
    this.clock.after(RUNS, () => {
      if (machine.status !== "PROVISIONING") return;
      machine.status = "RUNNING";
      machine.started = this.clock.text;
    });
    this.clock.after(JOINS, () => {
      if (machine.status !== "RUNNING") return;
      const labels = { "cloud.google.com/gke-nodepool": this.pool };
      this.cluster.join(name, `gce://p/us-central1-a/${name}`, labels);
    });
  }

  #end(machine: Machine): void {
    machine.status = "STOPPING";
    this.cluster.leave(machine.name);
    this.clock.after(GONE, () => {
      this.machines = this.machines.filter((each) => each !== machine);
    });
  }
}
