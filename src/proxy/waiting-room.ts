// Where requests wait for a slot of an upstream, or for the money of a budget that queues them. It keeps the
// order (priority, which grows with waiting, then age) and hands over what becomes free; what a request does
// with it, and how long it waits, is its turn's affair (turn.ts). Whoever waits holds nothing, and decides
// anew when it is woken.
//
// Invariant: nobody, newcomer included, passes an earlier one for an upstream or in an account that this one
// waits for. Those who wait for different ones are independent.
// Invariant: no upstream that a waiting turn wants can be taken: what becomes free is taken in that tick, for
// the first in line, and handed over.
// Invariant: money that becomes free wakes the first who claims it, and only that one; it wakes the next when
// it has taken what it needs, or has gone.

import { type DurationUs, type Instant, later } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";
import { type Hindrance, lastsFor } from "../policy/hindrance.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import type { Candidate } from "../policy/rank.ts";
import type { Slot } from "../policy/slot.ts";
import type { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";

/** Who counts what runs at each upstream; cloud/fleet.ts. */
export interface Slots {
  hindrance(upstream: Upstream): Hindrance | undefined;
  take(upstream: Upstream): Slot;
}

export interface RoomParts {
  readonly slots: Slots;
  readonly timers: Timers;
  policy(): Policy;
}

export class WaitingRoom {
  readonly parts: RoomParts;
  /** Those that wait, and those that were woken and have not decided yet. */
  readonly #line: Turn[] = [];
  /** The next look at an upstream that becomes free without anybody saying so. */
  readonly #alarms = new Map<string, { readonly at: Instant; forget(): void }>();
  #arrivals = 0;
  #isClosed = false;

  constructor(parts: RoomParts) {
    this.parts = parts;
  }

  enter(): Turn {
    this.#arrivals += 1;
    return new Turn(this, this.#arrivals);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The gateway stops: nobody waits any more, and who does is told to ask again. What runs goes on. */
  close(): void {
    this.#isClosed = true;
    for (const turn of this.#inOrder()) turn.wake("stopping");
  }

  /** Requests that wait. */
  get size(): number {
    return this.#line.length;
  }

  waitingFor(upstream: string): number {
    return this.#line.filter((turn) => turn.wants(upstream)).length;
  }

  /** The policy has changed, or an upstream has turned: each in its order decides anew. */
  reconsider(upstream?: string): void {
    for (const turn of this.#inOrder()) {
      if (upstream === undefined || turn.wants(upstream)) turn.wake("again");
    }
  }

  /** Something that was held there is free, or whoever claimed it has gone: the first who claims it looks. */
  freed(accounts: readonly AccountKey[]): void {
    if (this.#line.length === 0 || accounts.length === 0) return;
    const line = this.#inOrder();
    for (const account of accounts) line.find((turn) => turn.claims(account))?.wake("again");
  }

  /** One that came in ahead of others in all its accounts: what they wait behind it for may be there. */
  joined(turn: Turn, accounts: readonly AccountKey[]): void {
    const isFirst = accounts.every((account) => this.claimedBefore(turn, account) === 0);
    const others = this.#line.filter((other) => other !== turn);
    if (isFirst && others.some((other) => accounts.some((account) => other.claims(account))))
      turn.wake("again");
  }

  claimedBefore(turn: Turn, account: AccountKey): number {
    if (this.#line.length === 0) return 0;
    return this.#line.filter((other) => other !== turn && other.claims(account) && isBefore(other, turn))
      .length;
  }

  #inOrder(): readonly Turn[] {
    return [...this.#line].sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  /** Something may have become free there: the first in line gets it. */
  offer(id: string): void {
    const upstream = this.parts.policy().upstreams.get(id);
    if (upstream === undefined || this.#line.length === 0) return;
    for (const turn of this.#inOrder()) {
      if (!turn.wants(id)) continue;
      const hindrance = this.parts.slots.hindrance(upstream);
      if (hindrance !== undefined && !turn.takesThough(hindrance)) {
        this.#remind(id, hindrance);
        // Whoever waits for a better time is not passed by one who takes it as it is.
        if (hindrance.kind === "ejected") continue;
        return;
      }
      // Woken and about to decide, it may take this one: whoever came later waits for that.
      if (!turn.isWaiting) return;
      turn.hand(this.parts.slots.take(upstream));
    }
  }

  /** As this turn may see them: what an earlier one waits for is not free for it. */
  seenBy(turn: Turn, candidates: readonly Candidate[]): readonly Candidate[] {
    if (this.#line.length === 0) return candidates;
    return candidates.map((candidate) => {
      const { hindrance, upstream } = candidate;
      const waiting = this.#line.filter(
        (other) => other !== turn && other.wants(upstream.id) && isBefore(other, turn),
      );
      if (waiting.length === 0) return candidate;
      if (hindrance === undefined)
        return { ...candidate, hindrance: { kind: "queued", waiting: waiting.length } };
      if (hindrance.kind !== "ejected") return candidate;
      return { ...candidate, hindrance: { kind: "trial", failures: hindrance.failures } };
    });
  }

  /** False where the room is full. One that was in already keeps its place. */
  admit(turn: Turn): boolean {
    if (!turn.hasWaited && this.#line.length >= this.parts.policy().limits.waiting) return false;
    this.#line.push(turn);
    return true;
  }

  dismiss(turn: Turn): void {
    const place = this.#line.indexOf(turn);
    if (place >= 0) this.#line.splice(place, 1);
  }

  /** Looks again in time: a call of a rate becomes free, an ejection ends, and nobody says so. */
  remind(id: string): void {
    const upstream = this.parts.policy().upstreams.get(id);
    const hindrance = upstream && this.parts.slots.hindrance(upstream);
    if (hindrance !== undefined) this.#remind(id, hindrance);
  }

  #remind(id: string, hindrance: Hindrance): void {
    const lasts = lastsFor(hindrance);
    if (lasts === undefined) return;
    const { timers } = this.parts;
    const delay = Math.max(lasts, SOONEST) as DurationUs;
    const at = later(timers.now(), delay);
    const planned = this.#alarms.get(id);
    if (planned !== undefined && planned.at <= at) return;
    planned?.forget();
    const forget = timers.after(delay, () => {
      this.#alarms.delete(id);
      this.offer(id);
    });
    this.#alarms.set(id, { at, forget });
  }
}

/** A newcomer comes after all who wait. */
function isBefore(a: Turn, b: Turn): boolean {
  if (!b.hasWaited) return true;
  return a.priority === b.priority ? a.number < b.number : a.priority > b.priority;
}

/** A timer may be early by a fraction; it is not asked again in every tick. */
const SOONEST = 5_000 as DurationUs;
