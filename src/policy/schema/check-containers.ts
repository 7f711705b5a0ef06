// Containers and machines: none is named twice, and what bills together says so. Otherwise one machine's
// hour would be charged once per upstream.

import { isFree, type Price } from "../../metering/price.ts";
import { type Container, type MachineGroup, poolOf } from "../container.ts";
import type { Provider } from "../policy.ts";
import { OWNERS } from "./container.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Prices } from "./resolve-price.ts";
import type { Scene } from "./scene.ts";

/** `prices`: those that are known. */
export function checkContainers(file: PolicyFile, { upstreams }: Prices, scene: Scene): void {
  checkGroups(file, scene);
  checkOwners(file, scene);
  checkIdentities(file, scene);
  // A price that is missing is told of already.
  const isFreeAt = (price: Price | undefined) => price === undefined || isFree(price);
  checkPools(file, (id) => isFreeAt(upstreams.get(id)), scene);
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
    const key = groupKey(group);
    const other = seen.get(key);
    if (other !== undefined)
      scene.problem(["machines", id, group.kind], `is machine ${other} already: keep one of them`);
    seen.set(key, id);
  }
}

/** Also of upstreams without a container; one of the wrong kind is told of by checkPools. */
function checkOwners(file: PolicyFile, scene: Scene): void {
  for (const [id, { machine, provider, container }] of file.upstreams) {
    const group = machine === undefined ? undefined : file.machines.get(machine)?.group;
    const owner = group && OWNERS[group.kind];
    if (!owner || owner === provider || (container && GROUP_KIND[container.kind] !== group.kind)) continue;
    const text = `${machine} is ${owner}'s (${group.kind}), and this upstream says ${provider}: name another`;
    scene.problem(["upstreams", id, "machine"], text);
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
      return ["docker", realSocket(container.socket), container.name];
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
function groupOf(container: Container): MachineGroup | undefined {
  return container.kind === "docker" ? { kind: "docker_host", socket: container.socket } : poolOf(container);
}

/** Kinds of groups that a kind of container can run on. */
const GROUP_KIND = {
  ecs: "asg",
  docker: "docker_host",
  aks: "aks_pool",
  gke: "gke_pool",
} as const satisfies Record<Container["kind"], MachineGroup["kind"]>;

const GROUP_TEXT: Readonly<Record<MachineGroup["kind"], string>> = {
  asg: "Auto Scaling group",
  aks_pool: "node pool",
  gke_pool: "node pool",
  docker_host: "Docker host",
};

/** `isFreeUpstream`: whether the upstream's own price is 0, so that on a Docker host it bills nothing. */
function checkPools(file: PolicyFile, isFreeUpstream: (id: string) => boolean, scene: Scene): void {
  const declared = new Map<string, string>();
  for (const [id, { group }] of file.machines) if (group) declared.set(groupKey(group), id);
  const first = new Map<string, { readonly id: string; readonly machine: string | undefined }>();
  for (const [id, { container, machine }] of file.upstreams) {
    if (!container) continue;
    const path = ["upstreams", id, "machine"];
    const named = machine === undefined ? undefined : file.machines.get(machine)?.group;
    if (named && named.kind !== GROUP_KIND[container.kind]) {
      const text = `${machine} is of kind ${named.kind}, on which no container of ${container.kind} runs`;
      scene.problem(path, `${text}: name a machine of kind ${GROUP_KIND[container.kind]}`);
      continue;
    }
    const group = groupOf(container);
    if (!group || (group.kind === "docker_host" && machine === undefined && isFreeUpstream(id))) continue;
    const what = GROUP_TEXT[group.kind];
    const key = groupKey(group);
    const owner = declared.get(key);
    const other = first.get(key);
    if (owner !== undefined && machine !== owner) {
      scene.problem(path, `its ${what} is machine ${owner}: write machine: ${owner}`);
    } else if (named && owner === undefined) {
      scene.problem(path, `${machine} is another ${what} than its container's: name one machine for both`);
    } else if (other && (machine === undefined || machine !== other.machine)) {
      scene.problem(path, `runs on one ${what} with ${other.id} and bills with it: give both one machine`);
    }
    if (!other) first.set(key, { id, machine });
  }
}

function groupKey(group: MachineGroup): string {
  const real = group.kind === "docker_host" ? { ...group, socket: realSocket(group.socket) } : group;
  return JSON.stringify(Object.entries(real).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** /var/run is a link to /run on every system that has both. */
function realSocket(path: string): string {
  return path.replace(/\/{2,}/g, "/").replace(/^\/var\/run\//, "/run/");
}

/** ECS does not tell which group a service runs on; one cluster usually is one Auto Scaling group. */
function checkClusters(file: PolicyFile, scene: Scene): void {
  const first = new Map<string, { readonly id: string; readonly machine: string | undefined }>();
  for (const [id, { container, machine }] of file.upstreams) {
    if (container?.kind !== "ecs") continue;
    if (machine === undefined || file.machines.get(machine)?.group === undefined) {
      const text =
        "names no machine group: after its stop the instance under it may go on, and is not counted; " +
        "write machine: NAME, and machines.NAME.asg with its Auto Scaling group";
      scene.note(["upstreams", id, "container"], text);
    }
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
