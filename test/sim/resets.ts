// What resets of budgets must have forgiven, by nothing but the entries: each that the budget counted when it
// was reset, in the period of that moment, whatever the budget counts later (MONEY §4: its id carries them).

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { Write } from "../../src/ledger/store.ts";
import type { Instant } from "../../src/metering/time.ts";
import type { Ground } from "../../src/policy/match.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import { belongsTo, perValueOf, unitOf } from "./checks.ts";
import { countedAt, keyOf, type Line, recount } from "./recount.ts";

interface Reset {
  readonly budget: Budget;
  /** Of `per`: one balance, or all. */
  readonly value: string | undefined;
  readonly at: Instant;
  readonly seen: ReadonlySet<Line>;
}

/** A request that is a task of its own is not reset, by what its id looks like; here ids are short. */
const OWN_TASK = /\|task=r-\d+$/;

export class Resets {
  /** Counted in memory by now. */
  #counted = new Set<Line>();
  readonly #all: Reset[] = [];

  /** A restart knows what is on disk. */
  reread(entries: Iterable<Line>): void {
    this.#counted = new Set(entries);
  }

  handed({ entries = [] }: Pick<Write, "entries">): void {
    for (const entry of entries) this.#counted.add(entry);
  }

  /** What is only tried is not counted once the disk refuses it; an ending, or container money, stays so. */
  refused({ entries = [], hold, rehold }: Write): void {
    if (hold === undefined && rehold === undefined) return;
    for (const entry of entries) this.#counted.delete(entry);
  }

  /** In the tick in which it looks at what is settled; on disk it may be refused yet. */
  begin(budget: Budget, value: string | undefined, at: Instant): () => void {
    const reset: Reset = { budget, value, at, seen: new Set(this.#counted) };
    return () => void this.#all.push(reset);
  }

  get count(): number {
    return this.#all.length;
  }

  /** After every event: what the book takes off for each budget is that. */
  check(accounts: LocalAccounts, policy: Policy): void {
    if (this.#all.length === 0) return;
    const { at } = accounts.view();
    for (const budget of policy.budgets) {
      const own = this.#all.filter((reset) => reset.budget.id === budget.id);
      if (own.length === 0) continue;
      for (const unit of budget.limits.keys()) {
        const forgiven = recount(this.#forgivenOf(own, unit), budget, unit);
        for (const { account, start } of accounts.book.all()) {
          if (unitOf(account) !== unit || !belongsTo(account, budget)) continue;
          if (OWN_TASK.test(account)) continue;
          const key = keyOf(budget, at, perValueOf(account));
          if (key !== keyOf(budget, start, perValueOf(account))) continue;
          const due = forgiven.get(key) ?? 0n;
          const taken = accounts.book.relief({ budget } as Ground, account, { start, end: start });
          if (taken !== (due > 0n ? due : 0n))
            throw new Error(`${budget.id} is forgiven ${taken} of ${account}, and its resets forgave ${due}`);
        }
      }
    }
  }

  /** Idle that is taken back for a time before the reset was a part of what it forgave. */
  *#forgivenOf(own: readonly Reset[], unit: string): Iterable<Line> {
    for (const entry of this.#counted) {
      const isTakenBack = entry.kind === "adjusted" && entry.request === undefined && entry.amount < 0n;
      const isForgiven = own.some(
        (reset) =>
          (reset.seen.has(entry) || (isTakenBack && entry.at < reset.at)) && isOf(reset, entry, unit),
      );
      if (isForgiven) yield entry;
    }
  }
}

/** Counted by the budget as it was then, in the period and for the value that were reset. */
function isOf({ budget, value, at }: Reset, entry: Line, unit: string): boolean {
  const key = countedAt(entry, budget, unit);
  if (key === undefined) return false;
  const own = key.slice(key.indexOf("|") + 1);
  return key === keyOf(budget, at, value ?? own);
}
