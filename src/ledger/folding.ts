// Gives a new, renamed or rescoped budget the balance it would have had (MONEY §4), while requests go on, and
// what its resets have forgiven of that. From the moment the question is put to the store, every settlement
// counts in the new accounts too; the store answers in write order, so nothing is missed and nothing is
// counted twice.

import { type Period, periodOf } from "../metering/period.ts";
import { DAY, EPOCH, earlier, type Instant, latest } from "../metering/time.ts";
import { type Coverage, counting, type Facts, type Ground, groundsOf, periodFor } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import type { Book } from "./book.ts";
import { type FoldQuestion, type Forgiven, type Store, StoreError } from "./store.ts";

/** By ground: entries of before then were gone when it was folded, and no sum says all of them. */
export type Gaps = ReadonlyMap<string, Instant>;
export const NO_GAPS: Gaps = new Map();

/** Undefined where the balance of that moment misses nothing. */
export function missedBefore(gaps: Gaps, ground: Ground, at: Instant): Instant | undefined {
  const before = gaps.get(ground.key);
  return before !== undefined && periodFor(ground, at).start < before ? before : undefined;
}

export class Folding {
  readonly #store: Store;
  readonly #book: Book;
  #tracked: ReadonlySet<string>;
  #gaps: Gaps;
  #preparing: Policy | undefined;
  /** Budgets and their grounds whose reliefs the book knows. */
  #relieved: ReadonlySet<string> = new Set();

  /** `tracked`: the grounds whose stored balances are complete, as far as `gaps` does not say otherwise. */
  constructor(store: Store, book: Book, tracked: readonly string[], gaps = NO_GAPS) {
    this.#store = store;
    this.#book = book;
    this.#tracked = new Set(tracked);
    this.#gaps = gaps;
  }

  /** Of the policy in force. */
  get gaps(): Gaps {
    return this.#gaps;
  }

  /** Counting for a policy that is not in force yet. */
  get isUnderWay(): boolean {
    return this.#preparing !== undefined;
  }

  /**
   * Resolves to the call that makes the new grounds the ones in force. Rejects: nothing has changed, on disk
   * neither. `refusals` counts the writes that the disk has refused so far.
   */
  async run(policy: Policy, at: Instant, refusals: () => number): Promise<() => void> {
    const grounds = groundsOf(policy);
    const keys = new Set(grounds.map((ground) => ground.key));
    const isSame = keys.size === this.#tracked.size && [...keys].every((key) => this.#tracked.has(key));
    if (isSame) return this.#forgive(policy, at);
    const missing = grounds.filter((ground) => !this.#tracked.has(ground.key));
    const questions = new Map(missing.map((ground) => [ground.key, questionOf(ground, at)]));
    this.#preparing = policy;
    for (const { key } of missing) this.#book.unsettle(key);
    const before = refusals();
    let relieve: () => void;
    const gaps = new Map([...this.#gaps].filter(([key]) => keys.has(key)));
    try {
      const { changes, gaps: found } = await this.#store.fold([...questions.values()]);
      // A write that was on its way when counting began is in no fold once it was refused.
      if (refusals() !== before) {
        throw new StoreError("the ledger could not be written meanwhile: save the policy again", false);
      }
      for (const { key, before: then } of found) gaps.set(key, then);
      for (const change of changes) this.#book.load(change);
      relieve = await this.#forgive(policy, at);
      await this.#store.track([...keys]);
    } catch (error) {
      this.#preparing = undefined;
      throw error;
    }
    return () => {
      this.#tracked = keys;
      this.#gaps = gaps;
      this.#preparing = undefined;
      relieve();
    };
  }

  /** Of budgets that are new to the policy, or count something else than in the one in force. */
  async #forgive(policy: Policy, at: Instant): Promise<() => void> {
    const grounds = groundsOf(policy);
    const asked = grounds.filter((ground) => !this.#relieved.has(nameOf(ground)));
    const questions = asked.map((ground) => ({ budget: ground.budget.id, ...questionOf(ground, at) }));
    let all: readonly Forgiven[] = [];
    // A reset that is made meanwhile is of what the budget counted until now.
    for (let adjusted = -1; adjusted !== this.#book.adjusted && questions.length > 0; ) {
      adjusted = this.#book.adjusted;
      all = await this.#store.forgiven(questions);
    }
    return () => {
      for (const { budget, key } of questions) {
        const own = all.filter((one) => one.budget === budget && isOf(key, one.account));
        this.#book.relieve(budget, key, own);
      }
      this.#relieved = new Set(grounds.map(nameOf));
    };
  }

  /** The accounts that only the policy in preparation has. */
  counting(facts: Facts, cover = counting): readonly Coverage[] {
    if (this.#preparing === undefined) return [];
    return cover(this.#preparing, facts).filter(({ ground }) => !this.#tracked.has(ground.key));
  }
}

function nameOf({ budget, key }: Ground): string {
  return `${budget.id}|${key}`;
}

function isOf(ground: string, account: string): boolean {
  return account === ground || account.startsWith(`${ground}=`);
}

export function questionOf(ground: Ground, at: Instant): FoldQuestion {
  const period: Period = periodOf(ground.budget.period, ground.timezone, ground.budget.resetDay, at);
  const isGrouped = ground.budget.period === "per_session" || ground.budget.period === "per_task";
  return {
    key: ground.key,
    unit: ground.unit,
    per: ground.per,
    when: [...ground.budget.when],
    requestsOnly: ground.unit !== "usd" || !ground.budget.includeIdle,
    // Sessions and tasks are short: what is older than a day is over.
    since: isGrouped ? latest(EPOCH, earlier(at, DAY)) : period.start,
    ...period,
  };
}
