// What a container or a machine that runs costs, as the ledger is told of it: by the policy's prices, and by
// the names and times of its provider.

import type { Instance } from "../cloud/adapter.ts";
import { billed } from "../cloud/container-watch.ts";
import type { Up } from "../cloud/containers.ts";
import type { Place } from "../cloud/placing.ts";
import type { ContainerEvents } from "../ledger/container.ts";
import type { Instant } from "../metering/time.ts";
import type { Upstream } from "../policy/policy.ts";

type Phase = "starting" | "ready";

/** Of one that is its own machine. What is paid otherwise than by the hour has no lease. */
export function tellContainer(ledger: ContainerEvents, upstream: Upstream, up: Up, phase: Phase): void {
  const { id, price, machine } = upstream;
  const what = billed(up);
  // Paid otherwise now, or by nobody: what it cost by the hour is over.
  if (price.kind !== "hour" || machine !== id || what === undefined) {
    ledger.only(id, undefined);
    return;
  }
  const told = { ...costOf(upstream), price, id: what.id, start: what.since, phase, upstream: id };
  ledger.seen(told, up.stoppedBefore);
}

/** Of a machine group each instance is one: two cost twice. `stopped`: it lived while nobody watched. */
export function tellMachine(
  ledger: ContainerEvents,
  place: Place,
  instance: Instance,
  phase: Phase,
  stopped?: Instant,
): void {
  const { machine, upstreams, only } = place;
  const [upstream] = upstreams;
  if (upstream === undefined) return;
  const { price } = upstream;
  if (price.kind !== "hour") {
    ledger.onlyOn(
      machine,
      upstreams.map(({ id }) => id),
      [],
    );
    return;
  }
  const tiers = new Set(upstreams.map(({ gpuTier }) => gpuTier));
  const tier = tiers.size === 1 ? upstream.gpuTier : undefined;
  const { id, since: start } = instance;
  const told = { ...costOf(upstream), tier, price, id, start, phase, upstream: only };
  if (stopped === undefined) ledger.seen(told);
  else ledger.lived(told, stopped);
}

function costOf({ machine, provider, gpuTier: tier, idleRate: idlePrice, idleSource, minBilled }: Upstream) {
  return { machine, provider, tier, idlePrice, idleSource, minBilled };
}
