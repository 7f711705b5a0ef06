// What the data plane tells the time by, and waits with: real timers in the daemon, virtual ones in the
// simulation.

import type { DurationUs, Instant } from "../metering/time.ts";

export interface Timers {
  now(): Instant;
  /** Calls back after that long; the returned call forgets it. */
  after(delay: DurationUs, call: () => void): () => void;
}
