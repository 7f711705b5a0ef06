// On which machine group an upstream's container runs, and what bills there: read from the policy alone.

import { type MachineGroup, poolOf } from "../policy/container.ts";
import type { Policy, Upstream } from "../policy/policy.ts";

/** One machine group, or one machine that is up while a container on it is. */
export interface Place {
  /** The same for the same group, whatever the policy calls it. */
  readonly key: string;
  /** What leases and budgets call it. */
  readonly machine: string;
  /** Undefined: nobody can be asked but its containers. */
  readonly group: OrderedGroup | undefined;
  /** Of the policy, whose containers run there. */
  readonly upstreams: readonly Upstream[];
  /** Further ones that it serves, and whose container nobody has named. */
  readonly others: readonly string[];
  /** Whom its money names: the only upstream that the machine serves. */
  readonly only: string | undefined;
}

export type OrderedGroup = Exclude<MachineGroup, { kind: "docker_host" }>;

/** A container without one is its own machine. */
export function placesOf(policy: Policy): readonly Place[] {
  const found = new Map<string, Upstream[]>();
  const groups = new Map<string, OrderedGroup | undefined>();
  for (const upstream of policy.upstreams.values()) {
    const placed = placeOf(policy, upstream);
    if (placed === undefined) continue;
    found.set(placed.key, [...(found.get(placed.key) ?? []), upstream]);
    groups.set(placed.key, placed.group);
  }
  return [...found].map(([key, upstreams]) => {
    const machine = upstreams[0]?.machine ?? "";
    const served = [...policy.upstreams.values()].filter((one) => one.machine === machine);
    const only = served.length === 1 ? served[0]?.id : undefined;
    const others = served.filter((one) => one.container === undefined).map(({ id }) => id);
    return { key, machine, group: groups.get(key), upstreams, others, only };
  });
}

function placeOf(policy: Policy, { container, machine }: Upstream) {
  if (container === undefined) return undefined;
  const named = policy.machines.get(machine);
  const group = named?.group ?? poolOf(container);
  if (group !== undefined && group.kind !== "docker_host") return { key: JSON.stringify(group), group };
  if (named === undefined) return undefined;
  const key = group === undefined ? `machine ${machine}` : `docker host ${group.socket}`;
  return { key, group: undefined };
}
