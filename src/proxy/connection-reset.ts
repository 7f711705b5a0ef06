// Breaking a connection off so that nobody takes what came of it for the whole: with a TCP reset, also where
// TLS runs over it. A TLS socket cannot be reset itself, only the one that carries it; this knows which that
// is.

import type { Socket } from "node:net";

const CARRIERS = new WeakMap<Socket, Socket>();

/** Both are of one connection: `secured` speaks TLS over `carrier`. */
export function carries(carrier: Socket, secured: Socket): void {
  CARRIERS.set(secured, carrier);
}

/** Of a TCP connection, or of the TLS one over it. No close_notify is sent. */
export function reset(socket: Socket): void {
  const carrier = CARRIERS.get(socket) ?? socket;
  if (carrier === socket && "encrypted" in socket) socket.destroy();
  else carrier.resetAndDestroy();
}
