// A container as the admin surface tells of it, and what becomes of an order to it.

import type { HourlyRate, NanoUsd } from "../metering/money.ts";
import type { Instant } from "../metering/time.ts";
import type { CONTAINER_STATES } from "../sdk/containers.ts";

/** What the admin surface needs of the house for containers. */
export interface ContainerHouse {
  /** Those that are watched, in the policy's order. */
  containers(): readonly ContainerRow[];
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
  readonly seenAt: Instant | undefined;
  readonly why: string | undefined;
}

export type ContainerOrdered =
  | { readonly kind: "ordered" }
  | { readonly kind: "refused"; readonly why: string };
