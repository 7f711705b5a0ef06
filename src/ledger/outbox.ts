// What leaves for the disk. A write that must not be lost is kept when the disk refuses it and tried again
// with each heartbeat; one that only counts once it is written is given up and said to be. It knows what is
// still on its way, so that a question can wait for it.
//
// Invariant: no later state of a container's lease is durable before what was posted of it by then: a restart
// finds what is due in the state, and of a gap or an end that is what only its entry says (owed.ts).

import type { LedgerClock } from "./clock.ts";
import { hasState, isOwed, together } from "./owed.ts";
import { type Store, StoreError, type Unstamped, type Write } from "./store.ts";

export class Outbox {
  readonly #store: Store;
  readonly #clock: LedgerClock;
  readonly #onTrouble: (error: unknown) => void;
  readonly #kept: Write[] = [];
  #refusals = 0;
  readonly #underWay = new Set<Promise<unknown>>();
  /** What those wait for that are not handed over yet. */
  readonly #before = new Set<Promise<unknown>>();
  #awaited = 0;

  constructor(store: Store, clock: LedgerClock, onTrouble: (error: unknown) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onTrouble = onTrouble;
  }

  /** Writes that are counted in memory and not on disk: the disk fails. */
  get kept(): number {
    return this.#kept.length;
  }

  /** How many writes were refused so far. */
  get refusals(): number {
    return this.#refusals;
  }

  /** For what must not be lost. Rejects all the same when the disk refuses it for now. */
  write(write: Unstamped): Promise<void> {
    return this.#put(this.#stamp(write));
  }

  /** The same, after something else was written or refused. */
  writeAfter(first: Promise<unknown>, write: () => Unstamped, when: "now" | "soon"): Promise<void> {
    this.#before.add(first);
    const handOver = () => {
      this.#before.delete(first);
      return this.#put(this.#stamp(write()), when);
    };
    return this.#follow(first.then(handOver, handOver));
  }

  /** Whether some are counted in memory and not handed to the store: they come after others. */
  get isBehind(): boolean {
    return this.#before.size > 0;
  }

  /** Resolves once those of this moment are handed over. Until then no more are let gather. */
  async handedOver(): Promise<void> {
    this.#awaited += 1;
    await Promise.allSettled(this.#before);
    this.#awaited -= 1;
  }

  /** Whether a write may be one that nobody waits for. */
  get mayGather(): boolean {
    return this.#kept.length === 0 && this.#awaited === 0;
  }

  /** Resolves once all that was handed over is written or refused: who reads then finds it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  /** For what does not count when it could not be written. Throws nothing but bugs. */
  async tryWrite(
    write: Unstamped,
    when: "now" | "soon" = "now",
  ): Promise<{ readonly written: true } | { readonly written: false; cause: Error }> {
    try {
      await this.#follow(this.#store.write(this.#stamp(write), when));
      return { written: true };
    } catch (error) {
      this.#refusals += 1;
      this.#onTrouble(error);
      if (!(error instanceof StoreError)) throw error;
      return { written: false, cause: error };
    }
  }

  /** What was kept, and one more. Rejects when any of it is refused again: it stays kept. */
  async flush(last: Unstamped): Promise<void> {
    const kept = this.#kept.splice(0).filter((one) => !isEmpty(one));
    const all = [...kept, this.#stamp(last)];
    // All settled: none may be lost because another one failed.
    const results = await Promise.allSettled(all.map((one) => this.#put(one)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #put(write: Write, when: "now" | "soon" = "now"): Promise<void> {
    const owed = hasState(write) ? this.#takeOwed() : [];
    try {
      await this.#follow(this.#store.write(together(owed, write), when));
    } catch (error) {
      this.#refusals += 1;
      this.#kept.push(...owed, withoutShares(write));
      this.#onTrouble(error);
      throw error;
    }
  }

  #takeOwed(): readonly Write[] {
    const owed = this.#kept.filter(isOwed);
    for (const one of owed) this.#kept.splice(this.#kept.indexOf(one), 1);
    return owed;
  }

  #follow<T>(writing: Promise<T>): Promise<T> {
    const over = () => void this.#underWay.delete(writing);
    this.#underWay.add(writing);
    writing.then(over, over);
    return writing;
  }

  #stamp(write: Unstamped): Write {
    return { ...write, at: this.#clock.now(), wall: this.#clock.wall() };
  }
}

/** Who shares which lease is said again with the next write, as it is by then: `Leases.refused`. */
function withoutShares({ leases: _leases, joins: _joins, ...rest }: Write): Write {
  return rest;
}

/** What is left of a heartbeat: it only tells that the disk failed, and does not fill the memory. */
function isEmpty({ at: _at, wall: _wall, ...rest }: Write): boolean {
  return Object.keys(rest).length === 0;
}
