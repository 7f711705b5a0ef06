// The containers of the house: Docker's and podman's by their sockets, those of clouds by the thread that
// speaks to clouds; the ledger told of what they and their machines cost, the fleet of where they are.

import type { Adapter } from "../cloud/adapter.ts";
import { cloudOf } from "../cloud/cloud-call.ts";
import { CloudThread } from "../cloud/cloud-thread.ts";
import { Containers, type ContainersParts, type ListedContainer } from "../cloud/containers.ts";
import { DockerContainer } from "../cloud/docker.ts";
import { DockerEngine } from "../cloud/docker-engine.ts";
import type { Fleet } from "../cloud/fleet.ts";
import type { ContainerEvents } from "../ledger/container.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import type { Instant } from "../metering/time.ts";
import type { Container } from "../policy/container.ts";
import type { Upstream } from "../policy/policy.ts";
import type { Cloud } from "../policy/settings.ts";
import type { Books } from "./books.ts";
import { accessTo } from "./cloud-logins.ts";
import { tellContainer, tellMachine } from "./container-bill.ts";
import { after, type DataPlane } from "./data-plane.ts";
import type { InForce } from "./in-force.ts";
import { LeaseCheck } from "./lease-check.ts";
import { Lifecycle, type LifecycleParts } from "./lifecycle.ts";
import type { Logger } from "./log.ts";
import { MACHINES, MachineMemory } from "./machine-memory.ts";
import { Secrets } from "./secrets.ts";
import type { TechopsWatch } from "./techops-watch.ts";

export interface ContainerParts {
  readonly inForce: Pick<InForce, "policy">;
  readonly fleet: Fleet;
  readonly ledger: ContainerEvents;
  readonly books: LifecycleParts["books"] & Pick<Books, "store" | "stored">;
  readonly plane: Pick<DataPlane, "isServing" | "turn" | "waiting" | "wakes">;
  readonly reader: LedgerReader;
  readonly techops: Pick<TechopsWatch, "credentialsOf" | "state">;
  readonly log: Logger;
  now(): Instant;
}

export interface HouseContainers {
  readonly containers: Containers;
  readonly lifecycle: Lifecycle;
  readonly leases: LeaseCheck;
  close(): Promise<void>;
}

export function openContainers(parts: ContainerParts): HouseContainers {
  const { fleet, ledger, plane, reader, log, now, inForce, techops } = parts;
  const engines = new Map<string, DockerEngine>();
  const secrets = new Secrets((why) => log.warn(`credentials of a cloud are missing: ${why}`));
  const callsPerMinute = (cloud: Cloud) => callsOf(cloud, inForce);
  const clouds = new CloudThread({
    accessTo: (cloud) => accessTo(cloud, inForce.policy, { secrets, techops }),
    callsPerMinute,
    isDryRun: (cloud) => inForce.policy.providers?.get(cloud)?.dryRun ?? false,
    printed: (line) => log.info(`an SDK of a cloud says: ${line}`),
  });
  const adapterFor = (container: Container): Adapter => {
    if (container.kind !== "docker") return clouds.adapterFor(container);
    const engine = engines.get(container.socket) ?? new DockerEngine(container.socket);
    engines.set(container.socket, engine);
    return new DockerContainer({ engine, name: container.name, after });
  };
  const containers = new Containers({
    adapterFor,
    callsPerMinute,
    hosts: hostsOf(parts, clouds),
    dryRun: (upstream) => dryRunOf(upstream, inForce),
    would: (text) => log.info(text),
    running: (upstream) => fleet.inFlight(upstream),
    isServing: (upstream, signal) => plane.isServing(upstream, signal),
    seen: (upstream, up, phase) => tellContainer(ledger, upstream, up, phase),
    off: (id, stopped) => ledger.off(id, stopped),
    only: (upstream, id, since) => ledger.only(upstream, id, since),
    bug: (error) => log.error({ err: error }, "the gateway made a mistake in watching a container"),
    changed: (upstream, view) => {
      const { state, why } = view;
      const text = `container of ${upstream} is ${state.kind}${because(why)}`;
      if (state.kind === "failed") log.warn({ upstream }, text);
      else log.info({ upstream }, text);
      lifecycle.changed(upstream, view);
      // Whoever waits may find it, or may find it gone.
      plane.turn();
    },
    now,
    after,
    random: Math.random,
  });
  const lifecycle = new Lifecycle({ ...parts, containers, after });
  fleet.locate = (upstream) => {
    const found = containers.find(upstream);
    return found && lifecycle.locate(found, whyDown(found));
  };
  const leases = new LeaseCheck({ reader, log, after });
  return {
    containers,
    lifecycle,
    leases,
    close: async () => {
      lifecycle.close();
      leases.close();
      containers.close();
      await Promise.all([clouds.close(), ...[...engines.values()].map((engine) => engine.close())]);
    },
  };
}

/** Where the policy says nothing of a provider. */
const CALLS_PER_MINUTE = 60;

function hostsOf(parts: ContainerParts, clouds: CloudThread): ContainersParts["hosts"] {
  const { ledger, plane, log, books } = parts;
  const memory = new MachineMemory({ ...parts, store: books.store }, books.stored.switches.get(MACHINES));
  return {
    hostFor: (group) => clouds.hostFor(group),
    watchedUntil: books.stored.heartbeat || undefined,
    kept: (key) => memory.kept(key),
    keep: (key, kept) => memory.keep(key, kept),
    waiting: (upstream) => plane.waiting(upstream),
    seen: (place, instance, phase) => tellMachine(ledger, place, instance, phase),
    lived: (place, instance, stopped) => tellMachine(ledger, place, instance, "starting", stopped),
    only: (machine, upstreams, ids) => ledger.onlyOn(machine, upstreams, ids),
    changed: (machine, watch) => {
      const { state, why, instances } = watch.view();
      const count = instances.length > 1 ? `, ${instances.length} instances` : "";
      const text = `machine ${machine} is ${state}${count}${because(why)}`;
      if (state === "failed") log.warn({ machine }, text);
      else log.info({ machine }, text);
    },
  };
}

function because(why: string | undefined): string {
  return why === undefined ? "" : `: ${why}`;
}

function callsOf(cloud: Cloud, { policy }: Pick<InForce, "policy">): number {
  return policy.providers?.get(cloud)?.callsPerMinute ?? CALLS_PER_MINUTE;
}

function dryRunOf({ container }: Upstream, { policy }: Pick<InForce, "policy">): string | undefined {
  if (container === undefined || container.kind === "docker") return undefined;
  const cloud = cloudOf(container);
  return policy.providers?.get(cloud)?.dryRun === true ? `providers.${cloud}.dry_run` : undefined;
}

/** Of one that nobody has answered for yet nothing is known: it may serve, where it has an address. */
function whyDown({ upstream, view: { state, url, why } }: ListedContainer): string | undefined {
  switch (state.kind) {
    case "unknown":
      if (url !== undefined || upstream.url !== undefined) return undefined;
      return `nobody has told where its container is: ${why ?? "it is being looked for"}`;
    case "ready":
      if (url !== undefined || upstream.url !== undefined) return undefined;
      return "its container serves, and nobody says where: give the upstream a url";
    case "off":
      return `its container is off: \`budgetguard nodes start ${upstream.id}\` starts it`;
    case "failed":
      return `its container has failed: ${why}`;
    default:
      return `its container is ${state.kind}${because(why)}`;
  }
}
