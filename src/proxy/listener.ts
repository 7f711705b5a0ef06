// The addresses that the gateway is reached at: opened and closed as the policy changes, while requests under
// way go on. Each request that passes the door is handed on with the place it came in at; nothing here knows
// what becomes of it.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { isIP, type Socket } from "node:net";
import { isLoopbackAddress } from "../policy/schema/addresses.ts";
import { checkDoor } from "./door.ts";
import { type Certified, createFrontServer, portOf, shut } from "./front-server.ts";
import type { AddedHeaders } from "./headers.ts";
import type { Place } from "./identify.ts";
import { answersPreflight, greet } from "./listed-page.ts";
import { explainListenError, isAbsentAddress, parseAddress } from "./listen-address.ts";
import { reply, type Unserved } from "./reply.ts";
import { answerRaw, tunnelFault } from "./tunnel-door.ts";
import type { ServeTunnel } from "./tunnel-front.ts";
import { readOn } from "./unread.ts";

export interface Wanted {
  /** "localhost:7070" (127.0.0.1 and ::1), "127.0.0.1:7100", "[::1]:0". */
  readonly address: string;
  /** The model whose port this is; undefined: the gateway's own address. */
  readonly model?: string | undefined;
}

/** What the policy in force says; asked at each request. */
export interface ListenerRules {
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  /** Bytes of one request body. */
  readonly body: number;
  /** Open connections, over all addresses. */
  readonly connections: number;
}

/** `path` is origin-form, whatever form the request had. */
export type Serve = (request: IncomingMessage, response: ServerResponse, place: Place, path: string) => void;

/** An address that could not be opened, in a sentence that says what to do. */
export interface ListenProblem {
  readonly address: string;
  readonly text: string;
}

/** Addresses of this machine alone speak http, whatever there is to show; others speak what they can. */
export type Scheme = "http" | "https";

interface Opened {
  readonly server: Server;
  readonly host: string;
  readonly port: number;
  readonly scheme: Scheme;
  readonly sockets: Set<Socket>;
  place: Place;
}

/** A port that left the policy serves on for what is under way on it. */
const REMOVED_GRACE_MS = 3_600_000;
/** Connections beyond the limit that still get a 503; further ones are closed unanswered. */
const OVERFLOW = 64;

