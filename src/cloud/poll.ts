// Looks at one thing again and again: seldom while it is still, often while it changes, less and less often
// while nobody answers. What it sees, whoever makes it takes.
//
// Invariant: one look at a time; a look that was asked for during another one comes after it.

import { type DurationUs, MINUTE, SECOND } from "../metering/time.ts";
import { Trouble } from "./adapter.ts";

export interface PollParts<Seen> {
  observe(signal: AbortSignal): Promise<Seen>;
  take(seen: Seen): void | Promise<void>;
  miss(trouble: Trouble): void;
  /** It changes by itself soon. */
  isMoving(): boolean;
  /** A mistake of ours: looked at again all the same. */
  bug(error: unknown): void;
  after(delay: DurationUs, call: () => void): () => void;
  /** [0, 1) */
  random(): number;
}

const SELDOM = MINUTE;
const OFTEN = (2 * SECOND) as DurationUs;
/** After trouble: twice as long each time, up to SELDOM. */
const FIRST_PAUSE = (5 * SECOND) as DurationUs;
const JITTER = 0.2;

export class Poll<Seen> {
  readonly #parts: PollParts<Seen>;
  readonly #ended = new AbortController();
  #troubles = 0;
  #looking: Promise<void> | undefined;
  #again = false;
  #isStirred = false;
  #forget: () => void = () => undefined;

  constructor(parts: PollParts<Seen>) {
    this.#parts = parts;
  }

  /** Aborted once nobody looks any more. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  end(): void {
    this.#ended.abort(new Error("nobody watches it any more"));
    this.#forget();
  }

  /** An event may come before what it tells of is to be seen: it is looked at now, and soon once more. */
  stir(): void {
    this.#isStirred = true;
    void this.look();
  }

  /** Resolves once it was looked at: also where somebody was looking already, who may have come too early. */
  look(): Promise<void> {
    this.#forget();
    if (this.#looking !== undefined) {
      this.#again = true;
      return this.#looking;
    }
    this.#looking = this.#lookUntilStill().finally(() => {
      this.#looking = undefined;
      this.#plan();
    });
    return this.#looking;
  }

  /** Somebody would like to know: it is looked at now, unless somebody looks already, or nobody answered. */
  glance(): void {
    if (this.#looking === undefined && this.#troubles === 0) void this.look();
  }

  troubleOf(error: unknown): Trouble {
    if (error instanceof Trouble) return error;
    this.#parts.bug(error);
    return new Trouble("unreachable", "the gateway made a mistake in asking for it: see the log", error);
  }

  async #lookUntilStill(): Promise<void> {
    do {
      this.#again = false;
      try {
        const seen = await this.#parts.observe(this.#ended.signal);
        if (this.#ended.signal.aborted) return;
        this.#troubles = 0;
        await this.#parts.take(seen);
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        this.#troubles += 1;
        this.#parts.miss(this.troubleOf(error));
      }
    } while (this.#again && !this.#ended.signal.aborted);
  }

  #plan(): void {
    if (this.#ended.signal.aborted) return;
    const pause = this.#troubles > 0 ? Math.min(SELDOM, FIRST_PAUSE * 2 ** (this.#troubles - 1)) : SELDOM;
    const isSoon = this.#parts.isMoving() || this.#isStirred;
    this.#isStirred = false;
    const delay = isSoon ? Math.max(OFTEN, this.#troubles && pause) : pause;
    const jitter = 1 + JITTER * (2 * this.#parts.random() - 1);
    this.#forget = this.#parts.after((delay * jitter) as DurationUs, () => void this.look());
  }
}
