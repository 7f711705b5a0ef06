// When entries are old enough to be dropped, and balances of sessions and tasks silent for long enough to be
// forgotten, and that they are: a few with each heartbeat, so that the writer's thread is kept no longer than
// by a commit. What goes, and what never does, is dropping.ts's and silent.ts's.

import { periodOf } from "../metering/period.ts";
import { DAY, EPOCH, earlier, HOUR, type Instant, later, latest } from "../metering/time.ts";
import type { AccountKey } from "../policy/decision.ts";
import { groundsOf } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import { ENTRIES_KEPT } from "../policy/rolled-up.ts";
import type { Book } from "./book.ts";
import { MOST_DROPPED } from "./dropping.ts";
import type { InTurn } from "./in-turn.ts";
import { type Forgotten, SILENT_FOR, type Silence } from "./silent.ts";

export interface RetentionParts {
  readonly store: {
    drop(before: Instant): Promise<number>;
    forgetSilent(silence: Silence): Promise<Forgotten>;
  };
  readonly accounts: {
    /** In force. */
    readonly policy: Policy;
    /** A policy that is put in force counts what is there: it must not go meanwhile. */
    readonly turns: InTurn;
    readonly book: Pick<Book, "forgotten">;
    /** These have more left than before. */
    freed(accounts: readonly AccountKey[]): void;
    now(): Instant;
  };
  readonly onTrouble: (error: unknown) => void;
}

export class Retention {
  readonly #parts: RetentionParts;
  #next: Instant = EPOCH;
  /** Where forgetting goes on; undefined: at the first balance. */
  #after: AccountKey | undefined;
  #isUnderWay = false;
  #done: Promise<void> = Promise.resolve();

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** With each heartbeat. Resolves when it is done for now. */
  look(): Promise<void> {
    if (!this.#isUnderWay && this.#parts.accounts.now() >= this.#next) this.#done = this.#drop();
    return this.#done;
  }

  /** Nobody asks it to look any more. */
  close(): Promise<void> {
    return this.#done;
  }

  async #drop(): Promise<void> {
    const { store, accounts, onTrouble } = this.#parts;
    this.#isUnderWay = true;
    try {
      const drop = () => store.drop(keptFrom(accounts.policy, accounts.now()));
      const dropped = await accounts.turns.take(drop);
      await accounts.turns.take(() => this.#forget());
      // While more are left it goes on with the next heartbeat.
      const isDone = dropped < MOST_DROPPED && this.#after === undefined;
      if (isDone) this.#next = later(accounts.now(), HOUR);
    } catch (error) {
      this.#next = later(accounts.now(), HOUR);
      onTrouble(error);
    } finally {
      this.#isUnderWay = false;
    }
  }

  async #forget(): Promise<void> {
    const { store, accounts } = this.#parts;
    const before = latest(EPOCH, earlier(accounts.now(), SILENT_FOR));
    const { accounts: lapsed, next } = await store.forgetSilent({ before, after: this.#after });
    this.#after = next;
    for (const one of lapsed) accounts.book.forgotten(one);
    accounts.freed(lapsed.map(({ account }) => account));
  }
}

/**
 * Entries from then on are kept: those of every open period of a budget in force, which for `infinite` are
 * all, and those that are not old yet. The beginning of a UTC day: sums of days stand for what is before.
 */
export function keptFrom(policy: Policy, at: Instant): Instant {
  const starts = groundsOf(policy).flatMap(({ budget: { period, resetDay }, timezone }) =>
    // Sessions and tasks are counted back for a day at most (folding.ts).
    period === "per_session" || period === "per_task" ? [] : [periodOf(period, timezone, resetDay, at).start],
  );
  const oldest = Math.min(...starts, latest(EPOCH, earlier(at, ENTRIES_KEPT)));
  return (oldest - (oldest % DAY)) as Instant;
}
