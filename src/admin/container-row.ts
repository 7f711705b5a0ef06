// A container as the admin surface tells of it, and what becomes of an order to it.

import type { HourlyRate, NanoUsd } from "../metering/money.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { CONTAINER_STATES, MACHINE_STATES } from "../sdk/containers.ts";
import type { BilledMachine } from "./machine-routes.ts";

/** What the admin surface needs of the house for containers. */
export interface ContainerHouse {
  /** Those that are watched, in the policy's order. */
  containers(): readonly ContainerRow[];
  /** Those under them, that bill. */
  machines(): readonly BilledMachine[];
  /** Somebody looks at them, and may again soon: what is known is to be fresh. */
  glance(): void;
  /** Undefined: none of that upstream is watched. */
  orderContainer(command: "start" | "stop", upstream: string): Promise<ContainerOrdered | undefined>;
  /** By how much the entries of all leases were off what those cost when they were recounted last. */
  leaseImbalance(): NanoUsd | undefined;
}

export interface ContainerRow {
  readonly upstream: string;
  readonly provider: string;
  readonly state: (typeof CONTAINER_STATES)[number];
  readonly liveSince: Instant | undefined;
  readonly url: string | undefined;
  /** "1.006 USD/h, from the policy" */
  readonly price: string;
  readonly idleRate: HourlyRate;
  readonly inFlight: number;
  /** For it to start, for a slot of it, or for money. */
  readonly waiting: number;
  /** How long a start takes, expected; learned from so many, or 0: the policy's estimate. */
  readonly startUp: DurationUs;
  readonly starts: number;
  /** [0, 1]: how much of its time requests ran there. */
  readonly busyShare: number | undefined;
  /** While it is up and nobody uses it. */
  readonly idleSince: Instant | undefined;
  readonly stopsAt: Instant | undefined;
  readonly note: string | undefined;
  readonly seenAt: Instant | undefined;
  readonly why: string | undefined;
  /** Where its idle price is below what the price list knows, in words. */
  readonly idleDoubt?: string | undefined;
  /** Undefined where it is its own machine. */
  readonly machine?: MachineRow | undefined;
}

/** What a container runs on, and bills with others. */
export interface MachineRow {
  readonly name: string;
  readonly state: (typeof MACHINE_STATES)[number];
  /** Each costs for itself. */
  readonly instances: readonly {
    readonly id: string;
    readonly since: Instant;
    readonly isStopping: boolean;
  }[];
  readonly wanted: number | undefined;
  /** Who keeps it up, in words. */
  readonly needs: readonly string[];
  readonly seenAt: Instant | undefined;
  readonly why: string | undefined;
  readonly scaledByOthers: string | undefined;
}

export type ContainerOrdered =
  | { readonly kind: "ordered" }
  /** `trouble`: what its provider made of it, where it was asked. */
  | { readonly kind: "refused"; readonly why: string; readonly trouble?: string };
