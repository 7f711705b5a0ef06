// Amounts set aside by hand, noted apart: each stays held in every budget that covers it until somebody ends
// it or its time is over, through crashes too, and is never charged but by who says so (MONEY §3).

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { type Instant, SECOND } from "../../src/metering/time.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { belongsTo, perValueOf, unitOf } from "./checks.ts";
import { keyOf } from "./recount.ts";

interface Amount {
  readonly id: string;
  readonly user: string;
  readonly amount: bigint;
  readonly at: Instant;
  readonly until: Instant;
  /** Somebody has ended it; on disk it may be open yet. */
  isEnded: boolean;
}

/** A heartbeat looks each second; one that the disk holds up looks later. */
const GRACE = 3 * SECOND;

export class SetAside {
  readonly #all = new Map<string, Amount>();
  readonly #late = new Map<string, number>();

  allocated(one: Omit<Amount, "isEnded">): void {
    this.#all.set(one.id, { ...one, isEnded: false });
  }

  /** In the tick in which it is given back or settled. */
  ended(id: string): void {
    const known = this.#all.get(id);
    if (known !== undefined) known.isEnded = true;
  }

  stalled(): void {
    this.#late.clear();
  }

  /** What the disk has of them is open again; an end that was not written never happened. */
  reread(disk: FakeDisk): void {
    this.#late.clear();
    for (const [id, one] of this.#all) {
      const isOpen = disk.holds.has(id);
      if (!isOpen && !one.isEnded) throw new Error(`a crash has lost the allocation ${id}`);
      one.isEnded = !isOpen;
    }
  }

  check(accounts: LocalAccounts, policy: Policy, monotonic: number): void {
    const open = [...this.#all.values()].filter(({ isEnded }) => !isEnded);
    const listed = new Set(accounts.allocations.all().map(({ id }) => id));
    for (const { id, until } of open) {
      if (!listed.has(id)) throw new Error(`the allocation ${id} is gone, and nobody has ended it`);
      if (until > accounts.now()) continue;
      const since = this.#late.get(id) ?? monotonic;
      this.#late.set(id, since);
      if (monotonic - since > GRACE) throw new Error(`the allocation ${id} outlives its time`);
    }
    if (open.length > 0) for (const budget of policy.budgets) checkHeld(accounts, budget, open);
  }
}

/** Where it names a user it can count by user alone, as these allocations name nothing else. */
function checkHeld({ book }: LocalAccounts, budget: Budget, open: readonly Amount[]): void {
  const scopes = [...budget.when.keys(), ...(budget.per === undefined ? [] : [budget.per])];
  const isByUser = scopes.every((one) => one === "user");
  if (!budget.limits.has("usd") || budget.period === "per_task" || !isByUser) return;
  const users = budget.when.get("user");
  const due = new Map<string, bigint>();
  for (const { user, amount, at } of open) {
    if (users !== undefined && !users.includes(user)) continue;
    const key = keyOf(budget, at, budget.per === undefined ? "" : user);
    due.set(key, (due.get(key) ?? 0n) + amount);
  }
  const own = [...book.all()].filter(
    ({ account }) => unitOf(account) === "usd" && belongsTo(account, budget),
  );
  for (const [key, amount] of due) {
    const found = own.find(({ account, start }) => keyOf(budget, start, perValueOf(account)) === key);
    const held = found?.balance.held ?? 0n;
    if (held < amount) throw new Error(`${budget.id} holds ${held}, and ${amount} are set aside in it`);
  }
}
