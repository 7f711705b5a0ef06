// A container as the admin surface tells of it, and what becomes of an order to it.

import type { HourlyRate } from "../metering/money.ts";
import type { Instant } from "../metering/time.ts";
import type { CONTAINER_STATES } from "../sdk/containers.ts";

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
