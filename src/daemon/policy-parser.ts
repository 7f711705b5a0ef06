// The daemon's side of the parsing thread: one text at a time. It takes 25 MB of memory, so it lives only
// while somebody edits the policy, and is made anew when it is needed again, or broke.
//
//   none ──parse──► working ◄──parse── idle ──KEPT_MS──► none
//                      └──answered──►──┘

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PolicyRead, Surroundings } from "./policy-text.ts";

/** Who saves a policy soon saves it again. */
const KEPT_MS = 30_000;

export class PolicyParser {
  readonly #surroundings: Surroundings;
  readonly #keptMs: number;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(surroundings: Surroundings, keptMs: number = KEPT_MS) {
    this.#surroundings = surroundings;
    this.#keptMs = keptMs;
  }

  /** Whether the thread is there. */
  get isWarm(): boolean {
    return this.#worker !== undefined;
  }

  /** Rejects only where the thread itself fails, which is a bug or the end of memory. */
  parse(text: string): Promise<PolicyRead> {
    const parsed = this.#turn.then(() => this.#ask(text));
    this.#turn = parsed.catch(() => undefined);
    return parsed;
  }

  /** After what it was given. Asked to end, not terminated: that can take the whole process along. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.ref();
    worker.postMessage(undefined);
    await ended;
  }

  async #ask(text: string): Promise<PolicyRead> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const waiting = new AbortController();
    const { signal } = waiting;
    const answer = once(worker, "message", { signal });
    const ended = once(worker, "exit", { signal }).then(() => {
      throw new Error("the thread that parses policies ended");
    });
    worker.postMessage(text);
    try {
      const [read] = (await Promise.race([answer, ended])) as [PolicyRead];
      return frozen(read);
    } finally {
      waiting.abort();
      for (const one of [answer, ended]) one.catch(() => undefined);
      this.#idle = setTimeout(() => void this.close(), this.#keptMs).unref();
    }
  }

  #start(): Worker {
    const file = new URL(import.meta.url.replace(/policy-parser\.(ts|js)/, "policy-worker.$1"));
    const worker = new Worker(file, { workerData: this.#surroundings });
    worker.unref();
    worker.once("exit", () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    // Whoever asked is told by #ask; without a listener it would end the process.
    worker.on("error", () => undefined);
    return worker;
  }
}

/** A copy from another thread is not frozen any more. */
function frozen(read: PolicyRead): PolicyRead {
  if (read.kind === "policy") Object.freeze(read.read.policy);
  return read;
}
