// The machines under the watched containers as the admin surface is given them: who runs there, and the
// leases that the ledger charges for each; then those that left the policy while they run.

import type { BilledMachine } from "../admin/machine-routes.ts";
import type { ListedContainer } from "../cloud/containers.ts";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { ContainerLease } from "../ledger/container-lease.ts";
import { nanoUsd, US_PER_HOUR } from "../metering/money.ts";
import { describePrice } from "../policy/explain.ts";
import type { RowParts } from "./container-rows.ts";

export interface MachineParts extends Pick<RowParts, "containers" | "fleet"> {
  readonly accounts: { readonly leases: Pick<LocalAccounts["leases"], "containers"> };
}

export function billedMachines(parts: MachineParts): readonly BilledMachine[] {
  const found = new Map<string, [ListedContainer, ...ListedContainer[]]>();
  for (const one of parts.containers.list()) {
    const name = one.machine?.name ?? one.upstream.machine;
    const known = found.get(name);
    if (known === undefined) found.set(name, [one]);
    else known.push(one);
  }
  const named = [...found].map(([name, all]) => billedMachine(parts, name, all));
  const isNamed = (lease: ContainerLease) => [...found.keys()].some((name) => lease.wasCalled(name));
  const others = parts.accounts.leases.containers().filter((lease) => !isNamed(lease));
  return [...named, ...others.map(leftMachine)];
}

/** It is charged until it is off, and gets no orders. */
function leftMachine(lease: ContainerLease): BilledMachine {
  const { machine: name, provider, price, idlePrice: idleRate, phase } = lease.about;
  return {
    ...{ name, provider, state: lease.isWatched ? phase : "unknown", price: describePrice(price), idleRate },
    ...{ idleDoubt: undefined, runs: [], needs: ["the policy no longer names it"], leases: [leaseOf(lease)] },
  };
}

function billedMachine(
  { fleet, accounts }: MachineParts,
  name: string,
  all: readonly [ListedContainer, ...ListedContainer[]],
): BilledMachine {
  const [{ upstream, machine }] = all;
  const leases = [...accounts.leases.containers()].filter((lease) => lease.wasCalled(name));
  return {
    ...{ name, provider: upstream.provider, state: machine?.view.state ?? stateOf(all[0]) },
    ...{ price: describePrice(upstream.price), idleRate: upstream.idleRate, idleDoubt: upstream.idleDoubt },
    runs: all.map(({ upstream: { id }, view }) => {
      return { upstream: id, state: view.state.kind, inFlight: fleet.inFlight(id) };
    }),
    needs: machine?.needs ?? [],
    leases: leases.map(leaseOf),
  };
}

function leaseOf(lease: ContainerLease): BilledMachine["leases"][number] {
  const { start, total } = lease.stored().state;
  const cost = nanoUsd(BigInt(total) / US_PER_HOUR);
  return { id: lease.about.id, since: start, cost, isWatched: lease.isWatched };
}

/** Of one that is its own machine: what runs there may end first. */
function stateOf({ view: { state } }: ListedContainer): BilledMachine["state"] {
  return state.kind === "draining" ? "ready" : state.kind;
}