export class Listeners {
  readonly #serve: Serve;
  readonly #rules: () => ListenerRules;
  readonly #note: (text: string) => void;
  readonly #tunnel: ServeTunnel | undefined;
  readonly #certificate: Certified | undefined;
  /** By the address as it was wanted; `localhost` may stand for two servers. */
  readonly #opened = new Map<string, Opened[]>();
  /** Ports that left the policy, for as long as something is under way on them. */
  readonly #leaving = new Set<Opened>();
  readonly #overflow = new WeakSet<Socket>();
  /** Nothing more is served on these: what follows may be a part of a request that was wrong in its form. */
  readonly #spoilt = new WeakSet<Socket>();
  #connections = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * `note` takes sentences for the log. Without `tunnel` none is opened; with a certificate, addresses off
   * loopback speak TLS.
   */
  constructor(
    serve: Serve,
    rules: () => ListenerRules,
    note: (text: string) => void,
    { tunnel, certificate }: { tunnel?: ServeTunnel; certificate?: Certified | undefined } = {},
  ) {
    this.#serve = serve;
    this.#rules = rules;
    this.#note = note;
    this.#tunnel = tunnel;
    this.#certificate = certificate;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Where a wanted address is really reached: its port where it asked for any. */
  addresses(): ({ readonly wanted: string } & Pick<Opened, "host" | "port" | "scheme">)[] {
    const all = [...this.#opened].map(([wanted, each]) =>
      each.map(({ host, port, scheme }) => ({ wanted, host, port, scheme })),
    );
    return all.flat();
  }

  /** Opens what is new, closes what is gone, keeps the rest. Reloads that overlap take their turns. */
  adopt(wanted: readonly Wanted[]): Promise<ListenProblem[]> {
    const adopted = this.#turn.then(() => this.#adopt(wanted));
    this.#turn = adopted.catch(() => {});
    return adopted;
  }

  /** Takes no more connections; requests under way have `graceMs` to end before they are broken off. */
  async close(graceMs: number): Promise<void> {
    await this.#turn;
    const all = [...[...this.#opened.values()].flat(), ...this.#leaving];
    this.#opened.clear();
    await Promise.all(all.map(({ server, sockets }) => shut(server, sockets, graceMs)));
  }

  async #adopt(wanted: readonly Wanted[]): Promise<ListenProblem[]> {
    const kept = new Set(wanted.map(({ address }) => address));
    for (const [address, opened] of this.#opened) {
      if (kept.has(address)) continue;
      this.#opened.delete(address);
      // Not awaited: a long request on an old port must not hold up the new policy.
      for (const each of opened) {
        this.#leaving.add(each);
        void shut(each.server, each.sockets, REMOVED_GRACE_MS).then(() => this.#leaving.delete(each));
      }
    }
    const problems: ListenProblem[] = [];
    for (const { address, model } of wanted) {
      const place: Place = { modelPort: model };
      const opened = this.#opened.get(address);
      if (opened === undefined) problems.push(...(await this.#openAddress(address, place)));
      else for (const each of opened) each.place = place;
    }
    return problems;
  }

  async #openAddress(address: string, place: Place): Promise<ListenProblem[]> {
    const target = parseAddress(address);
    if (target === undefined) return [{ address, text: `${address} is not an address: write HOST:PORT` }];
    const opened: Opened[] = [];
    const problems: ListenProblem[] = [];
    for (const host of target.hosts) {
      // Both halves of localhost have one port, also where any would do.
      const port = opened[0]?.port ?? target.port;
      const listening = await this.#listen(host, port, place);
      if (!(listening instanceof Error)) opened.push(listening);
      else if (opened.length > 0 && isAbsentAddress(listening)) {
        this.#note(`this machine has no ${host}: ${address} listens on 127.0.0.1 alone`);
      } else problems.push({ address, text: explainListenError(listening, host, port, another(place)) });
    }
    // Half an address would lead some clients here and others to whoever has the other half; and with none
    // of it open the next policy tries again.
    if (problems.length > 0) await Promise.all(opened.map(({ server, sockets }) => shut(server, sockets, 0)));
    else this.#opened.set(address, opened);
    return problems;
  }

  #listen(host: string, port: number, place: Place): Promise<Opened | Error> {
    const sockets = new Set<Socket>();
    const { promise, resolve } = Promise.withResolvers<Opened | Error>();
    let opened: Opened | undefined;
    const certificate = isLoopbackAddress(host) ? undefined : this.#certificate;
    const scheme = certificate === undefined ? "http" : "https";
    const server = createFrontServer({
      serve: (request, response) => {
        if (opened !== undefined) this.#admit(opened, request, response);
      },
      tunnel: this.#tunnel && ((...asked) => opened !== undefined && this.#admitTunnel(opened, ...asked)),
      connected: (socket) => this.#count(socket, sockets, scheme),
      certificate,
    });
    server.once("error", resolve);
    server.listen({ host, port, ipv6Only: true }, () => {
      server.off("error", resolve);
      server.on("error", (error) => this.#note(`listening on ${host}: ${error.message}`));
      opened = { server, host, port: portOf(server), scheme, sockets, place };
      resolve(opened);
    });
    return promise;
  }

  #count(socket: Socket, sockets: Set<Socket>, scheme: Scheme): void {
    const { connections } = this.#rules();
    // A handshake would cost more than the answer that it is for.
    if (this.#connections >= connections + (scheme === "https" ? 0 : OVERFLOW)) {
      socket.destroy();
      return;
    }
    if (this.#connections >= connections) this.#overflow.add(socket);
    this.#connections++;
    sockets.add(socket);
    socket.once("close", () => {
      this.#connections--;
      sockets.delete(socket);
    });
  }

  #admit(opened: Opened, request: IncomingMessage, response: ServerResponse): void {
    const { origins } = this.#rules();
    if (this.#overflow.has(request.socket)) {
      turnAway(request, response, TOO_MANY, [["Connection", "close"]]);
      return;
    }
    if (this.#spoilt.has(request.socket)) return;
    greet(request, response, origins);
    const checked = this.#check(opened, request);
    if (checked.kind === "problem" && checked.status === 400) {
      this.#spoilt.add(request.socket);
      turnAway(request, response, checked, [["Connection", "close"]]);
    } else if (checked.kind === "problem") turnAway(request, response, checked, []);
    else if (!answersPreflight(request, response)) this.#serve(request, response, opened.place, checked.path);
  }

  #admitTunnel(opened: Opened, request: IncomingMessage, socket: Socket, head: Buffer): void {
    const isOver = this.#overflow.has(socket);
    const checked = isOver ? TOO_MANY : (tunnelFault(request.rawHeaders) ?? this.#check(opened, request));
    if (checked.kind === "welcome") this.#tunnel?.({ request, socket, head }, opened.place, checked.path);
    else answerRaw(socket, checked);
  }

  #check(opened: Opened, request: IncomingMessage) {
    const { hosts, origins, body } = this.#rules();
    const ports = [opened.port, ...[...this.#opened.values()].flat().map(({ port }) => port)];
    return checkDoor(request, { ports, hosts: [...hosts, ...ownName(opened)], origins, body });
  }
}

const TOO_MANY: Extract<Unserved, { kind: "problem" }> = {
  kind: "problem",
  status: 503,
  code: "too_many_connections",
  message: "the gateway has as many connections open as limits.connections allows; try again",
};

/** An address that was chosen to listen on may be named too: rebinding needs a name, not an address. */
function ownName({ host, port }: Opened): string[] {
  if (host === "0.0.0.0" || host === "::") return [];
  return [isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`];
}

function turnAway(
  request: IncomingMessage,
  response: ServerResponse,
  unserved: Unserved,
  added: AddedHeaders,
): void {
  readOn(request, response);
  reply(response, unserved, added);
}

function another({ modelPort }: Place): string {
  return modelPort === undefined
    ? "choose another with --listen localhost:PORT"
    : `give ${modelPort} another port in the policy`;
}
