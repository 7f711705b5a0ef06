// The daemon's side of the thread that speaks to clouds: an adapter or a host of a cloud is one that asks
// there. Whatever becomes of the thread, each question has an answer, and a thread that died or hangs is
// another one at the next question. It is started by the first: a policy without clouds has none.

import { Worker } from "node:worker_threads";
import type { Cloud } from "../policy/settings.ts";
import { type Adapter, type Host, type HostSighting, type Sighting, Trouble } from "./adapter.ts";
import type { CloudAccess } from "./cloud-access.ts";
import { type CloudMethod, type CloudTarget, cloudOf, type FromCloud, type ToCloud } from "./cloud-call.ts";

/** A look is several requests, each with its retries. */
const LOOK_MS = 30_000;
/** To have it taken, not to have it done. */
const ORDER_MS = 60_000;
/** Its own time-out comes first; this is for a thread that hangs. */
const GRACE_MS = 10_000;
/** Of its heap: the largest SDK takes a quarter of it. */
const HEAP_MB = 256;
const MOST_PRINTED = 500;

export interface CloudThreadParts {
  /** As the policy and the secrets are now; throws Trouble where there is no login. */
  accessTo(cloud: Cloud): CloudAccess;
  callsPerMinute(cloud: Cloud): number;
  /** Whether no order may leave: whoever gives one should not have asked. */
  isDryRun(cloud: Cloud): boolean;
  /** What an SDK prints, one line each time. */
  printed?(line: string): void;
  /** Instead of those above. */
  readonly limits?: { readonly lookMs: number; readonly orderMs: number; readonly graceMs: number };
}

interface Pending {
  done(value: Sighting | HostSighting | undefined): void;
  fail(error: unknown): void;
}

export class CloudThread {
  readonly #parts: CloudThreadParts;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #asked = 0;
  #isClosed = false;

  constructor(parts: CloudThreadParts) {
    this.#parts = parts;
  }

  adapterFor(target: Extract<CloudTarget, { kind: "ecs" | "aks" | "gke" }>): Adapter {
    return {
      observe: async (signal) => (await this.#ask(target, "observe", signal)) as Sighting,
      start: async (signal) => void (await this.#ask(target, "start", signal)),
      stop: async (signal) => void (await this.#ask(target, "stop", signal)),
    };
  }

  hostFor(target: Extract<CloudTarget, { kind: "asg" | "aks_pool" | "gke_pool" }>): Host {
    return {
      observe: async (signal) => (await this.#ask(target, "observe", signal)) as HostSighting,
      raise: async (signal) => void (await this.#ask(target, "raise", signal)),
      lower: async (signal) => void (await this.#ask(target, "lower", signal)),
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end("the gateway stops");
  }

  async #ask(target: CloudTarget, method: CloudMethod, signal: AbortSignal) {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Trouble("unreachable", "the gateway stops");
    const { accessTo, callsPerMinute, isDryRun, limits } = this.#parts;
    const { lookMs, orderMs, graceMs } = limits ?? { lookMs: LOOK_MS, orderMs: ORDER_MS, graceMs: GRACE_MS };
    const cloud = cloudOf(target);
    if (method !== "observe" && isDryRun(cloud))
      throw new Trouble("denied", `providers.${cloud}.dry_run: nothing was changed`);
    const forMs = method === "observe" ? lookMs : orderMs;
    this.#asked += 1;
    const id = this.#asked;
    const about = { access: accessTo(cloud), callsPerMinute: callsPerMinute(cloud), forMs };
    const { promise, resolve, reject } = Promise.withResolvers<Sighting | HostSighting | undefined>();
    this.#pending.set(id, { done: resolve, fail: reject });
    this.#send({ kind: "call", id, target, method, ...about });
    const timer = setTimeout(() => void this.#end("it hung, and was ended"), forMs + graceMs);
    const abort = () => {
      this.#send({ kind: "abort", id });
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      this.#pending.delete(id);
    });
  }

  #send(message: ToCloud): void {
    if (message.kind === "abort") this.#worker?.postMessage(message);
    else this.#running().postMessage(message);
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const file = new URL(import.meta.url.replace(/cloud-thread\.(ts|js)/, "cloud-worker.$1"));
    const resourceLimits = { maxOldGenerationSizeMb: HEAP_MB };
    const worker = new Worker(file, { resourceLimits, stderr: true });
    worker.stderr.on("data", (chunk) => this.#parts.printed?.(lineOf(chunk)));
    worker.on("message", (message: FromCloud) => this.#take(message));
    const died = (why: string) => {
      if (this.#worker === worker) void this.#end(why);
    };
    worker.once("error", (error) => died(error instanceof Error ? error.message : String(error)));
    worker.once("exit", () => died("it ended"));
    this.#worker = worker;
    return worker;
  }

  #take(message: FromCloud): void {
    const pending = this.#pending.get(message.id);
    switch (message.kind) {
      case "done":
        pending?.done(message.value);
        break;
      case "trouble":
        pending?.fail(new Trouble(message.trouble, message.text));
        break;
      case "bug":
        pending?.fail(new Error(`in the thread of clouds: ${message.text}`));
    }
  }

  async #end(why: string): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    const text = `the thread that speaks to clouds gave no answer: ${why}`;
    for (const { fail } of this.#pending.values()) fail(new Trouble("unreachable", text));
    this.#pending.clear();
    await worker?.terminate();
  }
}

function lineOf(chunk: unknown): string {
  return String(chunk).trim().replace(/\s+/g, " ").slice(0, MOST_PRINTED);
}
