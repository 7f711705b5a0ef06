// One request's turn at the upstreams: which it sees as free, the slot it has, and its wait for one, or for
// money. A slot is taken in the tick of the decision, because what was decided must still be true when it is
// held.
//
//   outside ──follow(wait)──► waiting ──handed a slot, or told to decide anew──► deciding
//     │  ▲                      ▲ └── too late, gone, cancelled ──► deciding        │  │
//     │  │                      └───────────────────follow(wait)────────────────────┘  │
//     │  └────────────────────────follow(other), or end() from anywhere────────────────┘
//     └──follow(wait)──► full, too_long, stopping
//
// Invariant: a turn has at most one slot. claim() gives it to the exchange, which frees it; else a later
// decision or end() gives it back, unused.
// Invariant: once it has waited for money it keeps its claim to that until it is admitted, or ends: a slot
// that is taken meanwhile does not cost it its place in the budget.

import { between, type DurationUs, type Instant, MINUTE, SECOND } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import type { AccountKey, Decision, Wait, Wish } from "../policy/decision.ts";
import type { Hindrance } from "../policy/hindrance.ts";
import { asksOf } from "../policy/money-wait.ts";
import type { Candidate } from "../policy/rank.ts";
import type { Slot } from "../policy/slot.ts";
import { ORDINARY, priorityAfter, type Standing, stepOf } from "../policy/standing.ts";
import type { Left, WaitingRoom } from "./waiting-room.ts";

/**
 * How long a request waits for slots in all. The ComfyUI node would wait for ever; the OpenAI SDK gives up
 * after 600 s and asks again, so it is answered before that.
 */
export const LONGEST_WAIT = (9 * MINUTE + 30 * SECOND) as DurationUs;

/** `again`: decide anew, perhaps with a slot in hand. Any other word ends the request. */
export type Woken = "again" | Vain | "too_late" | "gone" | "cancelled";
/** It did not even wait: the room is full or closed, or what it wants is known to come too late. */
type Vain = "full" | "too_long" | "stopping";

/** Calls back once the client has gone; the returned call forgets it. */
export type OnGone = (call: () => void) => () => void;

export class Turn {
  /** Of arrival: the lower one is first. */
  readonly number: number;
  /** Id of its request. */
  readonly request: string;
  readonly #room: WaitingRoom;
  #state: "outside" | "waiting" | "deciding" | Vain = "outside";
  #wanted: Wait | undefined;
  #slot: Slot | undefined;
  #waking: PromiseWithResolvers<Woken> | undefined;
  #since: Instant | undefined;
  readonly #waited = { slot: 0, money: 0 };
  #hasWaited = false;
  #hasClaim = false;
  #standing: Standing | (() => Standing) = ORDINARY;

  constructor(room: WaitingRoom, number: number, request: string) {
    this.#room = room;
    this.number = number;
    this.request = request;
  }

  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  get hasWaited(): boolean {
    return this.#hasWaited;
  }

