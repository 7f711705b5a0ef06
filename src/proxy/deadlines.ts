// How long a relay may take, by phase and as a whole: one timer a request, moved only when it fires, because
// it is touched with every chunk. It knows no sockets; whoever starts it acts on what expired.
//
//   connect ──► first_byte ──► idle ◄──► client         total runs from first_byte on

import { performance } from "node:perf_hooks";
import { milliseconds } from "../metering/time.ts";
import type { Timeouts } from "../policy/policy.ts";

/** `client`: the client takes no more bytes, while the upstream has some. */
export type Phase = "connect" | "first_byte" | "idle" | "client";
export type Expired = Phase | "total";

export class Deadlines {
  readonly #limits: Record<Expired, number>;
  readonly #expire: (what: Expired, afterMs: number) => void;
  readonly #isExcused: (phase: Phase) => boolean;
  #timer: NodeJS.Timeout | undefined;
  #firesAt = Number.POSITIVE_INFINITY;
  #phase: Phase = "connect";
  #since = performance.now();
  #sentAt: number | undefined;

  /** `isExcused` is asked when a phase has run out: true begins it anew, which `total` never does. */
  constructor(
    timeouts: Timeouts,
    expire: (what: Expired, afterMs: number) => void,
    isExcused: (phase: Phase) => boolean = () => false,
  ) {
    this.#expire = expire;
    this.#isExcused = isExcused;
    const idle = milliseconds(timeouts.idle);
    this.#limits = {
      connect: milliseconds(timeouts.connect),
      first_byte: milliseconds(timeouts.firstByte),
      idle,
      client: idle,
      total: milliseconds(timeouts.total),
    };
    this.#arm();
  }

  enter(phase: Phase): void {
    this.#phase = phase;
    this.#since = performance.now();
    if (phase === "first_byte") this.#sentAt ??= this.#since;
    if (this.#next() < this.#firesAt) this.#arm();
  }

  /** Something moved: the phase begins anew. */
  touch(): void {
    this.#since = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#firesAt = Number.NEGATIVE_INFINITY;
  }

  #next(): number {
    const total = this.#sentAt === undefined ? Number.POSITIVE_INFINITY : this.#sentAt + this.#limits.total;
    return Math.min(this.#since + this.#limits[this.#phase], total);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#firesAt = this.#next();
    const delay = Math.min(Math.max(1, this.#firesAt - performance.now()), LONGEST_DELAY);
    this.#timer = setTimeout(() => this.#fire(), delay);
  }

  #fire(): void {
    const now = performance.now();
    if (now < this.#next()) {
      this.#arm();
      return;
    }
    const isPhase = now >= this.#since + this.#limits[this.#phase];
    if (isPhase && this.#isExcused(this.#phase)) {
      this.#since = now;
      this.#arm();
      return;
    }
    const what: Expired = isPhase ? this.#phase : "total";
    this.stop();
    this.#expire(what, this.#limits[what]);
  }
}

/** setTimeout takes no more than 31 bits. */
const LONGEST_DELAY = 2_147_483_647;
