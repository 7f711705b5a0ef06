// Carries one request to one upstream and its reply back, and says how that ended. It decides nothing,
// writes no error of its own, and does not let go of a reply's last piece: whoever asked for it does that,
// once it is paid for.
//
//   connecting ──► sending ──► replying ──► ended         connecting ──► unsent
//                     └────────────────────────►┘
//
// Invariant: begin() of the reservation comes before the first byte that leaves, stop() in the tick in which
// the upstream's last byte is read or its connection broken; neither comes twice, nor stop() without begin().

import { performance } from "node:perf_hooks";
import type { Dispatcher } from "undici";
import { milliseconds } from "../metering/time.ts";
import type { Ending } from "../policy/admission.ts";
import { BodyFaultError } from "./body-window.ts";
import { Deadlines, type Expired } from "./deadlines.ts";
import { Downstream } from "./downstream.ts";
import { isExcused } from "./excuse.ts";
import { latin1, replyHead, replyTrailers } from "./headers.ts";
import { LostResultError } from "./hosted-poll.ts";
import { INTERIM_FLOOD, MOST_INTERIMS } from "./interim.ts";
import { CLIENT_GONE, Interrupted, stoppedBy, unsentBy } from "./interruption.ts";
import { type Asked, relocated } from "./redirect.ts";
import type { RelayJob } from "./relay-job.ts";
import type { Fault, Relayed, UnsentWhy } from "./relayed.ts";
import { malformation, printable } from "./reply-form.ts";
import { countsTokens, ReplyTail } from "./token-usage.ts";
import { MOST_UNREADABLE, type Unreadable, unreadable } from "./unreadable.ts";
import { prepare } from "./upstream-request.ts";

