// How our own side ends what is being relayed, tunnels too: its client has gone, or a budget or an operator
// stops it. It says so in a Fault; whoever relays breaks the connections.

import type { Reservation } from "../policy/admission.ts";
import type { Fault, UnsentWhy } from "./relayed.ts";

export const CLIENT_GONE: Fault = { kind: "client_gone", reason: "the client went away" };

/** The reason of a cut that no budget called for: the time used is charged all the same. */
export class SpendingCut {
  readonly by: string;

  constructor(by: string) {
    this.by = by;
  }
}

type Cause = Pick<Reservation, "cutBy" | "isLost">;

const UNWATCHED = "the gateway's machine slept or stood still for seconds, and the request ended before that";

/** For a signal that was aborted: by a budget ("cut"), by who stopped all spending, or by an operator. */
export function stoppedBy(signal: AbortSignal, held: Cause | undefined): Fault {
  const reason: unknown = signal.reason;
  if (reason === "cut") {
    if (held?.isLost) return { kind: "cut", reason: UNWATCHED };
    const which = held?.cutBy === undefined ? "a budget" : `budget ${held.cutBy}`;
    const reason = `${which} has no money for more time, and its overrun is cut`;
    return { kind: "cut", budget: held?.cutBy, reason };
  }
  if (reason instanceof SpendingCut)
    return { kind: "cut", reason: `all spending was stopped by ${reason.by}` };
  return { kind: "cancelled", reason: `cancelled ${reason instanceof Error ? reason.message : reason}` };
}

/** Why nothing was sent, where our own side ended it. */
export class Interrupted extends Error {
  /** That cut it. */
  readonly budget: string | undefined;

  constructor(fault: Fault) {
    super(fault.reason);
    this.budget = fault.kind === "cut" ? fault.budget : undefined;
  }
}

/** The budget that cut what had not been sent yet. */
export function cutterOf(cause: Error): string | undefined {
  return cause instanceof Interrupted ? cause.budget : undefined;
}

/** Of what had not been sent yet; a body that stopped coming is its client's doing. */
export function unsentBy({ kind }: Fault): UnsentWhy {
  return kind === "cut" || kind === "cancelled" ? kind : "client_gone";
}
