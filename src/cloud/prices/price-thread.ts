// The daemon's side of the thread that fetches prices: one thread a fetch. Whatever becomes of it, there is
// an answer, and it takes no longer than it may.

import { Worker } from "node:worker_threads";
import type { Fetched, PriceAsk } from "./price-source.ts";

/** Its own end comes first; this is for a thread that hangs. */
const GRACE_MS = 30_000;
/** Of its heap: the largest page, parsed, takes a third of it. */
const HEAP_MB = 512;

/** Never rejects. `stopping`: the end of the daemon. */
export function fetchPrices(ask: PriceAsk, stopping: AbortSignal): Promise<Fetched> {
  const file = new URL(import.meta.url.replace(/price-thread\.(ts|js)/, "price-worker.$1"));
  const worker = new Worker(file, {
    workerData: ask,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const { promise, resolve } = Promise.withResolvers<Fetched>();
  const fail = (why: string) => resolve({ kind: "trouble", why });
  const give = (why: string) => {
    fail(why);
    void worker.terminate();
  };
  const stop = () => give("the gateway stops");
  const timer = setTimeout(() => give("its thread hung"), ask.timeoutMs + GRACE_MS);
  worker.once("message", (fetched: Fetched) => resolve(fetched));
  worker.once("error", (error) =>
    fail(`its thread failed: ${error instanceof Error ? error.message : error}`),
  );
  worker.once("exit", () => fail("its thread ended"));
  stopping.addEventListener("abort", stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    stopping.removeEventListener("abort", stop);
  });
}
