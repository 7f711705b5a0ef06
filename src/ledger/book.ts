// The balances in memory: what every account has settled and held in each of its periods. It knows no
// limit and no clock; accounts.ts asks it inside a decision, so a read is two Map lookups.

import { type Balance, EMPTY_BALANCE, type Movement, move } from "../metering/balance.ts";
import { minus, NOTHING, type Quantity, sum } from "../metering/quantity.ts";
import { EPOCH, type Instant } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";
import type { ReliefOf } from "../policy/relief.ts";
import type { Adjustment } from "./adjustments.ts";
import { Reliefs } from "./reliefs.ts";
import { isPassing, type Lapsed } from "./silent.ts";
import type { Forgiven } from "./store.ts";

/** A movement of one balance, as it is written to disk beside the entry that caused it. */
export interface BalanceChange {
  readonly account: AccountKey;
  readonly start: Instant;
  readonly end: Instant;
  readonly settled: Quantity;
  readonly held: Quantity;
}

/** A negative movement: of what was counted for `of`. */
interface TakenBack {
  readonly account: AccountKey;
  readonly start: Instant;
  readonly of: Instant;
  readonly amount: Quantity;
}

interface Page {
  readonly end: Instant;
  balance: Balance;
}

export class Book {
  readonly #accounts = new Map<AccountKey, Map<Instant, Page>>();
  readonly #reliefs = new Reliefs();
  /** Of adjustments that are being written. */
  readonly #notes = new Set<TakenBack[]>();
  /** What adjustments have taken off what one budget sees of a balance: never more than is settled there. */
  readonly relief: ReliefOf = (on, account, period) => this.#reliefs.of(on, account, period);
  /** How often somebody has adjusted, or something was taken back. */
  adjusted = 0;
  #onMove: (account: AccountKey) => void = () => undefined;

  /** Told of each movement once it is made; it must only take note. */
  watch(call: (account: AccountKey) => void): void {
    this.#onMove = call;
  }

  balance(account: AccountKey, start: Instant): Balance {
    return this.#accounts.get(account)?.get(start)?.balance ?? EMPTY_BALANCE;
  }

  /** Applies a movement and returns it as a change to be written. `of`: the moment that it is counted for. */
  move(
    account: AccountKey,
    period: { start: Instant; end: Instant },
    movement: Movement,
    of?: Instant,
  ): BalanceChange {
    const page = this.#page(account, period.start, period.end);
    page.balance = move(page.balance, movement);
    // What is taken back of what was forgiven is not forgiven a second time.
    if (movement.kind === "settle" && movement.amount < 0n) {
      this.adjusted += 1;
      if (of !== undefined) this.#takeBack({ account, start: period.start, of, amount: movement.amount });
      this.#cap(account, period.start);
    }
    this.#onMove(account);
    return { account, start: period.start, end: period.end, ...changeOf(movement) };
  }

  /** Adds what was counted elsewhere: a stored balance at start, a fold for a new budget. */
  load(change: BalanceChange): void {
    const page = this.#page(change.account, change.start, change.end);
    page.balance = {
      settled: sum(page.balance.settled, change.settled),
      held: sum(page.balance.held, change.held),
    };
  }

  /** While `write` is under way, what is taken back of what they forgive is noted: they begin without it. */
  async adjusting(adjustments: readonly Adjustment[], write: () => Promise<void>): Promise<void> {
    const notes: TakenBack[] = [];
    this.#notes.add(notes);
    try {
      await write();
    } finally {
      this.#notes.delete(notes);
    }
    for (const adjustment of adjustments) this.adjust(adjustment, notes);
  }

  /** No balance moves: it counts for one budget only. */
  adjust(adjustment: Adjustment, meanwhile: readonly TakenBack[] = []): void {
    this.adjusted += 1;
    this.#reliefs.add(adjustment);
    const own = { account: adjustment.account, start: adjustment.period.start };
    for (const { account, start, of, amount } of meanwhile)
      if (account === own.account && start === own.start)
        this.#reliefs.takeBack(account, start, of, amount, adjustment.budget);
    this.#cap(adjustment.account, adjustment.period.start);
    this.#onMove(adjustment.account);
  }

  /** What resets have forgiven of what a budget counts now, whatever it counted then. */
  relieve(budget: string, ground: string, all: readonly Forgiven[]): void {
    this.#reliefs.replace(budget, ground, all);
    for (const { account, start } of all) this.#cap(account, start);
  }

  /**
   * Takes off what the disk has forgotten there. What has moved since is not on disk yet, and stays: memory
   * is what the disk will be.
   */
  forgotten({ account, settled }: Lapsed): void {
    const page = this.#accounts.get(account)?.get(EPOCH);
    if (page === undefined) return;
    page.balance = { settled: minus(page.balance.settled, settled), held: page.balance.held };
    if (page.balance.settled === 0n && page.balance.held === 0n) this.#accounts.delete(account);
  }

  /** Forgets a balance that nobody will look at again. */
  drop(account: AccountKey): void {
    this.#accounts.delete(account);
  }

  /** Sets what a ground has settled back to nothing: a fold is about to count it anew. Holds stay. */
  unsettle(ground: string): void {
    for (const [account, pages] of this.#accounts) {
      if (account !== ground && !account.startsWith(`${ground}=`)) continue;
      for (const page of pages.values()) page.balance = { settled: NOTHING, held: page.balance.held };
    }
  }

  /**
   * Forgets periods that are over and hold nothing, and sessions and tasks of which nothing was counted, as
   * of free work: memory follows what is in use.
   */
  forget(before: Instant): void {
    this.#reliefs.forget(before);
    for (const [account, pages] of this.#accounts) {
      for (const [start, page] of pages) {
        if (page.balance.held !== 0n) continue;
        if (page.end <= before || (page.balance.settled === 0n && isPassing(account))) pages.delete(start);
      }
      if (pages.size === 0) this.#accounts.delete(account);
    }
  }

  *all(): Iterable<{ account: AccountKey; start: Instant; balance: Balance }> {
    for (const [account, pages] of this.#accounts) {
      for (const [start, page] of pages) yield { account, start, balance: page.balance };
    }
  }

  #takeBack(one: TakenBack): void {
    for (const notes of this.#notes) notes.push(one);
    this.#reliefs.takeBack(one.account, one.start, one.of, one.amount);
  }

  #cap(account: AccountKey, start: Instant): void {
    this.#reliefs.cap(account, start, this.balance(account, start).settled);
  }

  #page(account: AccountKey, start: Instant, end: Instant): Page {
    const pages = this.#accounts.get(account) ?? new Map<Instant, Page>();
    const page = pages.get(start) ?? { end, balance: EMPTY_BALANCE };
    pages.set(start, page);
    this.#accounts.set(account, pages);
    return page;
  }
}

function changeOf(movement: Movement): { settled: Quantity; held: Quantity } {
  switch (movement.kind) {
    case "hold":
      return { settled: NOTHING, held: movement.amount };
    case "unhold":
      return { settled: NOTHING, held: minus(NOTHING, movement.amount) };
    case "settle":
      return { settled: movement.amount, held: NOTHING };
  }
}

/** Accounts of which less is taken after these changes than before. */
export function freedBy(changes: readonly BalanceChange[]): readonly AccountKey[] {
  const sums = new Map<AccountKey, Quantity>();
  for (const { account, settled, held } of changes) {
    sums.set(account, sum(sums.get(account) ?? NOTHING, settled, held));
  }
  return [...sums].filter(([, moved]) => moved < 0n).map(([account]) => account);
}
