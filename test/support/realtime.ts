// A realtime NIM for tests: it takes WebSockets at any path, says everything back, and counts its connections.
// And the bytes of a client that asks for one, for tests that write them by hand.

import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { Socket } from "node:net";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { listen, portOf } from "./sockets.ts";

export interface Realtime {
  readonly url: string;
  /** Request line and headers of each WebSocket that was asked for. */
  readonly heads: readonly string[];
  /** TCP connections that are open now. */
  open(): number;
  /** TCP connections that there ever were. */
  accepted(): number;
  close(): Promise<void>;
}

/** Over TLS where it is given a key and a certificate, which must be for localhost. */
export async function startRealtime(tls?: ServerOptions): Promise<Realtime> {
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;
  const refuse: RequestListener = (_request, response) => void response.writeHead(426).end();
  const server = tls === undefined ? createServer(refuse) : createTlsServer(tls, refuse);
  const wss = new WebSocketServer({ server });
  // A sniffing page, a cookie: what an upstream may say, and a client may not hear.
  wss.on("headers", (headers) => headers.push("Set-Cookie: a=b", "Access-Control-Allow-Origin: *"));
  wss.on("connection", (ws, { method, url, rawHeaders }) => {
    const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
    heads.push([`${method} ${url}`, ...lines].join("\n"));
    ws.on("message", (message, isBinary) => ws.send(message, { binary: isBinary }));
    ws.on("error", () => {});
  });
  server.on("connection", (socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  await listen(server);
  return {
    url: tls === undefined ? `http://127.0.0.1:${portOf(server)}` : `https://localhost:${portOf(server)}`,
    heads,
    open: () => sockets.size,
    accepted: () => accepted,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Talk {
  readonly socket: WebSocket;
  /** Of the 101. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Says it, and resolves with the next message that comes. */
  ask(text: string): Promise<string>;
  /** The code that it was closed with; 1006: broken off. */
  readonly closed: Promise<number>;
}

/** Resolves once the tunnel is open; rejects with the status where it is refused. */
export async function talk(url: string, headers: Record<string, string> = {}): Promise<Talk> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), { headers });
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  const heard: Talk["headers"] = await new Promise((resolve, reject) => {
    let said: Talk["headers"] = {};
    socket.on("error", reject);
    socket.once("upgrade", (response) => {
      said = response.headers;
    });
    socket.once("open", () => resolve(said));
  });
  const next = () => new Promise<RawData>((resolve) => socket.once("message", resolve));
  return {
    socket,
    headers: heard,
    closed,
    async ask(text) {
      const answer = next();
      socket.send(text);
      return String(await answer);
    },
  };
}

/** A request for a tunnel, to the gateway at that port. A line that is empty is left out. */
export function tunnelHead(port: number, lines: readonly string[] = [], path = "/v1/realtime"): string {
  const own = lines.map((line) => line.split(":")[0]?.toLowerCase());
  const usual = [
    `Host: localhost:${port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ].filter((line) => !own.includes(line.split(":")[0]?.toLowerCase()));
  return [`GET ${path} HTTP/1.1`, ...usual, ...lines, "", ""].join("\r\n");
}

/** A whole text message of fewer than 126 bytes, as a client sends it: masked, here with zeros. */
export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** What a NIM answers that opens a tunnel, for upstreams that a test scripts. */
export const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
