// The daemon's side of the thread that asks a cloud about a login: one thread a question. Whatever becomes of
// it, there is an answer.

import { Worker } from "node:worker_threads";
import type { ProbeAsk, Probed } from "./probe.ts";

/** Its own end comes first; this is for a thread that hangs. */
const GRACE_MS = 5_000;
const HEAP_MB = 256;

/** Never rejects. */
export function probe(ask: ProbeAsk): Promise<Probed> {
  const file = new URL(import.meta.url.replace(/probe-thread\.(ts|js)/, "probe-worker.$1"));
  const worker = new Worker(file, {
    workerData: ask,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  // The daemon does not wait for it to end.
  worker.unref();
  const { promise, resolve } = Promise.withResolvers<Probed>();
  const fail = (why: string) => resolve({ kind: "unknown", why });
  const timer = setTimeout(() => {
    fail("its thread hung");
    void worker.terminate();
  }, ask.timeoutMs + GRACE_MS);
  worker.once("message", (found: Probed) => resolve(found));
  // A client's message may hold what it was given.
  worker.once("error", () => fail("the thread that asked for it failed"));
  worker.once("exit", () => fail("the thread that asked for it ended"));
  return promise.finally(() => clearTimeout(timer));
}
