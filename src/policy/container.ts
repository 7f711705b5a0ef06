// What a policy says about containers and the machines that they run on: how a provider calls them and when
// they may be started and stopped. What they are doing right now is the fleet's knowledge, not a policy's.

import type { DurationUs } from "../metering/time.ts";

/** How the provider calls one container; two upstreams never name the same one. */
export type Container =
  | { readonly kind: "ecs"; readonly region: string; readonly cluster: string; readonly service: string }
  | { readonly kind: "docker"; readonly name: string; readonly socket: string }
  | ({
      readonly kind: "aks";
      readonly namespace: string;
      readonly deployment: string;
    } & AksPool)
  | ({
      readonly kind: "gke";
      readonly namespace: string;
      readonly deployment: string;
    } & GkePool);

export interface AksPool {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly cluster: string;
  readonly pool: string;
}

export interface GkePool {
  readonly project: string;
  readonly location: string;
  readonly cluster: string;
  readonly pool: string;
}

/** What several containers run on and what bills for them together. */
export type MachineGroup =
  | { readonly kind: "asg"; readonly region: string; readonly name: string }
  | ({ readonly kind: "aks_pool" } & AksPool)
  | ({ readonly kind: "gke_pool" } & GkePool)
  | { readonly kind: "docker_host"; readonly socket: string };

export interface Lifecycle {
  readonly wake: "never" | "on_request";
  readonly stopAfterIdle: DurationUs | "never";
  readonly keepWarm: WeeklyWindow | undefined;
  readonly startupEstimate: DurationUs;
  readonly startupTimeout: DurationUs;
}

/** In the policy's time zone. Days are 1 (Monday) to 7; `firstDay` may come after `lastDay`: Sat-Mon. */
export interface WeeklyWindow {
  readonly firstDay: number;
  readonly lastDay: number;
  /** Minutes after midnight. */
  readonly opens: number;
  readonly closes: number;
}

/** At most `calls` in each `per`. */
export interface CallRate {
  readonly calls: number;
  readonly per: DurationUs;
}

/** A container of Kubernetes says itself on which pool it runs. */
export function poolOf(
  container: Container,
): Extract<MachineGroup, { kind: "aks_pool" | "gke_pool" }> | undefined {
  switch (container.kind) {
    case "ecs":
    case "docker":
      return undefined;
    case "aks": {
      const { subscription, resourceGroup, cluster, pool } = container;
      return { kind: "aks_pool", subscription, resourceGroup, cluster, pool };
    }
    case "gke": {
      const { project, location, cluster, pool } = container;
      return { kind: "gke_pool", project, location, cluster, pool };
    }
  }
}
