// What a provider with `dry_run: true` would have been told: said once an hour, for what would be done tries
// again by itself.

import { HOUR, type Instant } from "../metering/time.ts";

export interface DryRunParts {
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

  would(text: string): void {
    const now = this.#parts.now();
    for (const [told, at] of this.#told) if (now - at >= HOUR) this.#told.delete(told);
    if (this.#told.has(text)) return;
    this.#told.set(text, now);
    this.#parts.would(text);
  }
}
