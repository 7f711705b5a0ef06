// One reply on its way to the client, of which the last piece is withheld until `finish`: it may look
// complete only once it is paid for (MONEY §7). It knows no upstream and writes no error of its own.
//
//   Content-Length → the chunk that completes it (with a small reply: head and body, in one write)
//   chunked, or delimited by closing → the terminator or the FIN; every event before it passes at once
//   HEAD, 204, 304, Content-Length 0 → the head

import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { reset } from "./connection-reset.ts";
import type { FlatHeaders } from "./headers.ts";

export interface Head {
  readonly status: number;
  readonly reason: string;
  readonly headers: FlatHeaders;
  readonly length: number | undefined;
}

export class Downstream {
  readonly #response: ServerResponse;
  #head: Head | undefined;
  #bytes = 0;
  #last: Buffer | undefined;
  #trailers: readonly [string, string][] = [];
  #isDone = false;
  #taken = 0;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** Whether the client has seen anything of this reply. */
  get headSent(): boolean {
    return this.#response.headersSent;
  }

  /** Whether the client has taken anything since `write` said no, or since this was last asked. */
  hasTaken(): boolean {
    const before = this.#taken;
    this.#taken = this.#left();
    return this.#taken !== before;
  }

  /** Throws if the head cannot be said in HTTP. A head whose length is not known leaves at once. */
  begin(head: Head): void {
    this.#head = head;
    const { status } = head;
    const isBodyless = this.#response.req.method === "HEAD" || status === 204 || status === 304;
    if (isBodyless || head.length !== undefined) return;
    this.#writeHead();
    this.#response.flushHeaders();
  }

  /** False when the client must catch up first: `drain` on the response tells when it has. */
  write(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    const length = this.#head?.length;
    if (length !== undefined && this.#bytes >= length) {
      this.#last = chunk;
      return true;
    }
    if (!this.#response.headersSent) this.#writeHead();
    const mayGoOn = this.#response.write(chunk);
    if (!mayGoOn) this.#taken = this.#left();
    return mayGoOn;
  }

  /** Sent with the terminator, where the client's protocol has one. */
  trail(trailers: readonly [string, string][]): void {
    this.#trailers = trailers;
  }

  /** Lets the last piece go. Does nothing where the client has gone or nothing was begun. */
  finish(): void {
    if (this.#isDone || this.#head === undefined || this.#response.destroyed) return;
    this.#isDone = true;
    if (!this.#response.headersSent) this.#writeHead();
    if (this.#trailers.length > 0 && this.#response.chunkedEncoding) {
      this.#response.addTrailers([...this.#trailers]);
    }
    this.#response.end(this.#last);
  }

  /** Breaks the connection, so that no client takes what it has for the whole. */
  destroy(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    breakOff(this.#response);
  }

  /** Bytes that have left this process. */
  #left(): number {
    const { socket } = this.#response.req;
    return socket.bytesWritten - socket.writableLength;
  }

  #writeHead(): void {
    if (this.#head === undefined) return;
    const { status, reason, headers } = this.#head;
    // The gateway's own Vary holds beside the upstream's, which would take its place.
    const vary = this.#response.getHeader("Vary");
    this.#response.writeHead(
      status,
      reason,
      vary === undefined ? headers : [...headers, "Vary", String(vary)],
    );
  }
}

/** With a reset: a plain close would end a reply that is delimited by closing as if it were whole. */
export function breakOff(response: ServerResponse): void {
  const { socket } = response.req;
  if (socket.destroyed || response.writableFinished) return;
  reset(socket);
}

/** For whoever waits before anything is relayed: calls back once the client has gone, at once if it has. */
export function whenGone(socket: Socket): (call: () => void) => () => void {
  return (call) => {
    socket.once("close", call);
    if (socket.destroyed) call();
    return () => void socket.off("close", call);
  };
}
