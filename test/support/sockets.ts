// Raw sockets for tests: what really crosses the wire, and upstreams that a test scripts byte by byte.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";

/** A client that sends what it is told and keeps all that comes back. */
export interface RawClient {
  readonly socket: Socket;
  /** All that came so far, as Latin-1. */
  readonly received: () => string;
  readonly bytes: () => Buffer;
  /** Resolves once what came is as wanted; rejects when the connection closes before. */
  until(wanted: RegExp | ((received: string) => boolean)): Promise<string>;
  /** How the connection ended. */
  readonly closed: Promise<"end" | "reset">;
}

export function rawClient(port: number, text: string | Buffer = ""): Promise<RawClient> {
  return client(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), "connect", text);
}

/** Over TLS, with a server that `ca` vouches for as localhost. */
export function rawTlsClient(port: number, ca: string, text = ""): Promise<RawClient> {
  const socket = tlsConnect({ port, host: "127.0.0.1", servername: "localhost", ca });
  return client(socket, "secureConnect", text);
}

async function client(socket: Socket, ready: string, text: string | Buffer): Promise<RawClient> {
  const chunks: Buffer[] = [];
  let wake = Promise.withResolvers<void>();
  let end: "end" | "reset" | undefined;
  const ended = Promise.withResolvers<"end" | "reset">();
  const stop = (how: "end" | "reset") => {
    end ??= how;
    wake.resolve();
    ended.resolve(end);
  };
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    wake.resolve();
    wake = Promise.withResolvers();
  });
  socket.on("end", () => stop("end"));
  socket.on("error", () => stop("reset"));
  socket.on("close", () => stop("reset"));
  await once(socket, ready);
  if (text.length > 0) socket.write(text);
  const received = () => Buffer.concat(chunks).toString("latin1");
  return {
    socket,
    received,
    bytes: () => Buffer.concat(chunks),
    closed: ended.promise,
    async until(wanted) {
      const isThere = (text: string) => (wanted instanceof RegExp ? wanted.test(text) : wanted(text));
      while (!isThere(received())) {
        if (end !== undefined) throw new Error(`closed (${end}) before ${wanted}: ${received()}`);
        await wake.promise;
      }
      return received();
    },
  };
}

/** A TCP server that is an upstream as bad as the script makes it. */
export interface RawUpstream {
  readonly url: string;
  readonly connections: () => number;
  /** Resolves when the first connection is closed by the other side or broken. */
  readonly firstGone: Promise<void>;
  close(): Promise<void>;
}

/** `script` gets each connection once its first request is there up to the end of its headers. */
export async function rawUpstream(script: (socket: Socket, head: string) => void): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  const gone = Promise.withResolvers<void>();
  let count = 0;
  const server = createServer((socket) => {
    count++;
    sockets.add(socket);
    let head = "";
    const read = (chunk: Buffer) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", read);
      script(socket, head);
      // Who listens to the rest says so itself; nobody else lets it pile up.
      if (socket.listenerCount("data") === 0 && !socket.isPaused()) socket.resume();
    };
    socket.on("data", read);
    socket.on("error", () => {});
    socket.on("close", () => gone.resolve());
    socket.on("end", () => gone.resolve());
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    connections: () => count,
    firstGone: gone.promise,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

export async function listen(server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
}

export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** What a machine that is busy elsewhere may need for what takes an idle one milliseconds. */
const PATIENCE_MS = 30_000;

/**
 * For promises that should not take long, `ms` at most where nothing else runs: fails the test instead of hanging
 * it. How fast the machine is is no claim: it is given longer than that.
 */
export function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const longest = Math.max(ms, PATIENCE_MS);
  const timer = setTimeout(() => late.reject(new Error(`not within ${longest} ms: ${what}`)), longest);
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}
