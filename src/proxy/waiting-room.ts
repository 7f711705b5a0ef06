// Where requests wait for a slot of an upstream, or for money. It keeps the order and hands over what becomes
// free; what a request does with it, and how long it waits, is its turn's affair (turn.ts). Whoever waits
// holds nothing, and decides anew when it is woken: money and slot are then taken together.
//
// The order is that of priority, which grows with waiting, then of arrival (policy/standing.ts).
//
// Invariant: nobody, newcomer included, passes an earlier one for an upstream that this one waits for, or in
// a budget that it has a claim in. Those who share none are independent.
// Invariant: no upstream that a waiting turn wants can be taken: what becomes free is taken in that tick, for
// the first in line, and handed over.

import type { DurationUs } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import type { AccountKey } from "../policy/decision.ts";
import type { Hindrance } from "../policy/hindrance.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import type { Candidate } from "../policy/rank.ts";
import type { Slot } from "../policy/slot.ts";
import { Alarms } from "./alarms.ts";
import { claimedBefore, mayHaveIt, nextLook } from "./claimants.ts";
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
  /** The live ones. */
  balances(): Balances;
}

/** Where one that waits stands. */
export interface Place {
  /** From 1; among those that wait for the same money or slots. */
  readonly position: number;
  readonly waited: DurationUs;
}

export class WaitingRoom {
  readonly parts: RoomParts;
  /** Those that wait, and those that were woken and have not decided yet. */
  readonly #line = new Set<Turn>();
  readonly #alarms: Alarms;
  /** Running requests that were refused a slice: they come before whoever waits. */
  readonly #short = new Set<() => void>();
  #forgetLook: () => void = () => undefined;
  #isLooking = false;
  #arrivals = 0;
  #isClosed = false;

  constructor(parts: RoomParts) {
    this.parts = parts;
    this.#alarms = new Alarms(parts.timers, (id) => this.offer(id));
  }

