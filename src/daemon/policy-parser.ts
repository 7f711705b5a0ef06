// The daemon's side of the parsing thread: one text at a time, and made anew after it broke.

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PolicyRead, Surroundings } from "./policy-text.ts";

export class PolicyParser {
  readonly #surroundings: Surroundings;
  #worker: Worker | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Starts the thread, so that the first change of the file need not wait for that. */
  warm(): void {
    this.#worker ??= this.#start();
  }

  /** Rejects only where the thread itself fails, which is a bug or the end of memory. */
  parse(text: string): Promise<PolicyRead> {
    const parsed = this.#turn.then(() => this.#ask(text));
    this.#turn = parsed.catch(() => undefined);
    return parsed;
  }

  /** After what it was given. Asked to end, not terminated: that can take the whole process along. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    const ended = once(worker, "exit");
    worker.ref();
    worker.postMessage(undefined);
    await ended;
  }

  async #ask(text: string): Promise<PolicyRead> {
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
