// What a provider with `dry_run: true` would have been told: said once an hour, for what would be done tries
// again by itself.

import { HOUR, type Instant } from "../metering/time.ts";
import type { Upstream } from "../policy/policy.ts";

export interface DryRunParts {
  /** The key of the policy that forbids orders to its provider; undefined: none does. */
  dryRun(upstream: Upstream): string | undefined;
  /** What would have been done, while nothing may be. */
  would(text: string): void;
  now(): Instant;
}

export class DryRun {
  readonly #parts: DryRunParts;
  /** When each was told. */
  readonly #told = new Map<string, Instant>();

  constructor(parts: DryRunParts) {
    this.#parts = parts;
  }

  /** The key that forbids it, once that was said; undefined: none does. */
  forbids(upstream: Upstream, would: string): string | undefined {
    const key = this.#parts.dryRun(upstream);
    if (key !== undefined) this.#say(`${key}: ${would}; nothing was changed`);
    return key;
  }

  #say(text: string): void {
    const now = this.#parts.now();
    for (const [told, at] of this.#told) if (now - at >= HOUR) this.#told.delete(told);
    if (this.#told.has(text)) return;
    this.#told.set(text, now);
    this.#parts.would(text);
  }
}
