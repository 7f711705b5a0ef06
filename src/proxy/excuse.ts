// Whether a phase that has run out is the stall that it seems. The timer sees only what passes through the
// relay: not that a client takes from a full socket, nor that an upload waits for the client and not for
// the upstream.

import type { BodyWindow } from "./body-window.ts";
import type { Phase } from "./deadlines.ts";
import type { Downstream } from "./downstream.ts";

/** True where the phase is to begin anew. A client that stalls is ended by its own limit (BODY_TIMES). */
export function isExcused(
  phase: Phase,
  body: Pick<BodyWindow, "awaitsClient">,
  downstream: Pick<Downstream, "hasTaken">,
): boolean {
  switch (phase) {
    case "connect":
    case "idle":
      return false;
    case "first_byte":
      return body.awaitsClient;
    case "client":
      return downstream.hasTaken();
  }
}
