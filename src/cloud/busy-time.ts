// How much of its time something was in use, since it was last begun anew. It reads no clock.

import type { DurationUs } from "../metering/time.ts";

export class BusyTime {
  #from: DurationUs;
  #busy = 0;
  /** Since when it is in use; undefined while it is not. */
  #since: DurationUs | undefined;

  constructor(now: DurationUs) {
    this.#from = now;
  }

  begin(now: DurationUs): void {
    this.#since ??= now;
  }

  end(now: DurationUs): void {
    this.#busy += this.#since === undefined ? 0 : now - this.#since;
    this.#since = undefined;
  }

  /** What was before does not count; who uses it goes on. */
  restart(now: DurationUs): void {
    this.#from = now;
    this.#busy = 0;
    if (this.#since !== undefined) this.#since = now;
  }

  /** [0, 1]; undefined where no time has passed. */
  share(now: DurationUs): number | undefined {
    const all = now - this.#from;
    if (all <= 0) return undefined;
    return (this.#busy + (this.#since === undefined ? 0 : now - this.#since)) / all;
  }
}
