// What a client was sending that was answered before its body was read: read on for a moment and thrown
// away, so that it sees the answer and not a reset.

import type { IncomingMessage, ServerResponse } from "node:http";
import { BODY_TIMES } from "./body-window.ts";

export function readOn(request: IncomingMessage, response: ServerResponse): void {
  response.once("finish", () => {
    if (request.complete) return;
    const timer = setTimeout(() => request.socket.destroy(), BODY_TIMES.drainMs);
    timer.unref();
    request.once("close", () => clearTimeout(timer));
  });
}
