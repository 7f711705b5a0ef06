// The admin surface's own sockets: loopback addresses, short timeouts, small headers. It knows nothing of
// what is served.

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { isLoopback } from "./loopback.ts";
import { PROBLEM_TYPE, problemBody } from "./problem.ts";
import { SECURITY_HEADERS, type Sender } from "./safety.ts";

export interface Address {
  /** "127.0.0.1" or "::1" */
  readonly host: string;
  /** 0: any free one; the first address picks it for those after it. */
  readonly port: number;
}

export interface OpenAddress extends Address {
  /** This machine's own addresses speak http, whatever there is to show. */
  readonly scheme: "http" | "https";
}

/** What a TLS server shows of itself; one that follows it takes a renewed certificate. */
export interface Certified {
  shown(): { readonly cert: string; readonly key: string; readonly minVersion: "TLSv1.2" };
  follow(server: { setSecureContext(shown: object): void }): () => void;
}

export type Listening =
  | { readonly kind: "listening"; readonly addresses: readonly OpenAddress[] }
  /** A sentence that says what to do. Nothing listens then. */
  | { readonly kind: "failed"; readonly text: string };

/** Of a server at one address; times in milliseconds. */
export const LIMITS = {
  maxConnections: 256,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** How often the two above are looked after. */
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16 * 1024,
};
/** How long open requests may take to end once the daemon stops. */
const CLOSING_MS = 2_000;

type Fetch = (request: Request, sender: Sender) => Response | Promise<Response>;

export class Listener {
  readonly #fetch: Fetch;
  readonly #limits: typeof LIMITS;
  readonly #certificate: Certified | undefined;
  readonly #servers: Server[] = [];

  /** With a certificate, addresses off loopback speak TLS. */
  constructor(fetch: Fetch, limits = LIMITS, certificate?: Certified) {
    this.#fetch = fetch;
    this.#limits = limits;
    this.#certificate = certificate;
  }

  ports(): readonly number[] {
    return this.#servers.map((server) => addressOf(server).port);
  }

  async listen(addresses: readonly Address[]): Promise<Listening> {
    for (const { host, port } of addresses) {
      const wanted = port === 0 ? (this.ports()[0] ?? 0) : port;
      const server = serverOf(this.#fetch, this.#limits, this.#shownAt(host));
      const error = await opened(server, host, wanted);
      if (error === undefined) this.#servers.push(server);
      else if (!(isOptional(host, error) && this.#servers.length > 0)) {
        await this.close();
        return { kind: "failed", text: sentence(host, wanted, error) };
      }
    }
    const open = this.#servers.map((server) => {
      const { address, port } = addressOf(server);
      return { host: address, port, scheme: server instanceof TlsServer ? "https" : "http" } as const;
    });
    return { kind: "listening", addresses: open };
  }

  #shownAt(host: string): Certified | undefined {
    return isLoopback(host) ? undefined : this.#certificate;
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map(closed));
  }
}

function serverOf(
  fetch: Fetch,
  { maxConnections, ...limits }: typeof LIMITS,
  certificate: Certified | undefined,
): Server {
  const listener = getRequestListener((request, { incoming }) => fetch(request, { incoming }), {
    hostname: "localhost",
    errorHandler: unreadable,
  });
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => void listener(incoming, outgoing);
  const server =
    certificate === undefined ? createServer(limits, answer) : tlsServer(limits, certificate, answer);
  server.maxConnections = maxConnections;
  server.on("clientError", refuseSocket);
  return server;
}

function tlsServer(
  limits: Omit<typeof LIMITS, "maxConnections">,
  certificate: Certified,
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
): Server {
  const own = { ...certificate.shown(), handshakeTimeout: limits.headersTimeout };
  const server = createTlsServer({ ...limits, ...own }, answer);
  server.once("close", certificate.follow(server));
  return server;
}

/** Requests of which not even an address can be made: a broken Host header or target. */
function unreadable(): Response {
  const headers = { ...SECURITY_HEADERS, "content-type": PROBLEM_TYPE };
  return new Response(JSON.stringify(broken(400)), { status: 400, headers });
}

function broken(status: number) {
  return problemBody(status, { code: "bad_request", detail: "this is not a request that can be read" });
}

const STATUS_OF: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

function refuseSocket(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Before a TLS handshake is done there is no way to say anything.
  const isSpeechless = /^ERR_(SSL|TLS)/.test(error.code ?? "");
  if (!socket.writable || isSpeechless || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status = STATUS_OF[error.code ?? ""] ?? 400;
  const body = JSON.stringify(broken(status));
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n`;
  const about = `content-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  socket.end(`${head}${about}\r\n${body}`);
}

function opened(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    server.once("error", resolve);
    server.listen({ host, port }, () => {
      server.off("error", resolve);
      resolve(undefined);
    });
  });
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listening server has an address");
  return address;
}

/** Machines without IPv6 have no ::1, and are served on 127.0.0.1 alone. */
function isOptional(host: string, error: NodeJS.ErrnoException): boolean {
  return host === "::1" && (error.code === "EADDRNOTAVAIL" || error.code === "EAFNOSUPPORT");
}

function sentence(host: string, port: number, error: NodeJS.ErrnoException): string {
  const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const choose = "choose another with --admin localhost:PORT";
  switch (error.code) {
    case "EADDRINUSE":
      return `${where} is taken by another program: end it, or ${choose}`;
    case "EACCES":
      return `${where} may not be opened by this user: ${choose}, from 1024 on`;
    default:
      return `${where} cannot be listened on (${error.code ?? error.message}): ${choose}`;
  }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const patience = setTimeout(() => server.closeAllConnections(), CLOSING_MS);
    server.close(() => {
      clearTimeout(patience);
      resolve();
    });
    server.closeIdleConnections();
  });
}
