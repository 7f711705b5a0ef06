// What must hold at the end of a run: nothing is held, the entries give the book, and who was sent somewhere
// ended once.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { Unit } from "../../src/metering/quantity.ts";
import { covering, type Facts } from "../../src/policy/match.ts";
import { type Budget, isEnforcing, type Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { keyOf, recount } from "./recount.ts";
import type { Client } from "./upstreams.ts";

/** At the end: nothing held, the entries give the balances, in memory and on disk. */
export function checkBook(
  accounts: LocalAccounts,
  disk: FakeDisk,
  policy: Policy,
  wasReloaded = false,
): void {
  if (accounts.open > 0 || disk.holds.size > 0) {
    throw new Error(`${accounts.open} holds are open in memory, ${disk.holds.size} on disk`);
  }
  if (accounts.outbox.kept > 0) throw new Error(`${accounts.outbox.kept} endings were never written`);
  const all = policy.budgets.flatMap((budget) => [...budget.limits.keys()].map((unit) => ({ budget, unit })));
  for (const { budget, unit } of all) {
    const counted = recount(disk.entries, budget, unit);
    for (const { account, start, end, settled, held } of disk.balances.values()) {
      if (unitOf(account) !== unit || !belongsTo(account, budget)) continue;
      // A fold counts the period that it is asked in: what came before is nobody's once a budget was away.
      if (wasReloaded && (accounts.now() >= end || accounts.now() < start)) continue;
      if (wasReloaded && isOld(disk, accounts.now(), perValueOf(account))) continue;
      const expected = counted.get(keyOf(budget, start, perValueOf(account))) ?? 0n;
      if (settled !== expected || held !== 0n) {
        throw new Error(
          `${account} on disk says ${settled} settled and ${held} held; its entries say ${expected}`,
        );
      }
      const live = accounts.book.balance(account, start);
      const isOver = end <= accounts.now();
      if (!isOver && live.settled !== settled) {
        throw new Error(`${account} in memory says ${live.settled}, on disk ${settled}`);
      }
    }
  }
}

/** Sent is ended once and recorded once; nothing unsent is charged. */
export function checkRecord(clients: readonly Client[], disk: FakeDisk, hadPowerCut: boolean): void {
  for (const client of clients) {
    const own = disk.entries.filter(({ request }) => request === client.id);
    const last = own.filter(({ isLast }) => isLast);
    const charged = own.filter(({ kind }) => kind === "settled" || kind === "startup");
    const mayBeLost = client.batched && hadPowerCut && own.length === 0;
    if (client.sent && !mayBeLost && last.length !== 1)
      throw new Error(`${client.id} was sent and ended ${last.length} times`);
    if (client.seen === "complete" && !mayBeLost && charged.length === 0)
      throw new Error(`${client.id} was complete and free`);
    const count = (wanted: string) => own.filter(({ kind }) => kind === wanted).length;
    const settled = last.filter(({ kind }) => kind !== "released").length;
    if (last.length > 1) throw new Error(`${client.id} ended ${last.length} times`);
    if (count("reserved") !== count("released") + settled) {
      throw new Error(
        `${client.id}: ${count("reserved")} holds, ${count("released")} released, ${settled} settled`,
      );
    }
  }
}

/** Whether any budget can refuse it. */
export function isEnforced(policy: Policy, facts: Facts): boolean {
  return covering(policy, facts).some(({ ground }) => isEnforcing(ground.budget));
}

export function unitOf(account: string): Unit {
  return account.slice(0, account.indexOf("|")) as Unit;
}

/** The simulated policies have no two budgets on the same ground, so a key tells the budget. */
export function belongsTo(account: string, budget: Budget): boolean {
  const known = belonging.get(budget) ?? new Map<string, boolean>();
  belonging.set(budget, known);
  const found = known.get(account) ?? isOf(account, budget);
  known.set(account, found);
  return found;
}

/** Asked after every event. */
const belonging = new WeakMap<Budget, Map<string, boolean>>();

function isOf(account: string, budget: Budget): boolean {
  const [unit, period = "", whose, when = "", per = ""] = account.split("|");
  if (whose !== (unit === "usd" && budget.includeIdle ? "all" : "requests")) return false;
  const scopes = [...budget.when]
    .map(([scope, values]) => `${scope}:${JSON.stringify([...values].sort())}`)
    .join(";");
  const isPer = budget.per ?? (budget.period === "per_task" ? "task" : "");
  return period.startsWith(`${budget.period}/`) && when === scopes && per.split("=")[0] === isPer;
}

/** A fold looks a day back for a task: what is older is over. */
function isOld(disk: FakeDisk, now: number, task: string): boolean {
  return disk.entries.some(({ request, at }) => request === task && at < now - 86_400_000_000);
}

export function perValueOf(account: string): string {
  return account.split("|").at(-1)?.split("=")[1] ?? "";
}
