// Gives a new, renamed or rescoped budget the balance it would have had (MONEY §4), while requests go on.
// From the moment the question is put to the store, every settlement counts in the new accounts too; the
// store answers in write order, so nothing is missed and nothing is counted twice.

import { type Period, periodOf } from "../metering/period.ts";
import { DAY, EPOCH, earlier, type Instant, latest } from "../metering/time.ts";
import { type Coverage, counting, type Facts, type Ground, groundsOf } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import type { Book } from "./book.ts";
import { type FoldQuestion, type Store, StoreError } from "./store.ts";

export class Folding {
  readonly #store: Store;
  readonly #book: Book;
  #tracked: ReadonlySet<string>;
  #preparing: Policy | undefined;

  /** `tracked`: the grounds whose stored balances are complete. */
  constructor(store: Store, book: Book, tracked: readonly string[]) {
    this.#store = store;
    this.#book = book;
    this.#tracked = new Set(tracked);
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
    if (isSame) return () => undefined;
    const missing = grounds.filter((ground) => !this.#tracked.has(ground.key));
    const questions = new Map(missing.map((ground) => [ground.key, questionOf(ground, at)]));
    this.#preparing = policy;
    for (const { key } of missing) this.#book.unsettle(key);
    const before = refusals();
    try {
      const changes = await this.#store.fold([...questions.values()]);
      // A write that was on its way when counting began is in no fold once it was refused.
      if (refusals() !== before) {
        throw new StoreError("the ledger could not be written meanwhile: save the policy again", false);
      }
      for (const change of changes) this.#book.load(change);
      await this.#store.track([...keys]);
    } catch (error) {
      this.#preparing = undefined;
      throw error;
    }
    return () => {
      this.#tracked = keys;
      this.#preparing = undefined;
    };
  }

  /** The accounts that only the policy in preparation has. */
  counting(facts: Facts, cover = counting): readonly Coverage[] {
    if (this.#preparing === undefined) return [];
    return cover(this.#preparing, facts).filter(({ ground }) => !this.#tracked.has(ground.key));
  }
}

function questionOf(ground: Ground, at: Instant): FoldQuestion {
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
