// Ledger time (MONEY §7): `at = max(wall, high-water)`, so a spent period never re-opens, and a forward
// jump is believed only after it has stood for ten minutes or an operator accepts it.
//
//   steady ──wall > anchor + monotonic + 5 min──► doubting ──10 min stable, or accept()──► steady
//                                                    ├──believe()──► follow()──► steady
//                                                    └──wall comes back──► steady
//
// Invariant: now() never goes back, and between two calls it moves by what the monotonic clock says. Only
// follow() and accept() set it forward to the wall. follow() is called while nothing is metered; where that
// is not so for a minute after a jump is believed, all the same: whoever runs then ends with the last
// heartbeat (pulse.ts). So a clock that is set never changes what a request costs, and a period turns however
// busy the gateway is.

import {
  between,
  type Clock,
  type DurationUs,
  type Instant,
  later,
  latest,
  MINUTE,
} from "../metering/time.ts";

/** A wall clock that is far ahead. */
export interface Doubt {
  /** For how long it has stood there. */
  readonly stood: DurationUs;
  /** Until it is believed without an operator's word. */
  readonly left: DurationUs;
  /** It is believed, and adopted once nothing is metered, or in a minute. */
  readonly isAccepted: boolean;
}

const BELIEVED_STEP = (5 * MINUTE) as DurationUs;
const STABLE_FOR = (10 * MINUTE) as DurationUs;
/** For how long a jump that is believed waits until nothing is metered. */
const WAITS = MINUTE as DurationUs;

export class LedgerClock {
  readonly #clock: Clock;
  #anchor: Instant;
  #anchoredAt: DurationUs;
  #last: Instant;
  #doubted:
    | { readonly since: DurationUs; readonly ahead: DurationUs; readonly acceptedAt: DurationUs | undefined }
    | undefined;

  /** `highWater` is the latest instant that was ever written: time goes on from there. */
  constructor(clock: Clock, highWater: Instant) {
    this.#clock = clock;
    this.#anchor = latest(clock.wall(), highWater);
    this.#anchoredAt = clock.monotonic();
    this.#last = this.#anchor;
  }

  now(): Instant {
    const monotonic = this.#clock.monotonic();
    const expected = this.#expected();
    const ahead = between(expected, this.#clock.wall());
    if (ahead > BELIEVED_STEP) this.#doubt(ahead, monotonic);
    else this.#doubted = undefined;
    this.#last = latest(this.#last, expected);
    return this.#last;
  }

  wall(): Instant {
    return this.#clock.wall();
  }

  monotonic(): DurationUs {
    return this.#clock.monotonic();
  }

  /** True while the wall clock is far ahead and not yet believed. */
  get doubts(): boolean {
    return this.#doubted !== undefined;
  }

  /** Undefined while there is none. */
  get doubt(): Doubt | undefined {
    if (this.#doubted === undefined) return undefined;
    const stood = (this.#clock.monotonic() - this.#doubted.since) as DurationUs;
    return {
      stood,
      left: Math.max(0, STABLE_FOR - stood) as DurationUs,
      isAccepted: this.#doubted.acceptedAt !== undefined,
    };
  }

  /** A jump is believed and has waited for long enough: it is to be followed, whatever is metered. */
  get isOverdue(): boolean {
    this.now();
    if (this.#doubted === undefined) return false;
    const { since, acceptedAt = Number.POSITIVE_INFINITY } = this.#doubted;
    return this.#clock.monotonic() - Math.min(since + STABLE_FOR, acceptedAt) >= WAITS;
  }

  /**
   * Follows the wall clock forwards: small steps at once, a jump once it has stood for ten minutes. One that
   * was set back is waited for.
   */
  follow(): void {
    const wall = this.#clock.wall();
    if (wall < this.#expected()) {
      // It was set back: time stands still, beat by beat, until the wall has caught up.
      this.#reanchor(latest(this.#last, wall));
      return;
    }
    const now = this.now();
    const doubted = this.#doubted;
    const hasStood = doubted !== undefined && this.#clock.monotonic() - doubted.since >= STABLE_FOR;
    const isBelieved = doubted === undefined || doubted.acceptedAt !== undefined || hasStood;
    if (isBelieved && wall > now) this.#reanchor(wall);
  }

  /** Adopts the wall clock as it stands: an operator's word, while nothing is metered. */
  accept(): void {
    this.#reanchor(latest(this.now(), this.#clock.wall()));
  }

  /** The same word while something is metered: what is doubted now is adopted by the next follow(). */
  believe(): void {
    this.now();
    if (this.#doubted !== undefined && this.#doubted.acceptedAt === undefined)
      this.#doubted = { ...this.#doubted, acceptedAt: this.#clock.monotonic() };
  }

  #expected(): Instant {
    return later(this.#anchor, (this.#clock.monotonic() - this.#anchoredAt) as DurationUs);
  }

  /** A clock that jumps again has not stood: the ten minutes begin anew. */
  #doubt(ahead: DurationUs, monotonic: DurationUs): void {
    const moved = this.#doubted === undefined ? 0 : Math.abs(ahead - this.#doubted.ahead);
    if (this.#doubted !== undefined && moved <= BELIEVED_STEP) return;
    this.#doubted = { since: monotonic, ahead, acceptedAt: undefined };
  }

  #reanchor(to: Instant): void {
    this.#anchor = to;
    this.#anchoredAt = this.#clock.monotonic();
    this.#doubted = undefined;
  }
}
