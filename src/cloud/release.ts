// When a machine group is lowered: once nobody needs it, because its last container was told to stop, or
// because this gateway raised it and its containers stop when idle. What it knows outlives the gateway.
//
//   not ours ──raised() by our order──► ours ──nobody needs it for stop_after_idle──► lowered
//      └──────────begin(): told to───────┴──► asked ──nobody needs it for 20 s──────► lowered
//
// Invariant: after a restart only what runs there as it was left is ours, not what others started meanwhile.

import { type DurationUs, EPOCH, HOUR, type Instant, later, MINUTE, SECOND } from "../metering/time.ts";
import type { HostSighting } from "./adapter.ts";

/** What this gateway did to a machine group, as it is kept over restarts. */
export interface KeptRelease {
  /** Its last container was told to stop, and it is to be lowered. */
  readonly isAsked: boolean;
  /** When this gateway raised it; undefined where others did. */
  readonly raisedAt: Instant | undefined;
  /** The instances that it was left with. */
  readonly ids: readonly string[];
}

export interface ReleaseParts {
  /** As it was left by the gateway before this one. */
  readonly kept: KeptRelease | undefined;
  /** To be remembered from now on; undefined: nothing is. */
  keep(kept: KeptRelease | undefined): void;
  /** Who needs it, in words: "flux-aws is ready". */
  needs(): readonly string[];
  /** How long its containers may idle; undefined: none is ever stopped for that. */
  mayIdle(): DurationUs | undefined;
  lower(): void;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
}

/** Whoever starts a container again at once does not pay for another machine. */
const QUIET = (20 * SECOND) as DurationUs;
/** An instance that came this long after our order, or a minute before it by another clock, is its own. */
const COMES_WITHIN = (15 * MINUTE) as DurationUs;
/** A read may still show what was so before an order. */
const SETTLES = (30 * SECOND) as DurationUs;

export class Release {
  readonly #parts: ReleaseParts;
  /** Until the first sighting it is not known whether things are as they were left. */
  #doubtful: KeptRelease | undefined;
  #isAsked = false;
  #raisedAt: Instant | undefined;
  #ids: readonly string[] = [];
  #keptText: string | undefined;
  #quietSince: Instant | undefined;
  /** It was refused: what has to be done by hand first may be done then. */
  #notBefore: Instant = EPOCH;
  #forget: () => void = () => undefined;

  constructor(parts: ReleaseParts) {
    this.#parts = parts;
    this.#doubtful = parts.kept;
    this.#keptText = parts.kept && JSON.stringify(parts.kept);
  }

  /** Nobody watches it any more; what is kept stays. */
  end(): void {
    this.#forget();
  }

  /** Its order to raise it leaves. */
  raised(): void {
    this.#raisedAt = this.#parts.now();
    this.#ids = [];
    this.#keep();
  }

  /** Somebody starts a container there. */
  revoke(): void {
    this.#doubtful = this.#doubtful && { ...this.#doubtful, isAsked: false };
    this.#isAsked = false;
    this.#quietSince = undefined;
    this.#keep();
  }

  /** Told to: it is lowered as soon as nobody needs it. */
  begin(): void {
    this.#isAsked = true;
    this.#notBefore = EPOCH;
    this.#keep();
  }

  /** Its provider does not lower it: it costs on, and is told to again in an hour. */
  refused(): void {
    this.#notBefore = later(this.#parts.now(), HOUR);
  }

  /** It is done, or somebody else sees to it: not tried again until somebody gives an order. */
  over(): void {
    this.#doubtful = undefined;
    this.#isAsked = false;
    this.#raisedAt = undefined;
    this.#keep();
  }

  /** `isOrdered`: an order to it is under way. */
  consider(seen: HostSighting | undefined, ids: readonly string[], isOrdered: boolean): void {
    this.#forget();
    if (seen === undefined || isOrdered) return;
    const isGone = ids.length === 0 && seen.wanted === 0;
    if (isGone && this.#isJustRaised) return;
    this.#believe(seen);
    if (isGone) {
      this.over();
      return;
    }
    // Others want more than we ever do.
    if (seen.wanted > 1) this.#raisedAt = undefined;
    this.#ids = ids;
    this.#keep();
    this.#wait();
  }

  get #isJustRaised(): boolean {
    const raisedAt = this.#raisedAt ?? this.#doubtful?.raisedAt;
    return raisedAt !== undefined && this.#parts.now() < raisedAt + SETTLES;
  }

  #wait(): void {
    const quiet = this.#isAsked ? QUIET : this.#raisedAt && this.#parts.mayIdle();
    if (quiet === undefined) return;
    if (this.#parts.needs().length > 0) {
      this.#quietSince = undefined;
      return;
    }
    const now = this.#parts.now();
    this.#quietSince ??= now;
    const left = Math.max(quiet - (now - this.#quietSince), this.#notBefore - now);
    if (left > 0) this.#forget = this.#parts.after(left as DurationUs, () => this.#wait());
    else this.#parts.lower();
  }

  /** What is as it was left goes on; anything else somebody else has done, and is not ours. */
  #believe({ instances, wanted }: HostSighting): void {
    const kept = this.#doubtful;
    this.#doubtful = undefined;
    if (kept === undefined || wanted > 1) return;
    const { raisedAt, ids } = kept;
    const isOurs = ({ id, since }: HostSighting["instances"][number]) =>
      ids.length > 0 ? ids.includes(id) : raisedAt !== undefined && isSoonAfter(raisedAt, since);
    const isComing = ids.length === 0 && raisedAt !== undefined && isSoonAfter(raisedAt, this.#parts.now());
    if (instances.length > 0 ? !instances.every(isOurs) : !isComing) return;
    this.#isAsked ||= kept.isAsked;
    this.#raisedAt ??= raisedAt;
  }

  #keep(): void {
    // As long as it is not known what has become of it, it is as it was kept.
    if (this.#doubtful !== undefined && !this.#isAsked && this.#raisedAt === undefined) return;
    const isKept = this.#isAsked || this.#raisedAt !== undefined;
    // An order that came before the first sighting says nothing of what it was left with.
    const { raisedAt, ids } = (this.#raisedAt === undefined && this.#doubtful) || {
      raisedAt: this.#raisedAt,
      ids: this.#ids,
    };
    const kept = { isAsked: this.#isAsked, raisedAt, ids: [...ids].sort() };
    const text = isKept ? JSON.stringify(kept) : undefined;
    if (text === this.#keptText) return;
    this.#keptText = text;
    this.#parts.keep(isKept ? kept : undefined);
  }
}

function isSoonAfter(ordered: Instant, came: Instant): boolean {
  return came >= ordered - MINUTE && came <= ordered + COMES_WITHIN;
}
