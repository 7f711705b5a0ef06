// Containers and machines: none is named twice, and what bills together says so. Otherwise one machine's
// hour would be charged once per upstream.

import type { Container, MachineGroup } from "../container.ts";
import type { Provider } from "../policy.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";

export function checkContainers(file: PolicyFile, scene: Scene): void {
  checkGroups(file, scene);
  checkIdentities(file, scene);
  checkPools(file, scene);
  checkClusters(file, scene);
}

const PROVIDER_OF: Readonly<Record<Exclude<Container["kind"], "docker">, Provider>> = {
  ecs: "aws",
  aks: "azure",
  gke: "gcp",
};

function checkGroups(file: PolicyFile, scene: Scene): void {
  const seen = new Map<string, string>();
  for (const [id, { group }] of file.machines) {
    if (!group) continue;
    const key = JSON.stringify(group);
    const other = seen.get(key);
    if (other !== undefined)
      scene.problem(["machines", id, group.kind], `is machine ${other} already: keep one of them`);
    seen.set(key, id);
  }
}

function checkIdentities(file: PolicyFile, scene: Scene): void {
  const seen = new Map<string, string>();
  for (const [id, { container, provider, lifecycle }] of file.upstreams) {
    if (!container) {
      if (lifecycle)
        scene.problem(["upstreams", id, "lifecycle"], "needs a container: write which one is started");
      continue;
    }
    const path = ["upstreams", id, "container"];
    const key = JSON.stringify(identity(container));
    const other = seen.get(key);
    if (other !== undefined)
      scene.problem(path, `is upstream ${other}'s container already: one container, one upstream`);
    seen.set(key, id);
    const owner = container.kind === "docker" ? provider : PROVIDER_OF[container.kind];
    if (owner !== provider) {
      scene.problem(
        [...path, container.kind],
        `belongs to provider ${owner}, and this upstream says ${provider}`,
      );
    }
  }
}

/** What tells one container from another; the node pool does not. */
function identity(container: Container): readonly string[] {
  switch (container.kind) {
    case "ecs":
      return ["ecs", container.region, container.cluster, container.service];
    case "docker":
      return ["docker", container.socket, container.name];
    case "aks": {
      const { subscription, resourceGroup, cluster, namespace, deployment } = container;
      return ["aks", subscription, resourceGroup, cluster, namespace, deployment];
    }
    case "gke": {
      const { project, location, cluster, namespace, deployment } = container;
      return ["gke", project, location, cluster, namespace, deployment];
    }
  }
}

/** The machine group that a container says it runs on; ECS does not say. */
function poolOf(container: Container): MachineGroup | undefined {
  if (container.kind === "aks") {
    const { subscription, resourceGroup, cluster, pool } = container;
    return { kind: "aks_pool", subscription, resourceGroup, cluster, pool };
  }
  if (container.kind === "gke") {
    const { project, location, cluster, pool } = container;
    return { kind: "gke_pool", project, location, cluster, pool };
  }
  return undefined;
}

function checkPools(file: PolicyFile, scene: Scene): void {
  const declared = new Map<string, string>();
  for (const [id, { group }] of file.machines) if (group) declared.set(poolKey(group), id);
  const first = new Map<string, { readonly id: string; readonly machine: string | undefined }>();
  for (const [id, { container, machine }] of file.upstreams) {
    const pool = container && poolOf(container);
    if (!pool) continue;
    const path = ["upstreams", id, "machine"];
    const owner = declared.get(poolKey(pool));
    const other = first.get(poolKey(pool));
    if (owner !== undefined && machine !== owner) {
      scene.problem(path, `its node pool is machine ${owner}: write machine: ${owner}`);
    } else if (other && (machine === undefined || machine !== other.machine)) {
      scene.problem(path, `runs on one node pool with ${other.id} and bills with it: give both one machine`);
    }
    if (!other) first.set(poolKey(pool), { id, machine });
  }
}

function poolKey(group: MachineGroup): string {
  const entries = Object.entries(group).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(entries);
}

/** ECS does not tell which group a service runs on; one cluster usually is one Auto Scaling group. */
function checkClusters(file: PolicyFile, scene: Scene): void {
  const first = new Map<string, { readonly id: string; readonly machine: string | undefined }>();
  for (const [id, { container, machine }] of file.upstreams) {
    if (container?.kind !== "ecs") continue;
    const key = JSON.stringify([container.region, container.cluster]);
    const other = first.get(key);
    if (!other) first.set(key, { id, machine });
    else if (machine === undefined && other.machine === undefined) {
      const text = `shares an ECS cluster with ${other.id}: if it is one machine, give both that machine`;
      scene.note(["upstreams", id, "container"], text);
    } else if (machine !== other.machine && (machine === undefined || other.machine === undefined)) {
      const named = machine ?? other.machine;
      scene.note(
        ["upstreams", id, "container"],
        `shares an ECS cluster with ${other.id}: is it on machine ${named} too?`,
      );
    }
  }
}
