// What a request that is still running has been posted so far, by kind and quarter-hour: what it is posted
// next is the difference. Floors of running totals only grow, so the differences add up to the whole, to the
// nano-dollar, however often it was asked.

import { add, type NanoUsd, nanoUsd, subtract, ZERO_USD } from "./money.ts";
import type { Part, PartKind } from "./part.ts";
import {
  type DurationUs,
  durationUs,
  earlier,
  earliest,
  type Instant,
  later,
  QUARTER_HOUR,
  quarterHourOf,
} from "./time.ts";

const MICROSECOND = durationUs(1);

interface Sum {
  readonly kind: PartKind;
  readonly quarter: Instant;
  readonly amount: NanoUsd;
  readonly elapsed: DurationUs;
}

export class Posted {
  readonly #sums = new Map<string, Sum>();

  constructor(parts: readonly Part[] = []) {
    this.add(parts);
  }

  get amount(): NanoUsd {
    return add(ZERO_USD, ...[...this.#sums.values()].map(({ amount }) => amount));
  }

  /** Of work: start-up that it waited for aside. */
  get elapsed(): DurationUs {
    const work = [...this.#sums.values()].filter(({ kind }) => kind !== "startup");
    return durationUs(work.reduce((sum, { elapsed }) => sum + elapsed, 0));
  }

  add(parts: readonly Part[]): void {
    for (const { kind, at, amount, elapsed } of parts) this.#change(kind, at, amount, elapsed);
  }

  /** Undoes `add`. */
  remove(parts: readonly Part[]): void {
    for (const { kind, at, amount, elapsed } of parts) {
      this.#change(kind, at, nanoUsd(-amount), -elapsed);
    }
  }

  /**
   * What of these running totals is in none of the posts yet; nothing of a part that is. Never less than
   * nothing: what was posted stays posted.
   */
  rest(totals: readonly Part[]): readonly Part[] {
    const left = new Map(this.#sums);
    return totals.flatMap((part): readonly Part[] => {
      const key = keyOf(part.kind, part.at);
      const before = left.get(key);
      if (before === undefined) return [part];
      const amount = part.amount < before.amount ? part.amount : before.amount;
      const elapsed = durationUs(Math.min(part.elapsed, before.elapsed));
      left.set(key, {
        ...before,
        amount: subtract(before.amount, amount),
        elapsed: durationUs(before.elapsed - elapsed),
      });
      const rest = subtract(part.amount, amount);
      const time = durationUs(part.elapsed - elapsed);
      if (rest === 0n && time === 0) return [];
      // Money without time of its own stays in its quarter-hour.
      const last = earlier(later(before.quarter, QUARTER_HOUR), MICROSECOND);
      return [{ ...part, at: earliest(later(part.at, elapsed), last), amount: rest, elapsed: time }];
    });
  }

  /** Of the quarter-hours in [start, end). */
  within(start: Instant, end: Instant): { readonly amount: NanoUsd; readonly elapsed: DurationUs } {
    const inside = [...this.#sums.values()].filter(({ quarter }) => quarter >= start && quarter < end);
    const work = inside.filter(({ kind }) => kind !== "startup");
    return {
      amount: add(ZERO_USD, ...inside.map(({ amount }) => amount)),
      elapsed: durationUs(work.reduce((sum, { elapsed }) => sum + elapsed, 0)),
    };
  }

  #change(kind: PartKind, at: Instant, amount: NanoUsd, elapsed: number): void {
    const key = keyOf(kind, at);
    const before = this.#sums.get(key);
    this.#sums.set(key, {
      kind,
      quarter: quarterHourOf(at),
      amount: add(before?.amount ?? ZERO_USD, amount),
      elapsed: durationUs((before?.elapsed ?? 0) + elapsed),
    });
  }
}

function keyOf(kind: PartKind, at: Instant): string {
  return `${kind} ${quarterHourOf(at)}`;
}
