// A machine group as whoever asks sees it, and why an order to it came to nothing.

import type { Instant } from "../metering/time.ts";
import type { Instance } from "./adapter.ts";

export type HostState = "unknown" | "off" | "starting" | "ready" | "stopping" | "failed";

/** How things stand, for whoever asks. */
export interface HostView {
  readonly state: HostState;
  readonly instances: readonly Instance[];
  /** How many its provider is told to run; undefined: it has not answered. */
  readonly wanted: number | undefined;
  readonly seenAt: Instant | undefined;
  /** Why it failed, or why nothing newer is known. */
  readonly why: string | undefined;
  /** Who else scales it, and what to do about that. */
  readonly scaledByOthers: string | undefined;
}

export const TOO_LATE = {
  raise:
    "no machine came within 15 min: its provider may have none of that kind left; look at the group's " +
    "activity, or take another region or kind",
  lower: "it was told to turn off and did not within 15 min: turn it off by hand, it costs until it is off",
} as const;
