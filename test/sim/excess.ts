// How far each enforcing budget is past its limit, and whether it may be (MONEY §1): every budget here cuts, so
// an excess appears only in the tick of a reload, by as much as containers cost that it counts, or by as much as
// its limit falls when a raise ends; and only shrinks otherwise.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { factsOfContainer } from "../../src/ledger/container.ts";
import { periodOf } from "../../src/metering/period.ts";
import { formatInstant, type Instant } from "../../src/metering/time.ts";
import { coveringContainer, type Ground, periodFor } from "../../src/policy/match.ts";
import { type Budget, isEnforcing, type Policy } from "../../src/policy/policy.ts";
import { belongsTo, unitOf } from "./checks.ts";

/** By how much containers can have added to what a budget counts since it was asked last. */
export type Growth = (budget: Budget, unit: string) => bigint;

export class Excess {
  #allowed = new Map<string, bigint>();
  /** By how much limits fell since the last look, by budget and unit. */
  #falls: ReadonlyMap<string, bigint> = new Map();
  /** What containers may have added, by budget and unit, and no balance shows yet. */
  #unseen = new Map<string, bigint>();

  /** In the tick in which a policy came into force: limits fell, budgets came, holds were placed. */
  turned(accounts: LocalAccounts, policy: Policy): void {
    this.#allowed = new Map(excesses(accounts, policy).map(({ key, over }) => [key, over]));
  }

  /** A raise has ended: each of these limits is lower by so much, and by no more. */
  lowered(falls: ReadonlyMap<string, bigint>): void {
    this.#falls = falls;
  }

  check(accounts: LocalAccounts, policy: Policy, growth: Growth): void {
    const now = excesses(accounts, policy);
    const left = new Map<string, bigint>();
    for (const budget of policy.budgets.filter(isEnforcing))
      for (const unit of budget.limits.keys()) left.set(`${budget.id} ${unit}`, growth(budget, unit));
    for (const { key, over, what, budget, unit, isOver } of now) {
      const name = `${budget.id} ${unit}`;
      const rise = over - (this.#allowed.get(key) ?? 0n) - (this.#falls.get(name) ?? 0n);
      // A period that is over gets its rest with the next post.
      const unseen = isOver ? (this.#unseen.get(name) ?? 0n) : 0n;
      if (rise > growth(budget, unit) + unseen) throw new Error(what());
      if (rise > 0n) left.set(name, (left.get(name) ?? 0n) - rise);
    }
    for (const [name, rest] of left)
      if (rest > 0n) this.#unseen.set(name, (this.#unseen.get(name) ?? 0n) + rest);
    this.#falls = new Map();
    this.#allowed = new Map(now.map(({ key, over }) => [key, over]));
  }
}

interface Found {
  readonly key: string;
  readonly over: bigint;
  readonly what: () => string;
}

function excesses(accounts: LocalAccounts, policy: Policy) {
  const found: (Found & { readonly budget: Budget; readonly unit: string; readonly isOver: boolean })[] = [];
  const view = accounts.view();
  const enforcing = policy.budgets.filter(isEnforcing);
  for (const { account, start } of counted(accounts, policy)) {
    const balance = view.balance(account, start);
    if (balance.held < 0n) throw new Error(`${account} holds less than nothing: ${balance.held}`);
    const taken = balance.settled + balance.held;
    if (taken === 0n) continue;
    for (const budget of enforcing) {
      const unit = unitOf(account);
      const limit = budget.limits.get(unit);
      if (limit === undefined || taken <= limit || !belongsTo(account, budget)) continue;
      // What resets forgave is counted apart: resets.ts.
      const seen = taken - accounts.book.relief({ budget } as Ground, account, { start, end: start });
      if (seen <= limit) continue;
      const what = () =>
        `${budget.id} is past its limit of ${limit} in the period of ${formatInstant(start)}: ` +
        `${balance.settled} settled, ${balance.held} held`;
      const key = `${start}|${account}|${budget.id}`;
      found.push({
        key,
        over: seen - limit,
        what,
        budget,
        unit,
        isOver: isOver(budget, policy, start, view.at),
      });
    }
  }
  return found;
}

function isOver({ period, resetDay }: Budget, { timezone }: Policy, start: Instant, at: Instant): boolean {
  return periodOf(period, timezone, resetDay, at).start > start;
}

/** What the book has, and what counts a container of which nothing is posted yet. */
function counted(accounts: LocalAccounts, policy: Policy) {
  const { at } = accounts.view();
  const all = new Map<string, { readonly account: string; readonly start: Instant }>();
  for (const { about } of accounts.leases.containers()) {
    for (const { account, ground } of coveringContainer(policy, factsOfContainer(about))) {
      const { start } = periodFor(ground, at);
      all.set(`${start}|${account}`, { account, start });
    }
  }
  for (const { account, start } of accounts.book.all()) all.set(`${start}|${account}`, { account, start });
  return all.values();
}
