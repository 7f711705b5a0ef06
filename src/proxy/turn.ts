// One request's turn at the upstreams: which it sees as free, the slot it has, and its wait for one. A slot
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

import { between, type DurationUs, type Instant, MINUTE, SECOND } from "../metering/time.ts";
import type { Decision, Wait } from "../policy/decision.ts";
import type { Hindrance } from "../policy/hindrance.ts";
import type { Candidate } from "../policy/rank.ts";
import type { Slot } from "../policy/slot.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/**
 * How long a request waits in all. The ComfyUI node would wait for ever; the OpenAI SDK gives up after 600
 * s and asks again, so it is answered before that.
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
  readonly #room: WaitingRoom;
  #state: "outside" | "waiting" | "deciding" | Vain = "outside";
  #wanted: Wait | undefined;
  #slot: Slot | undefined;
  #waking: PromiseWithResolvers<Woken> | undefined;
  #since: Instant | undefined;
  #waited = 0;
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
    return this.#waited as DurationUs;
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
    const wanted = this.#withdraw();
    const upstream = decision.kind === "forward" ? decision.quote.upstream : undefined;
    if (this.#slot?.upstream.id !== upstream?.id) this.#giveBack();
    if (upstream !== undefined) this.#slot ??= this.#room.parts.slots.take(upstream);
    if (decision.kind === "wait") this.#wait(decision);
    for (const id of wanted) this.#room.offer(id);
  }

  /** After a decision to wait; resolves at once where there is no room, or no use in it. */
  async wait(signal: AbortSignal, onGone: OnGone): Promise<Woken> {
    const state = this.#state;
    if (state === "full" || state === "too_long" || state === "stopping") return state;
    if (this.#waking === undefined) throw new Error("a turn that was not told to wait waits");
    const onAbort = () => this.wake("cancelled");
    const left = Math.max(0, LONGEST_WAIT - this.#waited) as DurationUs;
    const forgetTime = this.#room.parts.timers.after(left, () => this.wake("too_late"));
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
    this.#waited += between(this.#since ?? this.#now(), this.#now());
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
    const wanted = this.#withdraw();
    this.#giveBack();
    for (const id of wanted) this.#room.offer(id);
  }

  #wait(wait: Wait): void {
    if (this.#room.isClosed) {
      this.#state = "stopping";
      return;
    }
    if (wait.notBefore > LONGEST_WAIT - this.#waited) {
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
    this.#waking = Promise.withResolvers();
    for (const id of wait.upstreams) this.#room.remind(id);
  }

  /** What it wanted, which others may have now. */
  #withdraw(): readonly string[] {
    const wanted = this.#wanted?.upstreams ?? [];
    if (wanted.length > 0) this.#room.dismiss(this);
    this.#wanted = undefined;
    this.#waking = undefined;
    this.#state = "outside";
    return wanted;
  }

  #giveBack(): void {
    this.#slot?.free({ kind: "unused" });
    this.#slot = undefined;
  }

  #now(): Instant {
    return this.#room.parts.timers.now();
  }
}
