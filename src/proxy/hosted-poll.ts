// Connections to NVIDIA's hosted API, where a request that takes long is answered 202 and its result is asked
// for until it is there. Whoever dispatches sees one request and its one reply. It knows no money and no
// deadline: who waits too long aborts, and then the held connection closes, which ends the work at NVIDIA.
//
//   asking ──► final                                    any ──► over (aborted, or given up)
//      └─202─► accepted ──► waiting ──► polling ──► final
//                  ▲────202, 429, 50x, lost──┘
//
// Invariant: a poll goes to the origin that was asked, by the same key; no address in a reply is followed.

import { performance } from "node:perf_hooks";
import type { Dispatcher } from "undici";
import { latin1 } from "./headers.ts";
import type { Pools } from "./pools.ts";

/** What a relay needs of pools. */
export interface Connections {
  of(origin: string, connectMs: number): Pick<Dispatcher, "dispatch">;
}

export class PollingPools implements Connections {
  readonly #pools: Pick<Pools, "of">;

  constructor(pools: Pick<Pools, "of">) {
    this.#pools = pools;
  }

  of(origin: string, connectMs: number): Pick<Dispatcher, "dispatch"> {
    // Asked for anew each time: a reload may have closed the pool since.
    const send: Send = (options, handler) => this.#pools.of(origin, connectMs).dispatch(options, handler);
    return { dispatch: (options, handler) => send(options, new Polling(send, options, handler)) };
  }
}

/** NVIDIA took a request, and then nothing more could be had of it. */
export class LostResultError extends Error {}

type Send = (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) => boolean;

/** The id goes into a path: NVIDIA's are UUIDs, and nothing with a slash or a dot is taken for one. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{7,99}$/;
/** A 202 has no body; one that goes on beyond this is not NVIDIA's. */
const MOST_INTERIM_BYTES = 16 * 1024;
/** Polls in a row without a 202 or a result: NVIDIA is then taken to have forgotten the request. */
const MOST_LOST_POLLS = 5;
/** NVIDIA holds a poll until there is news. One that comes back sooner than this was not held. */
const HELD_MS = 1000;
const FIRST_PAUSE_MS = 100;
/** NVIDIA drops a request that nobody asks for in 10 s, or longer: we ask at least this often. */
const LONGEST_PAUSE_MS = 5000;

class Polling implements Dispatcher.DispatchHandler {
  readonly #send: Send;
  readonly #asked: Dispatcher.DispatchOptions;
  readonly #client: Dispatcher.DispatchHandler;
  readonly #controller: Dispatcher.DispatchController;
  #state: "asking" | "accepted" | "waiting" | "polling" | "final" | "over" = "asking";
  #current: Dispatcher.DispatchController | undefined;
  #requestId: string | undefined;
  #askedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #lost = 0;
  #bytes = 0;

