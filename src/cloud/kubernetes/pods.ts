// What a pod says of itself: whether it still lives, since when it runs, whether it is ready, and what it
// waits for. Pure readings of one object.

import type { Instant } from "../../metering/time.ts";
import { providerStart } from "../provider-time.ts";
import type { Pod } from "./objects.ts";

/** One that has ended by itself stays listed for a while. */
export function isLiving({ status }: Pod): boolean {
  return status.phase !== "Succeeded" && status.phase !== "Failed";
}

export function isReady({ status, metadata }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return status.conditions.some((each) => each.type === "Ready" && each.status === "True");
}

/** Its process's start; before that, when it was made. A process that is started again lives anew. */
export function sinceOf({ status, metadata }: Pod): Instant {
  const started = status.containerStatuses[0]?.state.running?.startedAt;
  return providerStart(`pod ${metadata.name}`, started, metadata.creationTimestamp);
}

/** Of those that it does not get over by waiting alone; undefined: it just takes its time. */
export function whyWaiting({ status }: Pod): string | undefined {
  const scheduled = status.conditions.find((each) => each.type === "PodScheduled");
  if (scheduled?.status === "False" && scheduled.message) {
    return `no machine takes its pod yet: ${scheduled.message.slice(0, 300)}`;
  }
  const stuck = status.containerStatuses.flatMap(({ state }) => state.waiting ?? []);
  const found = stuck.find(({ reason }) => reason !== undefined && !PASSING.has(reason));
  if (found === undefined) return undefined;
  const said = found.message === undefined ? "" : `: ${found.message.slice(0, 300)}`;
  return `its pod waits (${found.reason})${said}${CURES[found.reason ?? ""] ?? ""}`;
}

const PASSING: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);

const IMAGE = " (look at the image's name, and at the secret for nvcr.io)";
const CURES: Readonly<Record<string, string>> = {
  ImagePullBackOff: IMAGE,
  ErrImagePull: IMAGE,
  CrashLoopBackOff: " (kubectl logs --previous tells why it ends)",
};
