// One request's turn at upstreams and money: what it sees as free, the slot it has, and its wait. A slot
// is taken in the tick of the decision, because what was decided must still be true when it is held.
//
//   outside ──follow(wait)──► waiting ──handed a slot, or told to decide anew──► deciding
//     │  ▲                      ▲ └── too late, gone, cancelled ──► deciding        │  │
//     │  │                      └───────────────────follow(wait)────────────────────┘  │
//     │  └────────────────────────follow(other), or end() from anywhere────────────────┘
//     └──follow(wait)──► full, too_long, stopping
//
// Invariant: a turn has at most one slot. claim() gives it to the exchange, which frees it; else a later
// decision or end() gives it back, unused.

import { between, DAY, type DurationUs, FOREVER, type Instant, MINUTE, SECOND } from "../metering/time.ts";
import type { AccountKey, Decision, Wait } from "../policy/decision.ts";
import type { Hindrance } from "../policy/hindrance.ts";
import type { Candidate } from "../policy/rank.ts";
import type { Slot } from "../policy/slot.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/**
 * How long a request waits for slots in all; for money it waits as long as the budget says (max_wait). The
 * ComfyUI node would wait for ever; the OpenAI SDK gives up after 600 s and asks again, so it is answered
 * before that.
 */
export const LONGEST_WAIT = (9 * MINUTE + 30 * SECOND) as DurationUs;

/** Timers keep no more than some 24 days: looked at again meanwhile. */
const LONGEST_TIMER = DAY;
/** Of whoever waits for nothing. */
const LEAST = { priority: 0, step: DAY };

/** `again`: decide anew, perhaps with a slot in hand. Any other word ends the request. */
export type Woken = "again" | Vain | "too_late" | "gone" | "cancelled";
/** It did not even wait: the room is full or closed, or what it wants is known to come too late. */
type Vain = "full" | "too_long" | "stopping";

/** Calls back once the client has gone; the returned call forgets it. */
export type OnGone = (call: () => void) => () => void;

export class Turn {
  /** Of arrival: the lower one is first. */
  readonly number: number;
  readonly #room: WaitingRoom;
  #state: "outside" | "waiting" | "deciding" | Vain = "outside";
  #wanted: Wait | undefined;
  #slot: Slot | undefined;
  #waking: PromiseWithResolvers<Woken> | undefined;
  #since: Instant | undefined;
  #waited = 0;
  #waitedForSlots = 0;
  #hasWaited = false;

  constructor(room: WaitingRoom, number: number) {
    this.#room = room;
    this.number = number;
  }

  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  get hasWaited(): boolean {
    return this.#hasWaited;
  }

