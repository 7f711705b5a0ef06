// What the watch of a machine group is given: how its provider is asked, who needs it, and whom it tells.

import type { Instant } from "../metering/time.ts";
import type { Host, HostSighting, Instance } from "./adapter.ts";
import type { PollParts } from "./poll.ts";
import type { ReleaseParts } from "./release.ts";

type Timing = Pick<PollParts<HostSighting>, "bug" | "after" | "random">;

export interface HostParts extends Timing, Pick<ReleaseParts, "kept" | "keep" | "mayIdle"> {
  readonly host: Host;
  /** Whether it can be raised and lowered at all. */
  readonly isOrderable: boolean;
  /** Whether no order may leave by itself now; says what would have. */
  isDryRun(): boolean;
  /** Who needs it, in words: "flux-aws is ready". */
  needs(): readonly string[];
  /** Its containers are looked at anew: somebody else may have started one. */
  ask(): Promise<unknown>;
  /** Whether a container on it serves now. */
  serves(): boolean;
  /** What started before and is gone is not this gateway's to tell of. */
  readonly watchedFrom: Instant;
  /** Whether its containers have been asked, so that it is known who serves. */
  isSettled(): boolean;
  /** Told of each instance at each sighting, for the ledger. */
  seen(instance: Instance, phase: "starting" | "ready"): void;
  /** One that lived while nobody watched, and is gone. */
  lived(instance: Instance, stopped: Instant): void;
  off(id: string, stopped: Instant): void;
  /** No others live than these. */
  only(ids: readonly string[]): void;
  /** It was told to come up, and does not: nobody waits for it any more. */
  raiseFailed(why: string): void;
  changed(): void;
  now(): Instant;
}
