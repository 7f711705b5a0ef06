// Whether the time since the last heartbeat was watched: not if the machine slept (the wall went on without
// the monotonic clock) or the beat came late (MONEY §2, "Suspend, death"). A wall that was set back proves no
// sleep.

import { between, type DurationUs, type Instant, SECOND } from "../metering/time.ts";
import type { LedgerClock } from "./clock.ts";

const MOST_APART = (2 * SECOND) as DurationUs;
/** A second between beats, and five late. */
const MOST_BETWEEN = (6 * SECOND) as DurationUs;

interface Beat {
  readonly at: Instant;
  readonly wall: Instant;
  readonly monotonic: DurationUs;
}

export class Pulse {
  readonly #clock: LedgerClock;
  #last: Beat;

  constructor(clock: LedgerClock) {
    this.#clock = clock;
    this.#last = beatOf(clock);
  }

  /** When it was last watched; undefined where it was all the time. */
  beat(): Instant | undefined {
    const last = this.#last;
    const now = beatOf(this.#clock);
    this.#last = now;
    const passed = now.monotonic - last.monotonic;
    const ahead = Math.max(between(last.wall, now.wall), between(last.at, now.at)) - passed;
    return ahead > MOST_APART || passed > MOST_BETWEEN ? last.at : undefined;
  }
}

function beatOf(clock: LedgerClock): Beat {
  return { at: clock.now(), wall: clock.wall(), monotonic: clock.monotonic() };
}