  enter(request = ""): Turn {
    this.#arrivals += 1;
    return new Turn(this, this.#arrivals, request);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The gateway stops: nobody waits any more, and who does is told to ask again. What runs goes on. */
  close(): void {
    this.#isClosed = true;
    this.#forgetLook();
    for (const turn of this.#inOrder()) turn.wake("stopping");
  }

  /** Requests that wait. */
  get size(): number {
    return this.#line.size;
  }

  waitingFor(upstream: string): number {
    return this.#inOrder().filter((turn) => turn.wants(upstream)).length;
  }

  /** Undefined where that request does not wait. */
  placeOf(request: string): Place | undefined {
    const line = this.#inOrder();
    const turn = line.find((one) => one.request === request && one.isWaiting);
    if (turn === undefined) return undefined;
    const ahead = line.slice(0, line.indexOf(turn)).filter((other) => other.sharesWith(turn));
    return { position: ahead.length + 1, waited: turn.waited };
  }

  /** The policy has changed, or an upstream has turned: each in its order decides anew. */
  reconsider(upstream?: string): void {
    if (upstream === undefined) for (const again of [...this.#short]) again();
    for (const turn of this.#inOrder()) {
      if (upstream === undefined || turn.wants(upstream)) turn.wake("again");
    }
  }

  /** Something may have become free there: the first in line gets it. */
  offer(id: string): void {
    const upstream = this.parts.policy().upstreams.get(id);
    if (upstream === undefined || this.#line.size === 0) return;
    for (const turn of this.#inOrder()) {
      if (!turn.wants(id)) continue;
      const hindrance = this.parts.slots.hindrance(upstream);
      if (hindrance !== undefined && !turn.takesThough(hindrance)) {
        this.#alarms.set(id, hindrance);
        // Whoever waits for a better time is not passed by one who takes it as it is.
        if (hindrance.kind === "ejected") continue;
        return;
      }
      // Woken and about to decide, it may take this one: whoever came later waits for that.
      if (!turn.isWaiting) return;
      turn.hand(this.parts.slots.take(upstream));
    }
  }

  /** These accounts have more left than before: running requests first, then who waits, in its order. */
  freed(accounts: readonly AccountKey[]): void {
    for (const again of [...this.#short]) again();
    if (this.#line.size > 0) this.#offerMoney(accounts);
  }

  /** A running request that was refused a slice: `again` asks in the tick in which something is freed. */
  isShort(again: () => void): () => void {
    this.#short.add(again);
    return () => void this.#short.delete(again);
  }

  /** What it wanted it wants no more: others may have that. */
  leave({ upstreams, accounts }: Pick<Left, "upstreams" | "accounts">): void {
    for (const id of upstreams) this.offer(id);
    if (accounts.length > 0) this.#lookSoon();
  }

  /** As this turn may see them: what an earlier one waits for is not free for it. */
  seenBy(turn: Turn, candidates: readonly Candidate[]): readonly Candidate[] {
    if (this.#line.size === 0) return candidates;
    const ahead = this.#aheadOf(turn);
    return candidates.map((candidate) => {
      const { hindrance, upstream } = candidate;
      const waiting = ahead.filter((other) => other.wants(upstream.id));
      if (waiting.length === 0) return candidate;
      if (hindrance === undefined)
        return { ...candidate, hindrance: { kind: "queued", waiting: waiting.length } };
      if (hindrance.kind !== "ejected") return candidate;
      return { ...candidate, hindrance: { kind: "trial", failures: hindrance.failures } };
    });
  }

  /** As this turn may see them: beside what earlier ones have a claim to. */
  balancesFor(turn: Turn, view: Balances): Balances {
    if (this.#line.size === 0) return view;
    const ahead = this.#aheadOf(turn);
    return ahead.length === 0 ? view : claimedBefore(ahead, view);
  }

  /** As one that comes now may see them. */
  seenByNewcomer(view: Balances): Balances {
    return this.#line.size === 0 ? view : claimedBefore(this.#inOrder(), view);
  }

  /** False where the room is full. One that was in already keeps its place. */
  admit(turn: Turn): boolean {
    if (!turn.hasWaited && this.#line.size >= this.parts.policy().limits.waiting) return false;
    this.#line.add(turn);
    return true;
  }

  /** It waits now: whoever frees what it waits for without saying so is looked at in time. */
  watch(turn: Turn): void {
    const { slots, policy } = this.parts;
    for (const id of turn.upstreams) {
      const upstream = policy().upstreams.get(id);
      const hindrance = upstream && slots.hindrance(upstream);
      if (hindrance !== undefined) this.#alarms.set(id, hindrance);
    }
    if (turn.waitsForMoney) this.#planLook();
  }

  dismiss(turn: Turn): void {
    this.#line.delete(turn);
  }

  #inOrder(): Turn[] {
    return [...this.#line].sort((a, b) => (isAhead(a, b) ? -1 : 1));
  }

  #aheadOf(turn: Turn): Turn[] {
    return this.#inOrder().filter((other) => other !== turn && isAhead(other, turn));
  }

  #offerMoney(accounts?: readonly AccountKey[]): void {
    const view = this.parts.balances();
    const ahead: Turn[] = [];
    for (const turn of this.#inOrder()) {
      const isAsked = accounts === undefined || accounts.some((account) => turn.asks(account));
      if (turn.isWaiting && turn.waitsForMoney && isAsked) {
        if (mayHaveIt(turn, claimedBefore(ahead, view))) turn.wake("again");
      }
      ahead.push(turn);
    }
  }

  /** Once the hold is taken that this tick has decided on. */
  #lookSoon(): void {
    if (this.#isLooking || this.#line.size === 0) return;
    this.#isLooking = true;
    queueMicrotask(() => {
      this.#isLooking = false;
      this.#offerMoney();
    });
  }

  /** A period turns, or one that waits comes before another now: nobody says so. */
  #planLook(): void {
    this.#forgetLook();
    const waiting = this.#inOrder().filter((turn) => turn.waitsForMoney);
    if (waiting.length === 0) return;
    this.#forgetLook = this.parts.timers.after(nextLook(waiting, this.parts.timers.now()), () => {
      for (const again of [...this.#short]) again();
      this.#offerMoney();
      this.#planLook();
    });
  }
}

/** Of one that left. */
export interface Left {
  readonly upstreams: readonly string[];
  readonly accounts: readonly AccountKey[];
}

function isAhead(one: Turn, other: Turn): boolean {
  const [its, others] = [one.priority, other.priority];
  return its === others ? one.number < other.number : its > others;
}
