// Simulated time: how long a real NIM would take, shrunk to what a demo or a test can wait for.

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

export interface Pace {
  /** Waits until `seconds` of simulated time have passed since the pace began. Rejects when aborted. */
  until(seconds: number): Promise<void>;
}

/** Timers cannot do less. Shorter waits are skipped and add up: the next one counts from the start. */
const SHORTEST_WAIT_MS = 1;
/** What a timer can hold; a longer wait would fire at once. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/** `scale` is real seconds per simulated second; 0 makes every wait nothing. */
export function startPace(scale: number, signal: AbortSignal): Pace {
  const start = performance.now();
  return {
    async until(seconds) {
      signal.throwIfAborted();
      const left = start + seconds * scale * 1000 - performance.now();
      if (left < SHORTEST_WAIT_MS) return;
      await sleep(Math.min(Math.ceil(left), LONGEST_WAIT_MS), undefined, { signal });
    },
  };
}
