// The one thing that http-proxy does here: it asks an upstream to switch protocols, tells the client the 101
// and pipes both ways. It gets a connection that is open already, so it chooses no address, verifies no
// certificate and keeps nothing alive; and in place of what it would answer by itself, a listener is asked.

import { Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import util from "node:util";
import httpProxy from "http-proxy";

export interface Upgrade {
  readonly client: Socket;
  /** Bytes of the client that came with its request: they go first. */
  readonly head: Buffer;
  /** Connected, and verified where it is TLS. Whoever gave it destroys it: nothing else surely does. */
  readonly upstream: Socket;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly listener: UpgradeListener;
}

export interface UpgradeListener {
  /** A 101 came. The headers that the client is told; undefined where it does not go through. */
  switched(response: IncomingMessage): OutgoingHttpHeaders | undefined;
  /** Both ways are piped. */
  opened(): void;
  /** A 1xx came that is no answer. */
  interim(): void;
  /** Some other answer came. */
  answered(response: IncomingMessage): void;
  failed(error: Error): void;
}

/** Nothing leaves before the next tick. Throws only at what is a mistake of ours. */
export function upgrade({ client, head, upstream, path, headers, listener }: Upgrade): void {
  const failed = (error: Error) => listener.failed(error);
  const proxy = httpProxy.createProxyServer();
  let asked: ClientRequest | undefined;
  proxy.on("proxyReqWs", (request) => {
    // http-proxy would parse the path and join it anew, which changes some.
    request.path = path;
    asked = request;
  });
  // It copies them from the last to the first.
  const inOrder = Object.fromEntries(Object.entries(headers).reverse());
  const request = { method: "GET", url: path, headers: inOrder } as IncomingMessage;
  const [host, port] = [upstream.remoteAddress ?? "", upstream.remotePort ?? 0];
  const target = { protocol: "http:", host, hostname: host, port };
  proxy.ws(request, client, head, { target, agent: new OneConnection(upstream), toProxy: true }, failed);
  if (asked === undefined) throw new Error("http-proxy did not take the request for a tunnel");
  listenFirst(asked, listener, failed);
}

/**
 * In place of http-proxy's own listeners: those copy an answer that is no 101 to the client as it is, and
 * close the client's connection at an error, before anybody could say what happened. Its piping is called
 * from here.
 */
function listenFirst(
  request: ClientRequest,
  listener: UpgradeListener,
  failed: (error: Error) => void,
): void {
  const pipes = request.listeners("upgrade");
  for (const event of ["upgrade", "response", "error"]) request.removeAllListeners(event);
  request.on("error", failed);
  request.on("information", () => listener.interim());
  request.once("response", (response) => {
    response.on("error", failed);
    listener.answered(response);
  });
  request.once("upgrade", (response, socket, head) => {
    const headers = listener.switched(response);
    if (headers === undefined) return;
    Object.assign(response, { headers });
    for (const pipe of pipes) pipe.call(request, response, socket, head);
    listener.opened();
  });
}

class OneConnection extends Agent {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  override createConnection(): Duplex {
    return this.#socket;
  }
}

/**
 * http-proxy calls util._extend, of which Node says once in a process that it is deprecated (DEP0060). An
 * operator can do nothing about that, so it is said here, to nobody: of this one call, and no other warning
 * is lost.
 */
function sayDeprecationNow(): void {
  const { _extend } = util as { readonly _extend?: (target: object, source: object) => object };
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    _extend?.({}, {});
  } finally {
    process.emitWarning = emitWarning;
  }
}

sayDeprecationNow();