  constructor(send: Send, asked: Dispatcher.DispatchOptions, client: Dispatcher.DispatchHandler) {
    this.#send = send;
    this.#asked = asked;
    this.#client = client;
    this.#controller = this.#controls();
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#current = controller;
    if (this.#state === "over") controller.abort(new Error("the request is over"));
    else if (this.#state === "asking") this.#client.onRequestStart?.(this.#controller, context);
  }

  onBodySent(chunk: Buffer): void {
    if (this.#state === "asking") this.#client.onBodySent?.(chunk);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2],
    reason?: string,
  ): void {
    if (this.#state === "over") return;
    const isPoll = this.#state === "polling";
    if (status === 202) this.#requestId ??= requestIdOf(headerIn("nvcf-reqid", controller));
    if (status === 202 && this.#requestId !== undefined) {
      this.#lost = 0;
      this.#accept(status);
    } else if (
      isPoll &&
      OF_THE_ASKING.includes(status) &&
      headerIn("nvcf-status", controller) === undefined
    ) {
      this.#lost += 1;
      this.#accept(status);
    } else if (isPoll && GONE.includes(status)) {
      this.#giveUp(`its result is gone (${status}): it was asked for once it had been fetched, or too late`);
    } else {
      if (status >= 200) this.#state = "final";
      this.#client.onResponseStart?.(this.#controller, status, headers, reason);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === "final") this.#client.onResponseData?.(this.#controller, chunk);
    if (this.#state !== "accepted") return;
    this.#bytes += chunk.length;
    if (this.#bytes > MOST_INTERIM_BYTES) this.#giveUp("it answered 202 with a body that does not end");
  }

  onResponseEnd(
    _controller: Dispatcher.DispatchController,
    trailers: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseEnd"]>>[1],
  ): void {
    if (this.#state === "final") this.#client.onResponseEnd?.(this.#controller, trailers);
    else if (this.#state === "accepted") this.#wait();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#state === "over") return;
    const isWaitedFor = this.#state === "polling" || this.#state === "accepted";
    if (!isWaitedFor || isEnd(error)) {
      this.#client.onResponseError?.(this.#controller, error);
      return;
    }
    // A poll changes nothing, so it may be asked again where a POST may not.
    this.#lost += 1;
    if (this.#lost > MOST_LOST_POLLS) this.#giveUp(`its result could not be asked for: ${error.message}`);
    else this.#wait();
  }

  #accept(status: number): void {
    this.#state = "accepted";
    this.#bytes = 0;
    if (this.#lost > MOST_LOST_POLLS)
      this.#giveUp(`it says ${status} each time that its result is asked for`);
  }

  #wait(): void {
    this.#state = "waiting";
    this.#current = undefined;
    const wasHeld = this.#lost === 0 && performance.now() - this.#askedAt >= HELD_MS;
    const pauseMs = wasHeld ? 0 : this.#pauseMs;
    this.#pauseMs = wasHeld ? FIRST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => this.#poll(), pauseMs);
  }

  #poll(): void {
    this.#state = "polling";
    this.#askedAt = performance.now();
    const headers = withoutBody(latin1(this.#asked.headers));
    this.#send({ path: `/v1/status/${this.#requestId}`, method: "GET", headers, body: null }, this);
  }

  #giveUp(why: string): void {
    const controller = this.#current;
    this.#state = "over";
    this.#client.onResponseError?.(this.#controller, new LostResultError(why));
    controller?.abort(new Error("the request is over"));
  }

  /** Of the request as a whole, whichever connection carries it now. */
  #controls(): Dispatcher.DispatchController {
    const current = () => this.#current;
    return {
      get aborted() {
        return current()?.aborted ?? false;
      },
      get paused() {
        return current()?.paused ?? false;
      },
      get reason() {
        return current()?.reason ?? null;
      },
      get rawHeaders() {
        return current()?.rawHeaders ?? null;
      },
      get rawTrailers() {
        return current()?.rawTrailers ?? null;
      },
      abort: (reason) => this.#abort(reason),
      pause: () => current()?.pause(),
      resume: () => current()?.resume(),
    };
  }

  #abort(reason: Error): void {
    if (this.#state === "over") return;
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#client.onResponseError?.(this.#controller, reason);
    this.#current?.abort(reason);
  }
}

const GONE: readonly number[] = [404, 410];
/**
 * The asking was too often, or met a gateway that could not pass it on: the work goes on, and is paid for. A
 * result with such a status comes with its nvcf-status.
 */
const OF_THE_ASKING: readonly number[] = [429, 502, 503, 504];

function headerIn(header: string, { rawHeaders }: Dispatcher.DispatchController): string | undefined {
  const raw = latin1(rawHeaders);
  const at = raw.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === header);
  return at === -1 ? undefined : raw[at + 1];
}

function requestIdOf(value: string | undefined): string | undefined {
  return value !== undefined && REQUEST_ID.test(value) ? value : undefined;
}

/** The daemon is ending: nothing more is asked for. */
function isEnd(error: Error): boolean {
  return "code" in error && error.code === "UND_ERR_DESTROYED";
}

function withoutBody(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    if (!/^content-/i.test(name)) kept.push(name, headers[at + 1] ?? "");
  }
  return kept;
}
