// Raises that were granted, noted apart: a limit in force is the file's and what was added to it for now; no
// raise outlives its end by more than the minute within which a stepped clock is noticed.

import { type Instant, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Raise } from "../../src/policy/raise.ts";

const GRACE = MINUTE + SECOND;

export class Raised {
  readonly #all = new Map<string, Raise>();
  /** Since when each that is over was first seen to be in a limit yet. */
  readonly #late = new Map<string, number>();

  note(raise: Raise): void {
    this.#all.set(raise.id, raise);
  }

  /** Timers come late. */
  stalled(): void {
    this.#late.clear();
  }

  check(file: Policy, inForce: Policy, at: Instant, monotonic: number): void {
    if (this.#all.size === 0) return;
    for (const { id: budget, limits } of file.budgets) {
      for (const [unit, limit] of limits) {
        const own = [...this.#all.values()].filter((one) => one.budget === budget && one.unit === unit);
        const now = own.filter(({ until }) => until > at);
        const over = own.filter(({ until }) => until <= at);
        const raised = sumOf(now);
        const found = inForce.budgets.find(({ id }) => id === budget)?.limits.get(unit) ?? 0n;
        if (found === limit + raised) for (const { id } of over) this.#late.delete(id);
        else this.#checkLate({ budget, more: found - limit - raised, over, monotonic });
      }
    }
  }

  #checkLate(seen: {
    readonly budget: string;
    readonly more: bigint;
    readonly over: readonly Raise[];
    readonly monotonic: number;
  }): void {
    const { budget, more, over, monotonic } = seen;
    const mayBe = over.filter(({ id }) => monotonic - (this.#late.get(id) ?? monotonic) <= GRACE);
    for (const { id } of over) this.#late.set(id, this.#late.get(id) ?? monotonic);
    if (more < 0n || more > sumOf(mayBe))
      throw new Error(`the limit of ${budget} is ${more} above what the file and its raises say`);
  }
}

function sumOf(raises: readonly Raise[]): bigint {
  return raises.reduce((sum, { amount }) => sum + amount, 0n);
}
