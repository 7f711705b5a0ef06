// HTTP as bytes: sends exactly what it is given and shows exactly what came back, and how it ended.

import { connect } from "node:net";

export interface RawReply {
  /** Everything received, as latin1. */
  readonly text: string;
  readonly ended: "fin" | "reset" | "quiet";
}

/** Ends when the other side does, or "quiet" once nothing more came for `quietMs`. */
export function rawExchange(port: number, request: string | Buffer, quietMs = 30_000): Promise<RawReply> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(request));
    const done = (ended: RawReply["ended"]): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(pieces).toString("latin1"), ended });
    };
    // On a busy machine the timer may be due before what has arrived was read: look once more.
    const beQuiet = (): void => {
      const before = pieces.length;
      setTimeout(() => (pieces.length === before ? done("quiet") : timer.refresh()), 20);
    };
    const timer = setTimeout(beQuiet, quietMs);
    socket.on("data", (piece: Buffer) => {
      pieces.push(piece);
      timer.refresh();
    });
    socket.on("end", () => done("fin"));
    socket.on("error", () => done("reset"));
  });
}

/** A POST of JSON whose reply ends the connection. */
export function rawPost(path: string, json: unknown, headers: Record<string, string> = {}): string {
  const body = JSON.stringify(json);
  const all = {
    host: "localhost",
    connection: "close",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
