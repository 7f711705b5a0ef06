// What the gateway asks of whoever runs containers and the machines under them: Docker, podman, a cloud. An
// adapter speaks for one container, a host for one machine group; what to do with them is the fleet's affair.
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

/** A machine group: an Auto Scaling group, a node pool. It is what bills. */
export interface Host {
  observe(signal: AbortSignal): Promise<HostSighting>;
  /** To one instance, where it has none. Resolves once its provider has taken the order. */
  raise(signal: AbortSignal): Promise<void>;
  /** To none at all: whatever runs there ends. Resolves once its provider has taken the order. */
  lower(signal: AbortSignal): Promise<void>;
}

export interface HostSighting {
  /** Each is billed, from its own start until it is gone, also while it starts and stops. */
  readonly instances: readonly Instance[];
  /** How many its provider is told to run. */
  readonly wanted: number;
  /** An autoscaler that may change that back, in words that say what to do; undefined: none that is known. */
  readonly scaledByOthers: string | undefined;
  /** Those whose end its provider still tells; who is in neither list is gone, and nobody says since when. */
  readonly ended: readonly EndedInstance[];
}

export interface EndedInstance {
  readonly id: string;
  /** Where its provider still tells it. */
  readonly since?: Instant | undefined;
  readonly stopped: Instant;
}

export interface Instance {
  /** What its provider calls it; another one never has that name. */
  readonly id: string;
  /** By its provider's clock: since when it costs. */
  readonly since: Instant;
  readonly isStopping: boolean;
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
      /** The machine under it, where that bills and no machine group of the policy tells of it. */
      readonly under?: Pick<Instance, "id" | "since"> | undefined;
      /** Why it does not serve yet, where its provider says so. */
      readonly said?: string | undefined;
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
  | "failed"
  /** An order was taken, and came to nothing later. */
  | "operation_failed";

/** Why nothing is known, or nothing was done; the message says what to do next. */
export class Trouble extends Error {
  readonly kind: TroubleKind;

  constructor(kind: TroubleKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "Trouble";
    this.kind = kind;
  }
}
