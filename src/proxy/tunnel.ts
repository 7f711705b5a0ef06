// Carries one tunnel: both ways, for as long as both sides want it and its money is held, and says how it
// ended. It reads no frames, and decides nothing.
//
//   connecting ──► upgrading ──► open ──► ended         connecting ──► unsent
//                      └───────────────────►┘
//
// Invariant: begin() of the reservation comes before the first byte that leaves, stop() in the tick in which
// the upstream's last byte is read or its connection broken; neither comes twice. However it ends, the
// upstream's connection is destroyed in that tick: none is left behind.

import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { milliseconds } from "../metering/time.ts";
import type { Ending, Reservation } from "../policy/admission.ts";
import { Deadlines, type Expired } from "./deadlines.ts";
import type { AddedHeaders } from "./headers.ts";
import { INTERIM_FLOOD, MOST_INTERIMS } from "./interim.ts";
import { CLIENT_GONE, Interrupted, stoppedBy, unsentBy } from "./interruption.ts";
import { connector } from "./pools.ts";
import type { Fault, Relayed, UnsentWhy } from "./relayed.ts";
import { closeSoon } from "./tunnel-door.ts";
import { switchedHead, type TunnelRequest, type TunnelWanted, tunnelRequest } from "./tunnel-heads.ts";
import { type UpgradeListener, upgrade } from "./upgrade.ts";

export interface TunnelJob extends TunnelWanted {
  /** The permit. */
  readonly held: Pick<Reservation, "begin" | "stop" | "cutBy" | "isLost" | "bySlice">;
  readonly client: Socket;
  /** What the client sent after its request. */
  readonly head: Buffer;
  /** X-BudgetGuard-*: sent with the 101. */
  readonly replyHeaders: AddedHeaders;
  /** Aborted with the reason "cut" by the budget, with any other by an operator. */
  readonly signal: AbortSignal;
  /** Told of the status once the upstream has answered. */
  readonly answered?: ((status: number) => void) | undefined;
}

/** Rejects only where the permit could not be begun or stopped, which is a bug: then all is broken off. */
export function tunnel(job: TunnelJob): Promise<Relayed> {
  return new Promise((resolve, reject) => new Tunnel(job, resolve, reject).start());
}

/** Of an answer that is no tunnel only the status and its phrase are told. */
const WORDLESS = { kind: "unreadable", said: "", speaker: undefined, retryAfter: undefined } as const;
/** An upstream whose client has closed may say its last words for so long. */
const LAST_WORDS_MS = 1_000;

class Tunnel implements UpgradeListener {
  readonly #job: TunnelJob;
  readonly #resolve: (relayed: Relayed) => void;
  readonly #reject: (bug: unknown) => void;
  readonly #deadlines: Deadlines;
  #state: "connecting" | "upgrading" | "open" | "ended" = "connecting";
  #upstream: Socket | undefined;
  #startedAt = 0;
  #firstByteAfterMs: number | undefined;
  #status: number | undefined;
  #bytes = 0;
  #interims = 0;
  /** Whether the client has the 101. */
  #isSwitched = false;
  /** The client has closed its side: the upstream is told, and has a moment to close too. */
  #leaving: NodeJS.Timeout | undefined;

  constructor(job: TunnelJob, resolve: (relayed: Relayed) => void, reject: (bug: unknown) => void) {
    this.#job = job;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#deadlines = new Deadlines(job.upstream.timeouts, (what, after) => this.#expired(what, after));
  }

