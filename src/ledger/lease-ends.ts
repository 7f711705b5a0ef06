// When leases of containers have ended, by what their provider calls them: a container that is said to have
// started before the end of its last lease is charged from that end on.
//
// Invariant: no time of one container is charged twice, whatever is said of its start.

import type { Instant } from "../metering/time.ts";

/** That are remembered: a provider that says again what ended long ago is not to be expected. */
const MOST_OVER = 10_000;

export class LeaseEnds {
  /** Oldest first. */
  readonly #ends = new Map<string, Instant>();

  add(id: string, end: Instant): void {
    this.#ends.delete(id);
    this.#ends.set(id, end);
    const [oldest = ""] = this.#ends.keys();
    if (this.#ends.size > MOST_OVER) this.#ends.delete(oldest);
  }

  of(id: string): Instant | undefined {
    return this.#ends.get(id);
  }
}