/** Rejects only where the permit could not be begun or stopped, which is a bug: then all is broken off. */
export function relay(job: RelayJob): Promise<Relayed> {
  return new Promise((resolve, reject) => new Relay(job, resolve, reject).start());
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #job: RelayJob;
  readonly #resolve: (relayed: Relayed) => void;
  readonly #reject: (bug: unknown) => void;
  readonly #downstream: Downstream;
  readonly #deadlines: Deadlines;
  readonly #tail: ReplyTail | undefined;
  #state: "connecting" | "sending" | "replying" | "ended" = "connecting";
  #controller: Dispatcher.DispatchController | undefined;
  #startedAt = 0;
  #firstByteAfterMs: number | undefined;
  #status: number | undefined;
  #bytes = 0;
  #interims = 0;
  /** Why the client gets our words instead of the reply, which is read and thrown away. */
  #unreadable: Unreadable | undefined;

  constructor(job: RelayJob, resolve: (relayed: Relayed) => void, reject: (bug: unknown) => void) {
    this.#job = job;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#downstream = new Downstream(job.response);
    this.#deadlines = new Deadlines(
      job.upstream.timeouts,
      (what, after) => this.#expired(what, after),
      (phase) => isExcused(phase, job.request.body, this.#downstream),
    );
    const isPriced = job.upstream.price.kind === "tokens";
    this.#tail = isPriced || countsTokens(job.request.path) ? new ReplyTail() : undefined;
  }

  start(): void {
    const { request, response, signal, upstream } = this.#job;
    const { socket } = response.req;
    if (socket.destroyed || !request.body.canSend) {
      this.#interrupt(CLIENT_GONE);
      return;
    }
    if (signal.aborted) {
      this.#interrupt(stoppedBy(signal, this.#job.held));
      return;
    }
    socket.once("close", this.#onClientGone);
    signal.addEventListener("abort", this.#onSignal, { once: true });
    response.on("drain", this.#onDrain);
    const prepared = prepare(this.#job);
    if (prepared instanceof Error) {
      this.#unsent("unsendable", prepared);
      return;
    }
    const pool = this.#job.pools.of(prepared.origin, milliseconds(upstream.timeouts.connect));
    pool.dispatch({ ...prepared.options, method: request.method }, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#state !== "connecting") {
      controller.abort(new Error("the request is over"));
      return;
    }
    this.#controller = controller;
    this.#state = "sending";
    this.#startedAt = performance.now();
    this.#deadlines.enter("first_byte");
    this.#tell("begin");
  }

  /** An upload that moves is not a reply that is late. */
  onBodySent(): void {
    if (this.#state === "sending") this.#deadlines.touch();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason = "",
  ): void {
    if (this.#state !== "sending") return;
    if (status === 101) {
      this.#breakUpstream({ kind: "broken", reason: "the upstream switched protocols without being asked" });
      return;
    }
    if (status < 200) {
      this.#interims += 1;
      if (this.#interims > MOST_INTERIMS) this.#breakUpstream(INTERIM_FLOOD);
      return;
    }
    this.#state = "replying";
    this.#status = status;
    this.#firstByteAfterMs = performance.now() - this.#startedAt;
    this.#deadlines.enter("idle");
    const headers = latin1(controller.rawHeaders);
    const wrong = malformation(reason, headers);
    if (wrong !== undefined) {
      this.#breakUpstream({ kind: "broken", reason: wrong });
      return;
    }
    this.#job.answered?.(status);
    const start = { status, reason: printable(reason), headers };
    this.#unreadable = unreadable(start, this.#asked(), this.#job.upstream.provider);
    if (this.#unreadable !== undefined) return;
    const head = replyHead(relocated(headers, this.#asked()), status, this.#job.replyHeaders);
    try {
      this.#downstream.begin({ ...head, status, reason: printable(reason) });
    } catch (cause) {
      this.#breakUpstream({ kind: "broken", reason: `the upstream's reply head is not HTTP: ${cause}` });
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state !== "replying") return;
    this.#bytes += chunk.length;
    this.#deadlines.touch();
    if (this.#unreadable !== undefined) {
      this.#unreadable.add(chunk);
      if (this.#bytes <= MOST_UNREADABLE) return;
      this.#end("relayed", this.#unreadable.fault);
      controller.abort(new Error("the rest of an unreadable reply is not wanted"));
      return;
    }
    this.#tail?.add(chunk);
    if (this.#downstream.write(chunk)) return;
    controller.pause();
    this.#deadlines.enter("client");
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#state !== "replying") return;
    this.#downstream.trail(replyTrailers(latin1(controller.rawTrailers)));
    this.#end("relayed", this.#unreadable?.fault);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#state === "ended") return;
    if (error instanceof BodyFaultError) {
      const kind = error.fault === "gone" ? "client_gone" : error.fault;
      this.#interrupt({ kind, reason: error.message });
    } else if (this.#state === "connecting") {
      const isOurs = "code" in error && UNSENDABLE.includes(String(error.code));
      this.#unsent(isOurs ? "unsendable" : "unreachable", error);
    } else if (error instanceof LostResultError) {
      this.#fail({ kind: "broken", reason: error.message });
    } else {
      // undici's own assertions are about what came, in words for its authors.
      const what = error.name === "AssertionError" ? "what it sent is not HTTP" : error.message;
      this.#fail({ kind: "broken", reason: `the upstream broke the connection: ${what}` });
    }
  }

  #asked(): Asked {
    const { request, upstream } = this.#job;
    return { method: request.method, path: request.path, prefix: request.prefix, base: upstream.url ?? "" };
  }

  readonly #onDrain = (): void => {
    if (this.#state !== "replying") return;
    this.#deadlines.enter("idle");
    this.#controller?.resume();
  };

  readonly #onClientGone = (): void => this.#interrupt(CLIENT_GONE);

  readonly #onSignal = (): void => this.#interrupt(stoppedBy(this.#job.signal, this.#job.held));

  #expired(what: Expired, afterMs: number): void {
    const reason = `${EXPIRED[what]} ${afterMs / 1000} s`;
    if (what === "client") this.#interrupt({ kind: "client_gone", reason });
    else if (this.#state === "sending" && this.#job.request.body.awaitsClient)
      this.#interrupt({ kind: "stalled", reason: `${reason}, and the client was still sending` });
    else if (this.#state === "connecting") this.#unsent("unreachable", new Error(reason));
    else this.#breakUpstream({ kind: "timeout", reason });
  }

  /** Our side ends it: the client has gone, or may not go on. */
  #interrupt(fault: Fault): void {
    if (this.#state === "ended") return;
    if (this.#state === "connecting") {
      this.#unsent(unsentBy(fault), new Interrupted(fault));
      return;
    }
    this.#end(fault.kind === "cut" ? "cut" : "aborted", fault);
    this.#controller?.abort(new Error(fault.reason));
  }

  #breakUpstream(fault: Fault): void {
    this.#fail(fault);
    this.#controller?.abort(new Error(fault.reason));
  }

  /** The upstream did not keep its side. What the client has seen of it decides what can still be said. */
  #fail(fault: Fault): void {
    this.#end(this.#downstream.headSent ? "truncated" : "failed", fault);
  }

  #end(outcome: Ending["outcome"], fault: Fault | undefined): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#letGo();
    if (!this.#tell("stop")) return;
    const downstream = this.#downstream;
    const tokens = outcome === "relayed" ? this.#tail?.usage() : undefined;
    const images = this.#job.request.body.laterImages;
    this.#resolve({
      kind: "ended",
      ending: { outcome, status: this.#status, tokens, ...(images !== undefined && { images }) },
      fault,
      firstByteAfterMs: this.#firstByteAfterMs,
      bytes: this.#bytes,
      headSent: downstream.headSent,
      finish: () => downstream.finish(),
      destroy: () => downstream.destroy(),
    });
  }

  /** A throw would be lost in undici's callbacks, with the client waiting and its money held for ever. */
  #tell(what: "begin" | "stop"): boolean {
    try {
      this.#job.held?.[what]();
      return true;
    } catch (bug) {
      this.#state = "ended";
      this.#letGo();
      this.#controller?.abort(new Error("the gateway made a mistake"));
      this.#reject(bug);
      return false;
    }
  }

  #unsent(why: UnsentWhy, cause: Error): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#letGo();
    const isUpstreams = why === "unreachable" || why === "unsendable";
    this.#resolve({ kind: "unsent", why, replayable: isUpstreams && this.#job.request.body.canSend, cause });
  }

  #letGo(): void {
    this.#deadlines.stop();
    this.#job.response.req.socket.off("close", this.#onClientGone);
    this.#job.response.off("drain", this.#onDrain);
    this.#job.signal.removeEventListener("abort", this.#onSignal);
  }
}

const EXPIRED: Record<Expired, string> = {
  connect: "the upstream did not accept a connection within",
  first_byte: "the upstream did not begin to reply within",
  idle: "the upstream sent nothing for",
  client: "the client took nothing for",
  total: "the request took longer than",
};

/** undici's words for a request that it will not put on a wire. */
const UNSENDABLE: readonly string[] = ["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"];
