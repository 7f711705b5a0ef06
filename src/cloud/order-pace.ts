// Lets orders to one machine group leave one after the other and not too often: a few at once, then
// one a minute. An order that has to wait is not lost, and whoever gave it need not wait with it.

import { type DurationUs, type Instant, MINUTE } from "../metering/time.ts";
import { Trouble, type TroubleKind } from "./adapter.ts";

/** AKS takes 20 before it asks for patience; others than this gateway give orders, too. */
const AT_ONCE = 4;
const NOT_LET_IN: ReadonlySet<TroubleKind> = new Set(["unauthenticated", "denied", "unreachable"]);

export interface PaceParts {
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
  bug(error: unknown): void;
}

export class OrderPace {
  readonly #parts: PaceParts;
  #left = AT_ONCE;
  #refilledAt: Instant | undefined;
  #last: Promise<void> = Promise.resolve();
  #forget: () => void = () => undefined;
  #later: (() => Promise<void>) | undefined;

  constructor(parts: PaceParts) {
    this.#parts = parts;
  }

  end(): void {
    this.#later = undefined;
    this.#forget();
  }

  /** Resolves once it was sent, or is sure to be sent later; only the last of those that wait leaves. */
  async send(call: () => Promise<void>): Promise<void> {
    this.#refill();
    if (this.#left < 1) {
      const isPlanned = this.#later !== undefined;
      this.#later = call;
      if (!isPlanned) this.#plan();
      return;
    }
    this.#left -= 1;
    const sent = this.#last.then(call);
    this.#last = sent.catch(() => undefined);
    try {
      await sent;
    } catch (error) {
      // Who was not let in did not use up anybody's patience.
      if (error instanceof Trouble && NOT_LET_IN.has(error.kind)) this.#left += 1;
      throw error;
    }
  }

  #refill(): void {
    const now = this.#parts.now();
    const minutes = Math.floor((now - (this.#refilledAt ?? now)) / MINUTE);
    this.#left = Math.min(AT_ONCE, this.#left + minutes);
    const isFull = this.#left === AT_ONCE || this.#refilledAt === undefined;
    this.#refilledAt = isFull ? now : (((this.#refilledAt ?? now) + minutes * MINUTE) as Instant);
  }

  #plan(): void {
    this.#forget = this.#parts.after(MINUTE, () => {
      const call = this.#later;
      this.#later = undefined;
      // What it could not do is seen at the next look, and said there.
      if (call !== undefined) this.send(call).catch(() => undefined);
    });
  }
}
