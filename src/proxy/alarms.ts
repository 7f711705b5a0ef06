// Looks again in time at upstreams that become free without anybody saying so: a call of a rate comes back,
// an ejection ends. One alarm an upstream, the earliest that was asked for.

import { type DurationUs, type Instant, later } from "../metering/time.ts";
import { type Hindrance, lastsFor } from "../policy/hindrance.ts";
import type { Timers } from "./timers.ts";

/** A timer may be early by a fraction; it is not asked again in every tick. */
export const SOONEST = 5_000 as DurationUs;

export class Alarms {
  readonly #timers: Timers;
  readonly #ring: (upstream: string) => void;
  readonly #planned = new Map<string, { readonly at: Instant; forget(): void }>();

  constructor(timers: Timers, ring: (upstream: string) => void) {
    this.#timers = timers;
    this.#ring = ring;
  }

  set(id: string, hindrance: Hindrance): void {
    const lasts = lastsFor(hindrance);
    if (lasts === undefined) return;
    const delay = Math.max(lasts, SOONEST) as DurationUs;
    const at = later(this.#timers.now(), delay);
    const planned = this.#planned.get(id);
    if (planned !== undefined && planned.at <= at) return;
    planned?.forget();
    const forget = this.#timers.after(delay, () => {
      this.#planned.delete(id);
      this.#ring(id);
    });
    this.#planned.set(id, { at, forget });
  }
}
