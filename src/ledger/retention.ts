// When entries are old enough to be dropped, and that they are: a few with each heartbeat, so that the
// writer's thread is kept no longer than by a commit. What goes, and what never does, is dropping.ts's.

import { periodOf } from "../metering/period.ts";
import { DAY, EPOCH, earlier, HOUR, type Instant, later, latest } from "../metering/time.ts";
import { groundsOf } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import { ENTRIES_KEPT } from "../policy/rolled-up.ts";
import { MOST_DROPPED } from "./dropping.ts";
import type { InTurn } from "./in-turn.ts";

export interface RetentionParts {
  readonly store: { drop(before: Instant): Promise<number> };
  /** A policy that is put in force counts what is there: it must not go meanwhile. */
  readonly turns: InTurn;
  readonly onTrouble: (error: unknown) => void;
  /** In force. */
  policy(): Policy;
  now(): Instant;
}

export class Retention {
  readonly #parts: RetentionParts;
  #next: Instant = EPOCH;
  #isUnderWay = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** With each heartbeat. Resolves when it is done for now. */
  async look(): Promise<void> {
    const { store, turns, policy, now, onTrouble } = this.#parts;
    if (this.#isUnderWay || now() < this.#next) return;
    this.#isUnderWay = true;
    try {
      const dropped = await turns.take(() => store.drop(keptFrom(policy(), now())));
      // While more are left it goes on with the next heartbeat.
      if (dropped < MOST_DROPPED) this.#next = later(now(), HOUR);
    } catch (error) {
      this.#next = later(now(), HOUR);
      onTrouble(error);
    } finally {
      this.#isUnderWay = false;
    }
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
