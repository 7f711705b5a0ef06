// What earlier attempts of a request that still goes on were charged: a start-up that it shared in vain,
// before it was sent elsewhere. Its record says in the end what all of its entries add up to.

import { add, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { Decision } from "../policy/decision.ts";
import type { Task } from "../policy/task.ts";
import { decisionRow } from "./rows.ts";
import type { Unstamped } from "./store.ts";

export class Attempts {
  readonly #charged = new Map<string, NanoUsd>();

  /** It goes on, and this was charged. */
  charge(request: string, amount: NanoUsd): void {
    const all = add(this.#charged.get(request) ?? ZERO_USD, amount);
    if (all > 0n) this.#charged.set(request, all);
  }

  /** It is over: what was charged before its last attempt. */
  end(request: string): NanoUsd {
    const before = this.#charged.get(request) ?? ZERO_USD;
    this.#charged.delete(request);
    return before;
  }

  /** The record of one that is not sent; with what it was charged before, where it ends so. */
  unsent(task: Task, decision: Decision, at: Instant): Unstamped {
    const row = decisionRow(task, decision, undefined);
    const charged = row.outcome === undefined ? ZERO_USD : this.end(task.id);
    if (row.outcome === undefined || charged === 0n) return { decision: row };
    const nothing = { status: undefined, elapsed: 0 as DurationUs, after: [], actions: [] };
    return {
      decision: row,
      ending: { request: task.id, endedAt: at, outcome: row.outcome, charged, ...nothing },
    };
  }
}