  start(): void {
    const { client, signal, upstream } = this.#job;
    if (client.destroyed || client.readableEnded) {
      this.#interrupt(CLIENT_GONE);
      return;
    }
    if (signal.aborted) {
      this.#interrupt(stoppedBy(signal, this.#job.held));
      return;
    }
    client.once("close", this.#onClientClose);
    client.once("end", this.#onClientEnd);
    signal.addEventListener("abort", this.#onSignal, { once: true });
    const wanted = tunnelRequest(this.#job);
    if (wanted instanceof Error) {
      this.#unsent("unsendable", wanted);
      return;
    }
    const { hostname, host, protocol, port } = wanted.origin;
    const target = { hostname: hostname.replace(/^\[|\]$/g, ""), host, protocol, port };
    connector(milliseconds(upstream.timeouts.connect))(target, (error, socket) => {
      // Its types promise a null that is none.
      if (error !== null || socket === null) this.#unsent("unreachable", error ?? new Error("no connection"));
      else this.#connected(socket, wanted);
    });
  }

  #connected(socket: Socket, { path, headers }: TunnelRequest): void {
    if (this.#state !== "connecting") {
      socket.destroy();
      return;
    }
    this.#state = "upgrading";
    this.#upstream = socket;
    socket.once("close", this.#onUpstreamClose);
    this.#startedAt = performance.now();
    this.#deadlines.enter("first_byte");
    const { client, head } = this.#job;
    this.#surely(() => {
      this.#job.held.begin();
      upgrade({ client, head, upstream: socket, path, headers, listener: this });
    });
  }

  switched(response: IncomingMessage): OutgoingHttpHeaders | undefined {
    if (this.#state !== "upgrading") return undefined;
    this.#answeredWith(101);
    if (response.headers.upgrade?.toLowerCase() !== "websocket") {
      this.#fail({ kind: "broken", reason: "it switched to a protocol that nobody asked for" });
      return undefined;
    }
    this.#state = "open";
    this.#isSwitched = true;
    this.#job.held.bySlice();
    this.#deadlines.enter("idle");
    return switchedHead(response.rawHeaders, this.#job.replyHeaders);
  }

  opened(): void {
    if (this.#state !== "open") return;
    this.#upstream?.on("data", this.#onUpstreamData);
    this.#upstream?.once("end", () => this.#end("relayed", undefined));
    this.#job.client.on("data", this.#onClientData);
  }

  interim(): void {
    this.#interims += 1;
    if (this.#interims > MOST_INTERIMS) this.#fail(INTERIM_FLOOD);
  }

  /** A client that wanted a tunnel can do nothing with any other answer; it is told of it in JSON. */
  answered({ statusCode = 0, statusMessage = "" }: IncomingMessage): void {
    if (this.#state !== "upgrading") return;
    this.#answeredWith(statusCode);
    const said = `${statusCode} ${statusMessage.replace(/[^\t -~]/g, "?").slice(0, 100)}`.trimEnd();
    const reason = `it opened no tunnel but answered ${said}`;
    if (statusCode >= 400) this.#end("relayed", { ...WORDLESS, status: statusCode, reason });
    else this.#fail({ kind: "broken", reason });
  }

  failed(error: Error): void {
    this.#fail({ kind: "broken", reason: `the upstream broke the connection: ${error.message}` });
  }

  #answeredWith(status: number): void {
    this.#status = status;
    this.#firstByteAfterMs = performance.now() - this.#startedAt;
    this.#job.answered?.(status);
  }

  readonly #onUpstreamData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    this.#deadlines.touch();
  };

  readonly #onClientData = (): void => this.#deadlines.touch();

  readonly #onUpstreamClose = (): void => this.#fail({ kind: "broken", reason: "the upstream went away" });

  /** The pipe has told the upstream. */
  readonly #onClientEnd = (): void => {
    if (this.#state !== "open") this.#interrupt(CLIENT_GONE);
    else this.#leaving = setTimeout(() => this.#end("relayed", undefined), LAST_WORDS_MS);
  };

  readonly #onClientClose = (): void => {
    if (this.#leaving === undefined) this.#interrupt(CLIENT_GONE);
    else this.#end("relayed", undefined);
  };

  readonly #onSignal = (): void => this.#interrupt(stoppedBy(this.#job.signal, this.#job.held));

  #expired(what: Expired, afterMs: number): void {
    const reason = `${EXPIRED[what]} ${afterMs / 1000} s`;
    if (this.#state === "connecting") this.#unsent("unreachable", new Error(reason));
    else this.#fail({ kind: "timeout", reason });
  }

  /** Our side ends it: the client has gone, or may not go on. */
  #interrupt(fault: Fault): void {
    if (this.#state === "ended") return;
    if (this.#state === "connecting") this.#unsent(unsentBy(fault), new Interrupted(fault));
    else this.#end(fault.kind === "cut" ? "cut" : "aborted", fault);
  }

  /** The upstream did not keep its side. */
  #fail(fault: Fault): void {
    this.#end(this.#isSwitched ? "truncated" : "failed", fault);
  }

  #end(outcome: Ending["outcome"], fault: Fault | undefined): void {
    if (this.#state === "ended") return;
    this.#letGo();
    if (!this.#surely(() => this.#job.held.stop())) return;
    const { client } = this.#job;
    const isSwitched = this.#isSwitched;
    // In this tick: http-proxy would close it, which could be taken for an end that both sides wanted.
    if (isSwitched && outcome !== "relayed") breakOff(client);
    this.#resolve({
      kind: "ended",
      ending: { outcome, status: this.#status, tokens: undefined },
      fault,
      firstByteAfterMs: this.#firstByteAfterMs,
      bytes: this.#bytes,
      headSent: isSwitched,
      finish: () => isSwitched && closeSoon(client),
      destroy: () => breakOff(client),
    });
  }

  /** A throw would be lost in a socket's callback, with the client waiting and its money held for ever. */
  #surely(call: () => void): boolean {
    try {
      call();
      return true;
    } catch (bug) {
      this.#letGo();
      this.#reject(bug);
      return false;
    }
  }

  /** Nothing of it was sent: `head` is still all there for another upstream. */
  #unsent(why: UnsentWhy, cause: Error): void {
    if (this.#state === "ended") return;
    this.#letGo();
    this.#resolve({ kind: "unsent", why, replayable: why === "unreachable" || why === "unsendable", cause });
  }

  #letGo(): void {
    this.#state = "ended";
    this.#deadlines.stop();
    clearTimeout(this.#leaving);
    const { client, signal } = this.#job;
    client.off("close", this.#onClientClose).off("end", this.#onClientEnd).off("data", this.#onClientData);
    signal.removeEventListener("abort", this.#onSignal);
    // The guard: http-proxy alone leaves it open when the client has gone.
    this.#upstream?.destroy();
  }
}

const EXPIRED: Record<Expired, string> = {
  connect: "the upstream did not accept a connection within",
  first_byte: "the upstream did not open the tunnel within",
  idle: "neither side sent anything for",
  client: "neither side sent anything for",
  total: "the tunnel was open longer than",
};

function breakOff(client: Socket): void {
  if (client.destroyed) return;
  if ("encrypted" in client) client.destroy();
  else client.resetAndDestroy();
}
