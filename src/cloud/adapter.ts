// What the gateway asks of whoever runs containers: Docker, podman, a cloud. Each adapter speaks for one
// container; what to do with it is the fleet's affair.
//
// Invariant: the absence of an answer is never "off". An adapter that cannot tell throws Trouble.

import type { Instant } from "../metering/time.ts";

export interface Adapter {
  observe(signal: AbortSignal): Promise<Sighting>;
  /** Resolves once its provider has taken the order, which may be long before the container serves. */
  start(signal: AbortSignal): Promise<void>;
  stop(signal: AbortSignal): Promise<void>;
  /** Calls back when it may have changed, whoever changed it; returns the way to end that. */
  watch?(changed: () => void): () => void;
}

/** What a provider says of a container; whether one that is up serves, it often does not know. */
export type Sighting =
  | {
      readonly kind: "off";
      readonly id: string;
      /** Undefined where it never ran. */
      readonly stopped: Instant | undefined;
      /** Where it did not end because somebody stopped it. */
      readonly why: string | undefined;
    }
  | {
      readonly kind: "up";
      /** What its provider calls it. */
      readonly id: string;
      /** By its provider's clock: since when it costs. */
      readonly since: Instant;
      /** When its life before this one ended, where it had one and its provider knows. */
      readonly stoppedBefore?: Instant;
      /** Whether it serves, where its provider looks after that: undefined where nobody does. */
      readonly isHealthy: boolean | undefined;
      /** Where it can be reached, where its provider knows. */
      readonly url: string | undefined;
      readonly isStopping: boolean;
    };

export type TroubleKind =
  /** Nobody is there, or the connection broke. */
  | "unreachable"
  | "timeout"
  /** The credentials are wrong or have expired. */
  | "unauthenticated"
  /** They are good, but not for this. */
  | "denied"
  | "throttled"
  | "not_found"
  /** It was understood and not done. */
  | "failed";

/** Why nothing is known, or nothing was done; the message says what to do next. */
export class Trouble extends Error {
  readonly kind: TroubleKind;

  constructor(kind: TroubleKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "Trouble";
    this.kind = kind;
  }
}
