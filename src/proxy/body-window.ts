// The body of one request: its first 64 KiB are looked at, then it is relayed whole, never held whole.
// It knows nothing of upstreams; whoever takes its source pulls, and the client is read only as fast as that.
//
//   reading ──► open ──► streaming ──► done       a body that is all in the window is done at once: it needs
//                 │          │                    no stream, and may be sent again
//                 └──────────┴──► discarding
//
// Invariant: no byte is given to a source twice; after the first one is given, the body cannot be sent again.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { type BodyFacts, isPlain, readFacts } from "./body-facts.ts";
import { ImageCount } from "./image-count.ts";
import { Upload } from "./upload.ts";

/** Bytes of a body that are looked at. */
export const WINDOW_BYTES = 64 * 1024;

export interface BodyLimits {
  /** Bytes of one body. */
  readonly bytes: number;
  /** How long a client may send nothing while its body is wanted. */
  readonly stallMs: number;
  /** How long the rest of a body is still read and thrown away once the reply is out. */
  readonly drainMs: number;
}

/** 30 s without a byte is a client that has gone; 5 s lets it end what it was sending. */
export const BODY_TIMES: Omit<BodyLimits, "bytes"> = { stallMs: 30_000, drainMs: 5_000 };

export type BodyFault = "too_large" | "stalled" | "gone";

/** Why a body ended before its end. */
export class BodyFaultError extends Error {
  readonly fault: BodyFault;

  constructor(fault: BodyFault) {
    super(FAULTS[fault]);
    this.fault = fault;
  }
}

export type OpenedBody =
  | { readonly kind: "open"; readonly body: BodyWindow }
  | { readonly kind: "fault"; readonly fault: BodyFault };

/** Reads the window. After a reply the rest of the body is read and thrown away: the connection lives on. */
export function openBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
): Promise<OpenedBody> {
  const body = new BodyWindow(request, response, limits);
  return body.opened;
}

const FAULTS: Record<BodyFault, string> = {
  too_large: "the request body is larger than allowed",
  stalled: "the client stopped sending the request body",
  gone: "the client went away while sending the request body",
};

export class BodyWindow {
  /** Resolves once the window is full or the body has ended. */
  readonly opened: Promise<OpenedBody>;
  /** Bytes of the body where the client announced them. */
  readonly announced: number | undefined;
  readonly #request: IncomingMessage;
  readonly #limits: BodyLimits;
  #state: "reading" | "open" | "streaming" | "discarding" | "done" = "reading";
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isWhole = false;
  #facts: BodyFacts | undefined;
  #upload: Upload | undefined;
  /** Of a body that is longer than the window. */
  #images: ImageCount | undefined;
  /** The name that the stream says. */
  #model: string | undefined;
  #stall: NodeJS.Timeout | undefined;
  #replied = false;
  #settleOpened: (opened: OpenedBody) => void = () => {};

