// Time that only moves when the simulation moves it: a queue of events, one after another, with every
// promise that an event wakes run to its end before the next one.

import { setImmediate as turn } from "node:timers/promises";
import { type Clock, type DurationUs, type Instant, instantUs, later } from "../../src/metering/time.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

export class World implements Clock {
  readonly #start: Instant;
  readonly #events: Event[] = [];
  #now = 0;
  /** How far somebody has set the wall clock. */
  #skew = 0;
  #order = 0;
  /** Whoever starts after a power cut is let come to its first rest. */
  #isNew = false;

  constructor(start: Instant) {
    this.#start = start;
  }

  wall(): Instant {
    return later(this.#start, (this.#now + this.#skew) as DurationUs);
  }

  /** Sets the wall clock forward or back. */
  stepWall(by: number): void {
    this.#skew += by;
  }

  /** The process does not run for a while: what falls due meanwhile happens late. */
  stall(by: number): void {
    this.#now += by;
  }

  monotonic(): DurationUs {
    return this.#now as DurationUs;
  }

  now(): Instant {
    return instantUs(later(this.#start, this.#now as DurationUs));
  }

  after(delay: DurationUs, call: () => void): () => void {
    const event = { at: this.#now + Math.max(0, delay), order: this.#order, call };
    this.#order += 1;
    const place = this.#events.findIndex((other) => other.at > event.at);
    this.#events.splice(place < 0 ? this.#events.length : place, 0, event);
    return () => {
      const index = this.#events.indexOf(event);
      if (index >= 0) this.#events.splice(index, 1);
    };
  }

  /** Runs event by event until none is left or `until` says stop; `check` looks after each. */
  async run(check: () => void, until: () => boolean): Promise<void> {
    await turn();
    check();
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      this.#now = Math.max(this.#now, event.at);
      event.call();
      await turn();
      check();
      if (until()) return;
      if (this.#isNew) await turn();
      this.#isNew = false;
    }
  }

  /** Power is cut: nothing that was planned happens. */
  clear(): void {
    this.#events.length = 0;
    this.#isNew = true;
  }
}