  /** In all, until now. */
  get waited(): DurationUs {
    const since = this.isWaiting ? between(this.#since ?? this.#now(), this.#now()) : 0;
    return (this.#waited + since) as DurationUs;
  }

  /** The higher one goes first; it grows while the turn waits. */
  get priority(): number {
    const { priority, step } = this.#wanted?.urgency ?? LEAST;
    return priority + Math.floor(this.waited / step);
  }

  /** Whether nobody who comes later may take money there before it. One that is parked claims at the turn. */
  claims(account: AccountKey): boolean {
    const money = this.#wanted?.money;
    if (money === undefined || !money.accounts.includes(account)) return false;
    return !money.isParked || money.turnsAt <= this.#now();
  }

  /** How many who go first wait for money of this account. */
  claimedBefore(account: AccountKey): number {
    return this.#room.claimedBefore(this, account);
  }

  wants(upstream: string): boolean {
    return this.#wanted?.upstreams.includes(upstream) === true;
  }

  /** Only who waits to be the next on trial takes what is ejected. */
  takesThough(hindrance: Hindrance): boolean {
    return hindrance.kind === "ejected" && this.#wanted?.isLastResort === true;
  }

  /** What was handed to this turn is free for it. */
  see(candidates: readonly Candidate[]): readonly Candidate[] {
    const own = this.#slot?.upstream.id;
    const seen = this.#room.seenBy(this, candidates);
    if (own === undefined) return seen;
    return seen.map(({ upstream, inFlight, hindrance }) =>
      upstream.id === own ? { upstream, inFlight: inFlight - 1 } : { upstream, inFlight, hindrance },
    );
  }

  /** In the tick of the decision, each time it is made: takes what it chose, gives back all else. */
  follow(decision: Decision): void {
    const { upstreams, accounts } = this.#withdraw();
    const upstream = decision.kind === "forward" ? decision.quote.upstream : undefined;
    if (this.#slot?.upstream.id !== upstream?.id) this.#giveBack();
    if (upstream !== undefined) this.#slot ??= this.#room.parts.slots.take(upstream);
    if (decision.kind === "wait") this.#wait(decision);
    for (const id of upstreams) this.#room.offer(id);
    this.#room.freed(accounts.filter((account) => !this.claims(account)));
  }

  /** After a decision to wait; resolves at once where there is no room, or no use in it. */
  async wait(signal: AbortSignal, onGone: OnGone): Promise<Woken> {
    const state = this.#state;
    if (state === "full" || state === "too_long" || state === "stopping") return state;
    if (this.#waking === undefined) throw new Error("a turn that was not told to wait waits");
    const onAbort = () => this.wake("cancelled");
    const forgetTime = this.#plan();
    const forgetClient = onGone(() => this.wake("gone"));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await this.#waking.promise;
    } finally {
      forgetTime();
      forgetClient();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** A slot that became free, taken for this turn. */
  hand(slot: Slot): void {
    if (this.#slot !== undefined) throw new Error("a turn that has a slot was handed another");
    this.#slot = slot;
    this.wake("again");
  }

  wake(why: Woken): void {
    if (this.#state !== "waiting") return;
    const since = between(this.#since ?? this.#now(), this.#now());
    this.#state = "deciding";
    this.#waited += since;
    if (this.#wanted?.money === undefined) this.#waitedForSlots += since;
    this.#waking?.resolve(why);
  }

  /** The slot of what was admitted: from here on the exchange gives it back. */
  claim(): Slot {
    const slot = this.#slot;
    if (slot === undefined) throw new Error("a request was admitted without a slot");
    this.#slot = undefined;
    return slot;
  }

  /** However the request has ended. */
  end(): void {
    const { upstreams, accounts } = this.#withdraw();
    this.#giveBack();
    for (const id of upstreams) this.#room.offer(id);
    this.#room.freed(accounts);
  }

  #wait(wait: Wait): void {
    if (this.#room.isClosed) {
      this.#state = "stopping";
      return;
    }
    if (wait.notBefore > LONGEST_WAIT - this.#waitedForSlots) {
      this.#state = "too_long";
      return;
    }
    if (!this.#room.admit(this)) {
      this.#state = "full";
      return;
    }
    const isFirst = !this.#hasWaited;
    this.#state = "waiting";
    this.#hasWaited = true;
    this.#wanted = wait;
    this.#since = this.#now();
    this.#waking = Promise.withResolvers();
    for (const id of wait.upstreams) this.#room.remind(id);
    if (isFirst && wait.money !== undefined) this.#room.joined(this, wait.money.accounts);
  }

  /** Ends the wait in time, or looks again at the turn of a period. */
  #plan(): () => void {
    const { timers } = this.#room.parts;
    const money = this.#wanted?.money;
    const most = money?.longest ?? LONGEST_WAIT;
    const waited = money === undefined ? this.#waitedForSlots : this.#waited;
    const left = Math.max(0, most - waited) as DurationUs;
    const forgetEnd = timers.after(Math.min(left, LONGEST_TIMER) as DurationUs, () =>
      this.wake(left > LONGEST_TIMER ? "again" : "too_late"),
    );
    const turn = money === undefined ? FOREVER : money.turnsAt;
    const until = Math.max(0, between(this.#now(), turn)) as DurationUs;
    if (turn === FOREVER || until >= left) return forgetEnd;
    const forgetTurn = timers.after(until, () => this.wake("again"));
    return () => {
      forgetEnd();
      forgetTurn();
    };
  }

  /** What it wanted, which others may have now. */
  #withdraw(): { readonly upstreams: readonly string[]; readonly accounts: readonly AccountKey[] } {
    const wanted = this.#wanted;
    if (wanted !== undefined) this.#room.dismiss(this);
    this.#wanted = undefined;
    this.#waking = undefined;
    this.#state = "outside";
    return { upstreams: wanted?.upstreams ?? [], accounts: wanted?.money?.accounts ?? [] };
  }

  #giveBack(): void {
    this.#slot?.free({ kind: "unused" });
    this.#slot = undefined;
  }

  #now(): Instant {
    return this.#room.parts.timers.now();
  }
}
