// One HTTP server at one address: strict parsing, limits in time and size, and an answer in JSON also to what
// never becomes a request. It knows nothing of hosts, models or budgets.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { carries, reset } from "./connection-reset.ts";
import { rawReply, reply, type Unserved } from "./reply.ts";
import { asksTunnel } from "./tunnel-door.ts";

export interface FrontServerOptions {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void;
  /** `head` came with the request, and is the tunnel's. Left out: every upgrade is ignored. */
  readonly tunnel?: ((request: IncomingMessage, socket: Socket, head: Buffer) => void) | undefined;
  /** Told of each TCP connection, before any handshake. */
  readonly connected: (socket: Socket) => void;
  /** With it the server speaks TLS, and nothing else. */
  readonly certificate?: Certified | undefined;
  readonly requestsPerConnection?: number;
}

/** What a TLS server shows of itself; one that follows it takes a renewed certificate. */
export interface Certified {
  shown(): { readonly cert: string; readonly key: string; readonly minVersion: "TLSv1.2" };
  follow(server: { setSecureContext(shown: object): void }): () => void;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** A request's head must be there by then: slow clients hold a connection no longer. */
const HEADERS_TIMEOUT_MS = 10_000;
const CHECK_INTERVAL_MS = 1_000;
/** Longer than clients' pools keep a connection, so that they close first. */
const KEEP_ALIVE_MS = 75_000;
const SWEEP_MS = 50;
/** Requests that one connection may bring, one after another: a new one meets a renewed certificate. */
const MOST_REQUESTS = 10_000;
/** Requests of one connection that wait for their turn to be answered: each may hold money. */
const MOST_PIPELINED = 16;

export function createFrontServer(options: FrontServerOptions): Server {
  const { serve, tunnel, connected, certificate, requestsPerConnection = MOST_REQUESTS } = options;
  const busy = new WeakMap<Socket, number>();
  const brought = new WeakMap<Socket, number>();
  const http = {
    ...HTTP,
    // In the middle of another request's reply a 101 would be taken for a part of it.
    shouldUpgradeCallback: (request: IncomingMessage) =>
      tunnel !== undefined && asksTunnel(request) && (busy.get(request.socket) ?? 0) === 0,
  };
  const server = certificate === undefined ? createServer(http) : tlsServer(http, certificate);
  server.maxRequestsPerSocket = requestsPerConnection;
  const enter = (request: IncomingMessage, response: ServerResponse): number => {
    const { socket } = request;
    const count = (busy.get(socket) ?? 0) + 1;
    busy.set(socket, count);
    const all = (brought.get(socket) ?? 0) + 1;
    brought.set(socket, all);
    // Node says so of the last one, and leaves the closing to a client that may never do it.
    if (all >= requestsPerConnection) response.shouldKeepAlive = false;
    const leave = () => busy.set(socket, (busy.get(socket) ?? 1) - 1);
    // One that was answered before its body was there lasts until that is read.
    response.once("close", () => (request.complete ? leave() : request.once("close", leave)));
    return count;
  };
  const counted = (request: IncomingMessage, response: ServerResponse) => {
    const count = enter(request, response);
    if (count > MOST_PIPELINED) reply(response, PIPELINED, [["Connection", "close"]]);
    else serve(request, response);
  };
  server.on("connection", (socket) => {
    // Every request that is pipelined on it listens to its end.
    socket.setMaxListeners(4 * MOST_PIPELINED);
    connected(socket);
  });
  server.on("request", counted);
  // The body is read only once the door has let the request in: until then nobody is told to send it.
  server.on("checkContinue", (request, response) => {
    request.once("resume", () => sayContinue(response));
    counted(request, response);
  });
  server.on("checkExpectation", (request, response) => {
    enter(request, response);
    reply(response, UNKNOWN_EXPECTATION);
  });
  server.on("upgrade", (request, socket, head) => {
    // Node lets go of the connection here: from now on nobody else hears of its errors, and "close" follows.
    socket.on("error", () => {});
    tunnel?.(request, socket as Socket, head);
  });
  server.on("connect", (_request, socket) => endRaw(socket as Socket, NO_CONNECT));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // In the middle of a reply an error text would be taken for a part of it, behind one for another's; and
    // before the handshake is done there is no way to say anything.
    const isSpeechless = /^ERR_(SSL|TLS)/.test(error.code ?? "");
    if (isSpeechless || (busy.get(socket as Socket) ?? 0) > 0) socket.destroy();
    else endRaw(socket as Socket, faultOf(error.code));
  });
  return server;
}

