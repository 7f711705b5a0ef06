// How long each container took from its provider's start until it served: the median of the last few, so that
// one start that had to fetch its image changes little. It reads no clock and knows no provider.

import type { DurationUs } from "./time.ts";

/** Starts that are remembered of each. */
const MOST_STARTS = 7;
/** Containers that are remembered; the one that started longest ago is forgotten first. */
const MOST_CONTAINERS = 1_000;

export interface LearnedStartUp {
  readonly median: DurationUs;
  readonly starts: number;
}

export class StartupTimes {
  /** By upstream, newest last. */
  readonly #taken = new Map<string, readonly DurationUs[]>();

  learn(upstream: string, elapsed: DurationUs): void {
    if (elapsed < 0) return;
    const all = [...(this.#taken.get(upstream) ?? []), elapsed].slice(-MOST_STARTS);
    this.#taken.delete(upstream);
    this.#taken.set(upstream, all);
    const [oldest] = this.#taken.keys();
    if (this.#taken.size > MOST_CONTAINERS && oldest !== undefined) this.#taken.delete(oldest);
  }

  /** Undefined where it was never seen to start. Of an even number the longer one of the middle. */
  of(upstream: string): LearnedStartUp | undefined {
    const all = this.#taken.get(upstream)?.toSorted((a, b) => a - b);
    const median = all?.[Math.floor(all.length / 2)];
    return all && median !== undefined ? { median, starts: all.length } : undefined;
  }
}
