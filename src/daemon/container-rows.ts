// Containers as the admin surface is given them: what each does, costs, is used, and why it is still up.

import type { ContainerRow } from "../admin/container-row.ts";
import type { Containers, ListedContainer } from "../cloud/containers.ts";
import type { Fleet } from "../cloud/fleet.ts";
import type { Instant } from "../metering/time.ts";
import { describePrice } from "../policy/explain.ts";
import { idleNote } from "../policy/idle-note.ts";
import type { DataPlane } from "./data-plane.ts";
import type { Lifecycle } from "./lifecycle.ts";

export interface RowParts {
  readonly containers: Pick<Containers, "list">;
  readonly lifecycle: Pick<Lifecycle, "idle" | "learned" | "startUp">;
  readonly fleet: Fleet;
  readonly plane: Pick<DataPlane, "waiting">;
  now(): Instant;
}

export function containerRows(parts: RowParts): readonly ContainerRow[] {
  return parts.containers.list().map((one) => containerRow(parts, one));
}

function containerRow(parts: RowParts, listed: ListedContainer): ContainerRow {
  const { lifecycle, fleet, plane, now } = parts;
  const { upstream, view, machine } = listed;
  const { id, provider, idleRate, idleDoubt } = upstream;
  const { state, ...seen } = view;
  const idle = lifecycle.idle(listed);
  const learned = lifecycle.learned(id);
  const startUp = lifecycle.startUp(upstream);
  return {
    ...{ upstream: id, provider, state: state.kind, ...seen },
    ...{ price: describePrice(upstream.price), idleRate, idleDoubt },
    machine: machine && { name: machine.name, needs: machine.needs, ...machine.view },
    inFlight: fleet.inFlight(id),
    waiting: plane.waiting(id),
    startUp,
    starts: learned?.starts ?? 0,
    busyShare: state.kind === "ready" ? fleet.busyShare(id) : undefined,
    idleSince: idle?.since,
    stopsAt: idle?.stops,
    note: idle && idleNote(upstream, idle, startUp, now()),
  };
}
