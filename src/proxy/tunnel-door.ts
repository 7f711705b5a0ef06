// Which requests ask for a tunnel, and what such a request may not look like. An upgrade that is none of ours
// (h2c, a POST, a path that the gateway answers itself) is ignored, as RFC 9110 §7.8 allows: the request is
// served as if it had not asked. It knows no policy, and contacts nobody.

import type { Socket } from "node:net";
import type { DoorHead } from "./door.ts";
import type { AddedHeaders } from "./headers.ts";
import { kindOfPath } from "./nim-paths.ts";
import { rawReply, statusOf, type Unserved } from "./reply.ts";

/** The one protocol that tunnels speak: to any other, a client could hide requests from the meter. */
export function asksTunnel({ method, url, rawHeaders }: DoorHead): boolean {
  if (method !== "GET" || !tokensOf(rawHeaders, "upgrade").includes("websocket")) return false;
  if (!tokensOf(rawHeaders, "connection").includes("upgrade")) return false;
  const path = (url ?? "").replace(/^http:\/\/[^/?#]*/i, "").replace(/^\/m\/[^/?#]+/, "");
  return kindOfPath("GET", path.replace(/[?#].*$/s, "")).kind !== "own";
}

/** Beside what the door checks of every request: undefined where it is well formed. */
export function tunnelFault(
  rawHeaders: readonly string[],
): Extract<Unserved, { kind: "problem" }> | undefined {
  const twice = ONCE.find((name) => countOf(rawHeaders, name) > 1);
  if (twice !== undefined)
    return refuse("duplicate_header", `a tunnel is asked for with one ${twice} header`);
  // A body would be the first bytes of the tunnel to one reader, and of the request to another.
  if (FRAMING.some((name) => countOf(rawHeaders, name) > 0)) {
    return refuse("tunnel_body", "a request for a tunnel has no body: leave out Content-Length");
  }
  return undefined;
}

/** The status that the client was told; undefined where it can be told nothing any more. */
export function answerRaw(socket: Socket, unserved: Unserved, added: AddedHeaders = []): number | undefined {
  if (!socket.writable) {
    socket.destroy();
    return undefined;
  }
  socket.end(rawReply(unserved, added));
  closeSoon(socket);
  return statusOf(unserved);
}

/** Lets what was written arrive: closing on bytes that nobody read would be a reset, and take it back. */
export function closeSoon(socket: Socket): void {
  socket.end();
  socket.resume();
  const late = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(late));
}

/**
 * For whoever waits before a tunnel is open: calls back once the client has gone, at once if it has. Node has
 * let go of the connection, so a client's FIN closes nothing here: it is an end, and no "close" follows.
 */
export function whenLeft(socket: Socket): (call: () => void) => () => void {
  return (call) => {
    socket.once("close", call).once("end", call);
    if (socket.destroyed || socket.readableEnded) call();
    return () => void socket.off("close", call).off("end", call);
  };
}

/** How long a client may take to read its last bytes and close. */
const LINGER_MS = 5_000;

/** Two of one would let each side believe in another. */
const ONCE: readonly string[] = ["upgrade", "sec-websocket-key", "sec-websocket-version"];
const FRAMING: readonly string[] = ["content-length", "transfer-encoding"];

function tokensOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.flatMap((value, at) => {
    if (at % 2 === 0 || rawHeaders[at - 1]?.toLowerCase() !== name) return [];
    return value.split(",").map((token) => token.trim().toLowerCase());
  });
}

function countOf(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((each, at) => at % 2 === 0 && each.toLowerCase() === name).length;
}

function refuse(code: string, message: string): Extract<Unserved, { kind: "problem" }> {
  return { kind: "problem", status: 400, code, message };
}