  constructor(request: IncomingMessage, response: ServerResponse, limits: BodyLimits) {
    const { promise, resolve } = Promise.withResolvers<OpenedBody>();
    this.opened = promise;
    this.#settleOpened = resolve;
    this.#request = request;
    this.#limits = limits;
    const length = request.headers["content-length"];
    this.announced = length === undefined ? undefined : Number(length);
    if (request.headers["transfer-encoding"] === undefined && (this.announced ?? 0) === 0) {
      this.#isWhole = true;
      this.#state = "done";
      resolve({ kind: "open", body: this });
      return;
    }
    request.on("data", (chunk: Buffer) => this.#take(chunk));
    request.once("end", () => this.#end());
    // Without a listener an aborted upload would be an uncaught error; "close" follows and tells.
    request.on("error", () => {});
    request.once("close", () => this.#close());
    response.once("finish", () => this.#drain());
    this.#watch();
  }

  /** Whether `head` is all of the body; such a body may be sent more than once. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Whether a source can still be had: true until the first byte of a longer body has been given away. */
  get canSend(): boolean {
    return this.#isWhole || this.#state === "open";
  }

  /** Whether an upstream wants more of it than the client has sent. */
  get awaitsClient(): boolean {
    return this.#state === "streaming" && this.#stall !== undefined;
  }

  /** Bytes of the whole body, where they are known before it has been sent. */
  get length(): number | undefined {
    return this.#isWhole ? this.#bytes : this.announced;
  }

  get facts(): BodyFacts {
    const { headers } = this.#request;
    this.#facts ??= readFacts({
      bytes: this.#head().subarray(0, WINDOW_BYTES),
      isWhole: this.#isWhole,
      contentType: headers["content-type"],
      contentEncoding: headers["content-encoding"],
    });
    return this.#facts;
  }

  /** What it asks for by all that was sent on; undefined where that is no more than the window says. */
  get laterImages(): number | undefined {
    const images = this.#images?.images ?? 0;
    return this.facts.kind === "facts" && images > this.facts.work.images ? images : undefined;
  }

  /**
   * What to send: nothing, all of it, or a stream of it. A stream that was destroyed before it was read
   * from can be replaced by asking again. `model` replaces the JSON model name, where one was found.
   */
  source(model?: string): Buffer | Readable | null {
    if (this.#isWhole) return this.#bytes === 0 ? null : this.#named(model);
    if (this.#state !== "open") throw new Error("a body can be streamed only once");
    this.#upload = new Upload(this, WINDOW_BYTES);
    this.#model = model;
    return this.#upload;
  }

  /** What a stream that says `model` will be long; undefined for a client that did not announce its body. */
  announcedAs(model: string | undefined): number | undefined {
    if (this.announced === undefined) return undefined;
    return this.announced + this.#named(model).length - this.#head().length;
  }

  /** For the source alone: gives what was kept, then lets the client send on. */
  pull(upload: Upload): void {
    if (upload !== this.#upload) return;
    if (this.#state === "open") {
      this.#state = "streaming";
      const { headers } = this.#request;
      if (isPlain(headers["content-encoding"])) this.#images = new ImageCount(headers["content-type"]);
      this.#images?.push(this.#head());
      const wantsMore = upload.push(this.#named(this.#model));
      this.#chunks = [];
      // An end that came before the first pull is passed on here, since nobody listened then.
      if (this.#request.readableEnded) this.#finish();
      if (!wantsMore) return;
    }
    if (this.#state !== "streaming") return;
    this.#watch();
    this.#request.resume();
  }

  /** For the source alone: it was destroyed. What it left unread is thrown away, if it read anything. */
  dropped(upload: Upload): void {
    if (upload === this.#upload && this.#state === "streaming") this.#discard();
  }

  #head(): Buffer {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only !== undefined) return only;
    const head = Buffer.concat(this.#chunks);
    this.#chunks = [head];
    return head;
  }

  #named(model: string | undefined): Buffer {
    const head = this.#head();
    if (model === undefined || this.facts.kind !== "facts" || this.facts.model === undefined) return head;
    const { start, end } = this.facts.model;
    return Buffer.concat([head.subarray(0, start), Buffer.from(JSON.stringify(model)), head.subarray(end)]);
  }

  #take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.bytes) {
      this.#fail("too_large");
      return;
    }
    this.#stall?.refresh();
    if (this.#state === "reading") {
      this.#chunks.push(chunk);
      // A body that fits exactly is whole, though its end has not been seen yet.
      if (this.#bytes === this.announced && this.#bytes <= WINDOW_BYTES) this.#end();
      else if (this.#bytes >= WINDOW_BYTES) this.#open();
    } else if (this.#state === "streaming") {
      this.#images?.push(chunk);
      if (this.#upload?.push(chunk) === false) this.#pause();
    } else if (this.#state === "open") {
      // A chunk that was under way when the request was paused.
      this.#chunks.push(chunk);
    }
  }

  #open(): void {
    this.#state = "open";
    this.#pause();
    this.#settleOpened({ kind: "open", body: this });
  }

  #end(): void {
    if (this.#state === "reading") {
      this.#isWhole = true;
      this.#finish();
      this.#settleOpened({ kind: "open", body: this });
    } else if (this.#state !== "open") this.#finish();
  }

  #finish(): void {
    const wasStreaming = this.#state === "streaming";
    this.#state = "done";
    clearTimeout(this.#stall);
    if (wasStreaming) this.#upload?.push(null);
  }

  #close(): void {
    clearTimeout(this.#stall);
    if (!this.#request.complete) this.#fail("gone");
  }

  #fail(fault: BodyFault): void {
    if (this.#state === "done" || this.#state === "discarding") {
      this.#giveUp(fault);
      return;
    }
    const upload = this.#upload;
    this.#discard();
    this.#settleOpened({ kind: "fault", fault });
    upload?.destroy(new BodyFaultError(fault));
    if (fault === "too_large") this.#request.pause();
  }

  /** Nobody wants the rest: a client that sends beyond the limit has had its reply, or will not read it. */
  #giveUp(fault: BodyFault): void {
    if (fault === "too_large" && this.#replied) this.#request.socket.destroy();
    else if (fault === "too_large") this.#request.pause();
  }

  #discard(): void {
    if (this.#state === "done" || this.#state === "discarding") return;
    this.#state = "discarding";
    this.#chunks = [];
    clearTimeout(this.#stall);
    this.#request.resume();
  }

  #drain(): void {
    this.#replied = true;
    if (this.#request.complete && this.#request.readableEnded) return;
    this.#discard();
    const { socket } = this.#request;
    if (this.#bytes > this.#limits.bytes) this.#bytes = 0;
    this.#request.resume();
    const timer = setTimeout(() => socket.destroy(), this.#limits.drainMs);
    timer.unref();
    this.#request.once("close", () => clearTimeout(timer));
    this.#request.once("end", () => clearTimeout(timer));
  }

  #pause(): void {
    this.#request.pause();
    clearTimeout(this.#stall);
    this.#stall = undefined;
  }

  #watch(): void {
    if (this.#stall !== undefined) return;
    this.#stall = setTimeout(() => this.#fail("stalled"), this.#limits.stallMs);
    this.#stall.unref();
  }
}
