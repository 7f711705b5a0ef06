// What one attempt says about the health of its upstream. Only what the upstream is to blame for counts:
// not a client that leaves, nor a budget's cut, nor a request that it refuses for what is in it.

import type { Sign } from "../policy/slot.ts";
import type { Relayed } from "./relayed.ts";
import { causeOf } from "./reply.ts";

export function signOf(relayed: Relayed): Sign {
  if (relayed.kind === "unsent") {
    if (relayed.why !== "unreachable") return { kind: "unused" };
    return { kind: "ill", why: causeOf(relayed), missed: true };
  }
  const { fault, firstByteAfterMs, ending } = relayed;
  // Broken after its head, it did answer: that is neither a sign of health nor one to leave it alone for.
  if (fault?.kind === "broken" || fault?.kind === "timeout") {
    if (firstByteAfterMs !== undefined) return { kind: "unclear" };
    return { kind: "ill", why: fault.reason, missed: false };
  }
  const { status } = ending;
  if (status === undefined) return { kind: "unclear" };
  if (AWAY.includes(status)) return { kind: "ill", why: `it answered ${status}`, missed: false };
  return isWell(status) ? { kind: "well" } : { kind: "unclear" };
}

/** Whether a reply that begins with this status shows that its upstream works. */
export function isWell(status: number): boolean {
  return status < 500;
}

/** What a server says that cannot serve anybody now; a 500 may be about this one request. */
const AWAY: readonly number[] = [502, 503, 504];
