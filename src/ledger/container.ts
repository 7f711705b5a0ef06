// What the fleet tells the ledger of the machines that bill: the one interface by which containers come into
// the money. A machine is known by what its provider calls it and when that says it started (MONEY §2), so a
// renamed upstream changes nothing. It knows no cloud, no poll and no state but "starting" and "ready".

import type { HourlyRate } from "../metering/money.ts";
import type { Price, PriceSource } from "../metering/price.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { Facts } from "../policy/match.ts";

/** A machine that runs, as its provider and the policy say now. */
export interface Container {
  /** What the provider calls it. */
  readonly id: string;
  /** By the provider's clock; another start is another lease. */
  readonly start: Instant;
  readonly phase: "starting" | "ready";
  readonly price: Extract<Price, { kind: "hour" }>;
  readonly idlePrice: HourlyRate;
  /** Where the idle price comes from, if not from where the price does. */
  readonly idleSource: PriceSource | undefined;
  readonly minBilled: DurationUs;
  /** What the policy calls it: requests for this machine share its price. */
  readonly machine: string;
  readonly provider: string;
  readonly tier: string | undefined;
  /** Where the machine serves only one. */
  readonly upstream: string | undefined;
}

export interface ContainerEvents {
  /**
   * It runs: said when it starts, becomes ready, changes its price or its name, and at each poll that finds
   * it alive. After time that nobody watched, this is what confirms that it lived. `stoppedBefore`: when its
   * life before this start ended; undefined: it may have run until then.
   */
  seen(container: Container, stoppedBefore?: Instant): void;
  /** It lived from its start to `stop`, while nobody watched: a gap. One that is known is left as it is. */
  lived(container: Container, stop: Instant): void;
  /** It is off since `stop`, by its provider. Said of one that is not known it changes nothing. */
  off(id: string, stop: Instant): void;
  /**
   * Of this upstream, whose container is its own machine, no other one lives than this; undefined: none does.
   * One that nobody has seen since a restart ended when it was last watched. `since`: when that one started.
   */
  only(upstream: string, id: string | undefined, since?: Instant): void;
  /** The same of a machine group: of it, and of these upstreams on it, no others live than these. */
  onlyOn(machine: string, upstreams: readonly string[], ids: readonly string[]): void;
}

/** What container money is counted by: no request's labels (MONEY §2). */
export function factsOfContainer({ provider, upstream, machine, tier }: Container): Facts {
  return {
    ...{ provider, upstream, machine, gpu_tier: tier },
    ...{ model: undefined, user: undefined, workflow: undefined, session: undefined },
    ...{ task: undefined, node: undefined, project: undefined, tag: undefined },
  };
}

/** Names one lease: a container that starts again has another one. */
export function leaseKey({ id, start }: Pick<Container, "id" | "start">): string {
  return `${id}@${start}`;
}
