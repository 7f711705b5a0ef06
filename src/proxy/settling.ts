// How an attempt's money is settled or given back, and what the client may see of it then. It decides
// nothing about where a request goes next.

import type { DurationUs } from "../metering/time.ts";
import type { Reservation } from "../policy/admission.ts";
import type { Forward } from "../policy/decision.ts";
import type { Sent } from "./exchange.ts";
import type { Relayed } from "./relayed.ts";
import { isUnwritten, keptOf } from "./unwritten.ts";

/** The clock has stopped; the client gets the last piece only once the charge is durable (MONEY §7). */
export async function settle(
  reservation: Reservation,
  decision: Forward,
  relayed: Extract<Relayed, { kind: "ended" }>,
  waited: DurationUs,
): Promise<Sent> {
  const { ending } = relayed;
  if (ending.outcome !== "relayed" && relayed.headSent) relayed.destroy();
  try {
    const settlement = await reservation.settle(ending);
    if (ending.outcome === "relayed") relayed.finish();
    return { kind: "sent", decision, waited, ending, relayed, settlement, kept: undefined };
  } catch (error) {
    // The client must not see a complete reply, whatever it was.
    relayed.destroy();
    if (!isUnwritten(error)) throw error;
    return { kind: "sent", decision, waited, ending, relayed, settlement: undefined, kept: keptOf(error) };
  }
}

/** Nothing was sent. Who waited for a start has shared it, and pays that before it is tried elsewhere. */
export async function giveBack(
  reservation: Reservation,
  then: "retry" | "over",
  hasWaited: boolean,
): Promise<void> {
  try {
    if (hasWaited) await reservation.settle(FAILED, then);
    else await reservation.release(then);
  } catch (error) {
    // Nothing was sent and the money is free again; the ledger writes it down when the disk is back.
    if (!isUnwritten(error)) throw error;
  }
}

/** Even a mistake of ours ends in a settlement: what was sent is charged, what was not is given back. */
export async function abandon(held: Reservation, bug: unknown): Promise<void> {
  try {
    if (held.begun) await held.settle(FAILED);
    else await held.release("over");
  } catch (error) {
    // What could not be written is kept by the ledger; the mistake is what is thrown on.
    if (!isUnwritten(error)) throw new AggregateError([bug, error], "a mistake, and another in its ending");
  }
}

const FAILED = { outcome: "failed", status: undefined, tokens: undefined } as const;