  /** For slots and for money, in all, until now. */
  get waited(): DurationUs {
    const now = this.isWaiting ? this.#sinceThen() : 0;
    return (this.#waited.slot + this.#waited.money + now) as DurationUs;
  }

  get waitsForMoney(): boolean {
    return this.#wanted?.money !== undefined;
  }

  get priority(): number {
    return priorityAfter(this.#stands(), this.waited, LONGEST_WAIT);
  }

  /** How long it takes its priority to grow by one. */
  get step(): DurationUs {
    return stepOf(this.#stands(), LONGEST_WAIT);
  }

  get upstreams(): readonly string[] {
    return this.#wanted?.upstreams ?? [];
  }

  get wishes(): readonly Wish[] {
    return this.#hasClaim ? (this.#wanted?.wishes ?? []) : [];
  }

  wants(upstream: string): boolean {
    return this.upstreams.includes(upstream);
  }

  /** Whether it may run once there is more left. */
  asks(account: AccountKey): boolean {
    return this.wishes.some((wish) => asksOf(wish).some((ask) => ask.account === account));
  }

  claims(account: AccountKey): boolean {
    return this.wishes.some(({ claims }) => claims.some((claim) => claim.account === account));
  }

  sharesWith(other: Turn): boolean {
    const accounts = other.wishes.flatMap(({ claims }) => claims.map(({ account }) => account));
    return other.upstreams.some((id) => this.wants(id)) || accounts.some((account) => this.claims(account));
  }

  /** Before it looks at what is free; asked once, and only where somebody waits. */
  stand(standing: () => Standing): void {
    this.#standing = standing;
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
    return seen.map((candidate) => {
      const { upstream, inFlight } = candidate;
      return upstream.id === own ? { ...candidate, inFlight: inFlight - 1, hindrance: undefined } : candidate;
    });
  }

  /** What earlier ones have a claim to is not there for it. */
  seeBalances(view: Balances): Balances {
    return this.#room.balancesFor(this, view);
  }

  /** In the tick of the decision, each time it is made: takes what it chose, gives back all else. */
  follow(decision: Decision): void {
    const left = this.#withdraw();
    const upstream = decision.kind === "forward" ? decision.quote.upstream : undefined;
    if (this.#slot?.upstream.id !== upstream?.id) this.#giveBack();
    if (upstream !== undefined) this.#slot ??= this.#room.parts.slots.take(upstream);
    if (decision.kind === "wait") this.#wait(decision);
    else this.#hasClaim = false;
    this.#room.leave(left);
  }

  /** After a decision to wait; resolves at once where there is no room, or no use in it. */
  async wait(signal: AbortSignal, onGone: OnGone): Promise<Woken> {
    const state = this.#state;
    if (state === "full" || state === "too_long" || state === "stopping") return state;
    if (this.#waking === undefined) throw new Error("a turn that was not told to wait waits");
    const onAbort = () => this.wake("cancelled");
    const forgetTime = this.#room.parts.timers.after(this.#patience(), () => this.wake("too_late"));
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
    this.#state = "deciding";
    this.#waited[this.waitsForMoney ? "money" : "slot"] += this.#sinceThen();
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
    const left = this.#withdraw();
    this.#giveBack();
    this.#room.leave(left);
  }

  #wait(wait: Wait): void {
    if (this.#room.isClosed) {
      this.#state = "stopping";
      return;
    }
    if (wait.money === undefined && wait.notBefore > LONGEST_WAIT - this.#waited.slot) {
      this.#state = "too_long";
      return;
    }
    if (!this.#room.admit(this)) {
      this.#state = "full";
      return;
    }
    this.#state = "waiting";
    this.#hasWaited = true;
    this.#wanted = wait;
    this.#since = this.#now();
    this.#hasClaim ||= wait.money !== undefined;
    this.#waking = Promise.withResolvers();
    this.#room.watch(this);
  }

  /** As long as it may still wait for what it waits for now. */
  #patience(): DurationUs {
    const money = this.#wanted?.money;
    const left = money === undefined ? LONGEST_WAIT - this.#waited.slot : money.maxWait - this.#waited.money;
    return Math.max(0, left) as DurationUs;
  }

  /** What it wanted, which others may have now. */
  #withdraw(): Left {
    const { upstreams } = this;
    const accounts = this.wishes.flatMap(({ claims }) => claims.map(({ account }) => account));
    if (this.#wanted !== undefined) this.#room.dismiss(this);
    this.#wanted = undefined;
    this.#waking = undefined;
    this.#state = "outside";
    return { upstreams, accounts };
  }

  #stands(): Standing {
    if (typeof this.#standing === "function") this.#standing = this.#standing();
    return this.#standing;
  }

  #sinceThen(): DurationUs {
    return between(this.#since ?? this.#now(), this.#now());
  }

  #giveBack(): void {
    this.#slot?.free({ kind: "unused" });
    this.#slot = undefined;
  }

  #now(): Instant {
    return this.#room.parts.timers.now();
  }
}
