// What must hold after every event and at the end. The recount is written apart from the code it checks:
// it knows periods as UTC days and hours, and scopes as plain comparisons.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { Entry } from "../../src/ledger/store.ts";
import type { Unit } from "../../src/metering/quantity.ts";
import { formatInstant, type Instant } from "../../src/metering/time.ts";
import { type Budget, isEnforcing, type Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import type { Client } from "./upstreams.ts";

const DAY_US = 86_400_000_000;
const HOUR_US = 3_600_000_000;

/** MONEY §1: settled + held never passes an enforcing limit; every budget here cuts, so without exception. */
export function checkLimits(accounts: LocalAccounts, policy: Policy): void {
  for (const { account, start, balance } of accounts.book.all()) {
    if (balance.held < 0n) throw new Error(`${account} holds less than nothing: ${balance.held}`);
    for (const budget of policy.budgets) {
      if (!isEnforcing(budget) || !belongsTo(account, budget)) continue;
      const limit = budget.limits.get(unitOf(account));
      if (limit === undefined || balance.settled + balance.held <= limit) continue;
      throw new Error(
        `${budget.id} is past its limit of ${limit} in the period of ${formatInstant(start)}: ` +
          `${balance.settled} settled, ${balance.held} held`,
      );
    }
  }
}

/** At the end: nothing held, the entries give the balances, in memory and on disk. */
export function checkBook(accounts: LocalAccounts, disk: FakeDisk, policy: Policy): void {
  if (accounts.open > 0 || disk.holds.size > 0) {
    throw new Error(`${accounts.open} holds are open in memory, ${disk.holds.size} on disk`);
  }
  if (accounts.outbox.kept > 0) throw new Error(`${accounts.outbox.kept} endings were never written`);
  const all = policy.budgets.flatMap((budget) => [...budget.limits.keys()].map((unit) => ({ budget, unit })));
  for (const { budget, unit } of all) {
    const counted = recount(disk, budget, unit);
    for (const { account, start, end, settled, held } of disk.balances.values()) {
      if (unitOf(account) !== unit || !belongsTo(account, budget)) continue;
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
    const charged = own.filter(({ kind }) => kind === "settled");
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

function recount(disk: FakeDisk, budget: Budget, unit: Unit): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const entry of disk.entries) {
    if (entry.kind !== "settled") continue;
    const facts = entry.facts as Record<string, string | undefined>;
    if (![...budget.when].every(([scope, values]) => values.includes(facts[scope] ?? "?"))) continue;
    const value = budget.per === "user" ? facts.user : budget.period === "per_task" ? facts.task : "";
    const key = keyOf(budget, entry.at, value ?? "");
    sums.set(key, (sums.get(key) ?? 0n) + countOf(unit, entry));
  }
  return sums;
}

/** Written anew, so that a mistake of the ledger's own count is found. */
function countOf(unit: Unit, entry: Entry): bigint {
  const counts = {
    usd: entry.amount,
    requests: BigInt(entry.isLast),
    images: BigInt(entry.images),
    seconds: BigInt(entry.elapsed),
    tokens: BigInt(entry.tokens.input + entry.tokens.output),
  };
  return counts[unit];
}

function unitOf(account: string): Unit {
  return account.slice(0, account.indexOf("|")) as Unit;
}

function keyOf(budget: Budget, at: Instant, value: string): string {
  const length = budget.period === "daily" ? DAY_US : budget.period === "hourly" ? HOUR_US : Infinity;
  return `${length === Infinity ? 0 : at - (at % length)}|${value}`;
}

/** The simulated policies have no two budgets on the same ground, so a key tells the budget. */
function belongsTo(account: string, budget: Budget): boolean {
  const [, period = "", , when = "", per = ""] = account.split("|");
  const scopes = [...budget.when]
    .map(([scope, values]) => `${scope}:${JSON.stringify([...values].sort())}`)
    .join(";");
  const isPer = budget.per ?? (budget.period === "per_task" ? "task" : "");
  return period.startsWith(`${budget.period}/`) && when === scopes && per.split("=")[0] === isPer;
}

function perValueOf(account: string): string {
  return account.split("|").at(-1)?.split("=")[1] ?? "";
}
