// Whether one upstream works, from what requests met there and from what probes found (cloud/readiness.ts).
// It reads no clock, draws no chance and knows no sockets.
//
//   unknown ──► well ──FAILURES in a row──► ejected ──time is up, or as the last resort──► on trial
//                ▲                            │  ▲                                            │
//                ├──a probe that knows better─┘  └───────ill: left alone for twice as long────┤
//                └──────────────────────────────────────────────well───────────────────────────┘
//
// Invariant: while ejected, at most one request is on trial. What was sent before the ejection changes
// nothing by failing, and ends the ejection by succeeding.
//
// A probe knows better where requests did not even reach the upstream, where a probe itself saw it down
// before, or once the time is up: a NIM that calls itself ready while it answers 503 is left alone until
// then.

import { type DurationUs, MINUTE } from "../metering/time.ts";
import type { Hindrance } from "../policy/hindrance.ts";
import type { Sign } from "../policy/slot.ts";

/** One failure is chance, two are bad luck; requests are dear, so it is not asked for more. */
export const FAILURES = 3;
/** A NIM that is restarted needs longer than this, a hiccup does not. */
const FIRST_EJECTION = 5_000_000;
/** Whatever has come back is tried within a minute, also where nobody probes. */
const LONGEST_EJECTION = 60_000_000;
/** Nobody having asked for so long after its time, an ejection says nothing about now. */
const STALE = 5 * MINUTE;
/** Of the time, up or down, so that what broke together is not tried together. */
const JITTER = 0.2;

/** What a probe found; `unclear` where it could not ask. */
export type Probed =
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly why: string }
  | { readonly kind: "unclear" };

export type Turned =
  | { readonly kind: "ejected"; readonly failures: number; readonly why: string; readonly time: DurationUs }
  | { readonly kind: "recovered"; readonly by: "request" | "probe" };

type State =
  | { readonly kind: "unknown" | "well"; readonly failures: number; readonly isProvable: boolean }
  | Ejected;

interface Ejected {
  readonly kind: "ejected";
  readonly until: DurationUs;
  readonly failures: number;
  readonly why: string;
  /** Whether a probe can tell that it has changed. */
  readonly isProvable: boolean;
  readonly trial: number | undefined;
}

const UNKNOWN: State = { kind: "unknown", failures: 0, isProvable: true };

export class Health {
  readonly #random: () => number;
  #state: State = UNKNOWN;
  /** Ejections since a request last went well: each is twice as long. */
  #ejections = 0;
  #trials = 0;
  #heardAt: DurationUs | undefined;

  /** `random` gives [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  get kind(): State["kind"] {
    return this.#state.kind;
  }

  /** For whoever looks on: what was ejected long ago and asked by nobody since is not known any more. */
  shown(now: DurationUs): State["kind"] {
    const state = this.#state;
    const isStale = state.kind === "ejected" && state.trial === undefined && now - state.until > STALE;
    return isStale ? "unknown" : state.kind;
  }

  get failures(): number {
    return this.#state.failures;
  }

  /** When it last showed that it lives. */
  get heardAt(): DurationUs | undefined {
    return this.#heardAt;
  }

  hindrance(now: DurationUs): Hindrance | undefined {
    const state = this.#state;
    if (state.kind !== "ejected") return undefined;
    const { failures, why, until, trial } = state;
    if (trial !== undefined) return { kind: "trial", failures };
    return until > now ? { kind: "ejected", failures, why, again: (until - now) as DurationUs } : undefined;
  }

  /** A request is sent there; the number of its trial, where it is one. */
  begin(): number | undefined {
    const state = this.#state;
    if (state.kind !== "ejected") return undefined;
    if (state.trial !== undefined) throw new Error("a second request was let in while one is on trial");
    this.#trials += 1;
    this.#state = { ...state, trial: this.#trials };
    return this.#trials;
  }

  /** That request has ended. */
  end(trial: number | undefined, sign: Sign, now: DurationUs): Turned | undefined {
    const state = this.#state;
    const isOnTrial = state.kind === "ejected" && trial !== undefined && state.trial === trial;
    switch (sign.kind) {
      case "well":
        return this.answers(now);
      case "ill":
        return this.#ill(isOnTrial, { why: sign.why, isProvable: sign.missed }, now);
      case "unclear":
      case "unused":
        if (isOnTrial) this.#state = { ...state, trial: undefined };
        return undefined;
    }
  }

  /**
   * A request has a good answer, whether it has ended or not: a reply that streams for an hour must not keep
   * its upstream on trial for so long.
   */
  answers(now: DurationUs): Turned | undefined {
    this.#heardAt = now;
    this.#ejections = 0;
    return this.#recover("request");
  }

  probed(found: Probed, now: DurationUs): Turned | undefined {
    const state = this.#state;
    switch (found.kind) {
      case "unclear":
        return undefined;
      case "up":
        this.#heardAt = now;
        if (state.kind === "ejected")
          return this.#knowsBetter(state, now) ? this.#recover("probe") : undefined;
        this.#state = { ...state, kind: "well", failures: state.isProvable ? 0 : state.failures };
        return undefined;
      case "down": {
        const isDue = state.kind === "ejected" && state.trial === undefined && state.until <= now;
        if (state.kind === "ejected" && !isDue) this.#state = { ...state, isProvable: true };
        return this.#ill(isDue, { why: found.why, isProvable: true }, now);
      }
    }
  }

  #knowsBetter({ isProvable, trial, until }: Ejected, now: DurationUs): boolean {
    return isProvable || (trial === undefined && until <= now);
  }

  #recover(by: "request" | "probe"): Turned | undefined {
    const wasEjected = this.#state.kind === "ejected";
    this.#state = { kind: "well", failures: 0, isProvable: true };
    return wasEjected ? { kind: "recovered", by } : undefined;
  }

  #ill(
    judges: boolean,
    { why, isProvable }: { readonly why: string; readonly isProvable: boolean },
    now: DurationUs,
  ): Turned | undefined {
    const state = this.#state;
    if (state.kind === "ejected" && !judges) return undefined;
    const failures = state.failures + 1;
    if (state.kind !== "ejected" && failures < FAILURES) {
      this.#state = { kind: state.kind, failures, isProvable };
      return undefined;
    }
    const time = this.#ejectionTime();
    const until = (now + time) as DurationUs;
    this.#state = { kind: "ejected", until, failures, why, isProvable, trial: undefined };
    return state.kind === "ejected" ? undefined : { kind: "ejected", failures, why, time };
  }

  #ejectionTime(): DurationUs {
    const plain = Math.min(LONGEST_EJECTION, FIRST_EJECTION * 2 ** this.#ejections);
    this.#ejections += 1;
    return Math.round(plain * (1 + JITTER * (2 * this.#random() - 1))) as DurationUs;
  }
}
