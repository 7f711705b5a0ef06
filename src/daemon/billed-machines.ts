// The machines under the watched containers as the admin surface is given them: who runs there, and the
// leases that the ledger charges for each.

import type { BilledMachine } from "../admin/machine-routes.ts";
import type { ListedContainer } from "../cloud/containers.ts";
import type { LocalAccounts } from "../ledger/accounts.ts";
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
  return [...found].map(([name, all]) => billedMachine(parts, name, all));
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
    leases: leases.map((lease) => {
      const { start, total } = lease.stored().state;
      const cost = nanoUsd(BigInt(total) / US_PER_HOUR);
      return { id: lease.about.id, since: start, cost, isWatched: lease.isWatched };
    }),
  };
}

/** Of one that is its own machine: what runs there may end first. */
function stateOf({ view: { state } }: ListedContainer): BilledMachine["state"] {
  return state.kind === "draining" ? "ready" : state.kind;
}
