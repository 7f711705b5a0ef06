// Keeps to a `rate_limit`: how many calls left in the last while, and when the next one may. It reads no
// clock; whoever asks says what time it is, on one that never steps.
//
// The window is counted in slices, so that it is as big for 40 calls as for a million. A slice that has begun
// to leave the window counts until it has left it: never more than `calls` in any `per`, wherever it
// begins, and the next call at most one slice late.

import type { DurationUs } from "../metering/time.ts";
import type { CallRate } from "../policy/container.ts";

/** Of one window. */
const SLICES = 60;

export class CallWindow {
  readonly #per: DurationUs;
  readonly #counts = new Map<number, number>();
  #sum = 0;

  constructor(per: DurationUs) {
    this.#per = per;
  }

  get per(): DurationUs {
    return this.#per;
  }

  /** How long until a call is free; 0 where one is. */
  waitFor({ calls }: CallRate, now: DurationUs): DurationUs {
    this.#forget(now);
    let over = this.#sum - calls;
    if (over < 0) return 0 as DurationUs;
    for (const [slice, count] of this.#counts) {
      over -= count;
      if (over < 0) return Math.ceil(this.#leavesAt(slice) - now) as DurationUs;
    }
    throw new Error("a call window without calls is full");
  }

  /** The slice it counts in, for `giveBack`. */
  take(now: DurationUs): number {
    this.#forget(now);
    const slice = Math.floor(now / this.#slice);
    this.#counts.set(slice, (this.#counts.get(slice) ?? 0) + 1);
    this.#sum += 1;
    return slice;
  }

  /** A call that never left. */
  giveBack(slice: number): void {
    const count = this.#counts.get(slice);
    if (count === undefined) return;
    this.#sum -= 1;
    if (count === 1) this.#counts.delete(slice);
    else this.#counts.set(slice, count - 1);
  }

  /** No call counts any more. */
  isQuiet(now: DurationUs): boolean {
    this.#forget(now);
    return this.#sum === 0;
  }

  get #slice(): number {
    return this.#per / SLICES;
  }

  /** Its last call is then a whole window old. */
  #leavesAt(slice: number): number {
    return (slice + 1) * this.#slice + this.#per;
  }

  /** Time never goes back, so the oldest slice is the first one. */
  #forget(now: DurationUs): void {
    for (const [slice, count] of this.#counts) {
      if (this.#leavesAt(slice) > now) return;
      this.#counts.delete(slice);
      this.#sum -= count;
    }
  }
}
