// The containers of the house: Docker's and podman's by their sockets, the ledger told of what they cost,
// the fleet of where they are. Clouds follow.

import type { Adapter } from "../cloud/adapter.ts";
import { Containers, type ListedContainer, type Up } from "../cloud/containers.ts";
import { DockerContainer } from "../cloud/docker.ts";
import { DockerEngine } from "../cloud/docker-engine.ts";
import type { Fleet } from "../cloud/fleet.ts";
import type { ContainerEvents } from "../ledger/container.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import type { Instant } from "../metering/time.ts";
import type { Container } from "../policy/container.ts";
import type { Upstream } from "../policy/policy.ts";
import { after, type DataPlane } from "./data-plane.ts";
import { LeaseCheck } from "./lease-check.ts";
import { Lifecycle, type LifecycleParts } from "./lifecycle.ts";
import type { Logger } from "./log.ts";

export interface ContainerParts {
  readonly fleet: Fleet;
  readonly ledger: ContainerEvents;
  readonly books: LifecycleParts["books"];
  readonly inForce: LifecycleParts["inForce"];
  readonly plane: Pick<DataPlane, "isServing" | "turn" | "waiting" | "wakes">;
  readonly reader: LedgerReader;
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
  const { fleet, ledger, plane, reader, log, now } = parts;
  const engines = new Map<string, DockerEngine>();
  const adapterFor = (container: Container): Adapter | undefined => {
    if (container.kind !== "docker") return undefined;
    const engine = engines.get(container.socket) ?? new DockerEngine(container.socket);
    engines.set(container.socket, engine);
    return new DockerContainer({ engine, name: container.name, after });
  };
  const containers = new Containers({
    adapterFor,
    running: (upstream) => fleet.inFlight(upstream),
    isServing: (upstream, signal) => plane.isServing(upstream, signal),
    seen: (upstream, up, phase) => tell(ledger, upstream, up, phase),
    off: (id, stopped) => ledger.off(id, stopped),
    only: (upstream, id, since) => ledger.only(upstream, id, since),
    bug: (error) => log.error({ err: error }, "the gateway made a mistake in watching a container"),
    changed: (upstream, view) => {
      const { state, why } = view;
      const text = `container of ${upstream} is ${state.kind}${why === undefined ? "" : `: ${why}`}`;
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
      await Promise.all([...engines.values()].map((engine) => engine.close()));
    },
  };
}

/** Upstreams that share a machine are told of by that machine, and what is paid otherwise has no lease. */
function tell(ledger: ContainerEvents, upstream: Upstream, up: Up, phase: "starting" | "ready"): void {
  const {
    id,
    provider,
    gpuTier: tier,
    machine,
    price,
    idleRate: idlePrice,
    idleSource,
    minBilled,
  } = upstream;
  // Paid otherwise now: what it cost by the hour is over.
  if (price.kind !== "hour" || machine !== id) {
    ledger.only(id, undefined);
    return;
  }
  const what = { id: up.id, start: up.since, phase, price, idlePrice, idleSource, minBilled };
  ledger.seen({ ...what, machine, provider, tier, upstream: id }, up.stoppedBefore);
}

/** Of one that nobody has answered for yet nothing is known: it may serve, where it has an address. */
function whyDown({ upstream, view: { state, url, why } }: ListedContainer): string | undefined {
  switch (state.kind) {
    case "unknown":
      if (url !== undefined || upstream.url !== undefined) return undefined;
      return `nobody has told where its container is: ${why ?? "it is being looked for"}`;
    case "ready":
      return undefined;
    case "off":
      return `its container is off: \`budgetguard nodes start ${upstream.id}\` starts it`;
    case "failed":
      return `its container has failed: ${why}`;
    default:
      return `its container is ${state.kind}`;
  }
}