const HTTP = {
  insecureHTTPParser: false,
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_INTERVAL_MS,
  // Uploads may be long; the body window ends those that stall.
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_MS,
  // Without a Host the door answers, in JSON.
  requireHostHeader: false,
  keepAlive: true,
};

function tlsServer(http: typeof HTTP, certificate: Certified): Server {
  const shown = certificate.shown();
  const server = createTlsServer({ ...http, ...shown, handshakeTimeout: HEADERS_TIMEOUT_MS });
  server.once("close", certificate.follow(server));
  // Who comes from where is open once at a time: that is how a TLS socket finds the one beneath it.
  const beneath = new Map<string, Socket>();
  server.on("connection", (socket) => {
    const from = `${socket.remoteAddress} ${socket.remotePort}`;
    beneath.set(from, socket);
    socket.once("close", () => {
      if (beneath.get(from) === socket) beneath.delete(from);
    });
  });
  server.on("secureConnection", (socket) => {
    socket.setMaxListeners(4 * MOST_PIPELINED);
    const carrier = beneath.get(`${socket.remoteAddress} ${socket.remotePort}`);
    if (carrier !== undefined) carries(carrier, socket);
  });
  return server;
}

/** In its turn: said while an earlier request's reply is out, Node would put it inside this one's reply. */
function sayContinue(response: ServerResponse): void {
  if (response.headersSent) return;
  if (response.socket === null) response.once("socket", () => sayContinue(response));
  else response.writeContinue();
}

/** Takes no more connections; what is under way may end, for `graceMs`. */
export async function shut(server: Server, sockets: ReadonlySet<Socket>, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  const sweep = () => {
    server.closeIdleConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  sweep();
  const sweeping = setInterval(sweep, SWEEP_MS);
  const deadline = setTimeout(() => {
    // A plain close would end a reply that is delimited by closing as if it were whole.
    for (const socket of sockets) reset(socket);
  }, graceMs);
  await promise;
  clearInterval(sweeping);
  clearTimeout(deadline);
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function endRaw(socket: Socket, unserved: Unserved | undefined): void {
  if (unserved === undefined || !socket.writable) socket.destroy();
  else socket.end(rawReply(unserved), () => socket.destroy());
}

/** Undefined where nobody is left to be told. */
function faultOf(code: string | undefined): Unserved | undefined {
  if (code === "ECONNRESET" || code === "EPIPE") return undefined;
  return FAULTS.get(code ?? "") ?? problem(400, "bad_request", "this is not HTTP as the gateway reads it");
}

const FAULTS: ReadonlyMap<string, Unserved> = new Map([
  ["HPE_HEADER_OVERFLOW", problem(431, "headers_too_large", `headers may have ${MAX_HEADER_BYTES} bytes`)],
  ["ERR_HTTP_REQUEST_TIMEOUT", problem(408, "request_timeout", "the request's headers did not come in time")],
]);
const PIPELINED = problem(503, "too_many_requests", "too many requests wait on this one connection");
const NO_CONNECT = problem(405, "method_not_allowed", "this gateway is no tunnel: CONNECT is not served");
const UNKNOWN_EXPECTATION = problem(417, "unknown_expectation", "only Expect: 100-continue is met");

function problem(
  status: Extract<Unserved, { kind: "problem" }>["status"],
  code: string,
  message: string,
): Unserved {
  return { kind: "problem", status, code, message };
}
