// Looks at balances when they move, and at all of them now and then: what has reached a threshold is raised.
// A movement is only noted in its tick, so that alerts stand in no request's way.

import type { LocalAccounts } from "../ledger/accounts.ts";
import type { Instant } from "../metering/time.ts";
import type { Alert } from "../policy/alert.ts";
import type { AccountKey, Breach, Decision, Explanation } from "../policy/decision.ts";
import { covering, factsOf } from "../policy/match.ts";
import { coveragesOf } from "../policy/named-balance.ts";
import type { Policy } from "../policy/policy.ts";
import type { Task } from "../policy/task.ts";
import { refusalAlert, thresholdAlerts } from "../policy/threshold-alerts.ts";
import type { AlertDesk } from "./alert-desk.ts";

export interface WatchParts {
  readonly accounts: Pick<LocalAccounts, "book" | "onUnsent">;
  readonly desk: Pick<AlertDesk, "raise" | "isTold">;
  policy(): Policy;
  now(): Instant;
}

/** Balances that are looked at in one tick: a sweep over 100,000 must not stall a reply. */
const MOST_AT_ONCE = 250;
/** Refusals that are looked at in one tick: of a flood the first say it all. */
const MOST_REFUSALS = 100;

export class AlertWatch {
  readonly #parts: WatchParts;
  readonly #moved = new Set<AccountKey>();
  readonly #refused: { readonly task: Task; readonly breach: Breach; readonly why: Explanation }[] = [];
  #isLooking = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    const { accounts } = parts;
    accounts.book.watch((account) => {
      this.#moved.add(account);
      this.#lookSoon();
    });
    accounts.onUnsent = (task, decision) => {
      const breach = breachOf(decision);
      if (breach === undefined || this.#refused.length >= MOST_REFUSALS) return;
      this.#refused.push({ task, breach, why: decision.explanation });
      this.#lookSoon();
    };
  }

  /** Every balance: at start, after a reload, and for whatever a movement did not tell. */
  sweep(): void {
    for (const { account } of this.#parts.accounts.book.all()) this.#moved.add(account);
    this.#lookSoon();
  }

  #lookSoon(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => {
      this.#isLooking = false;
      this.#look();
    });
  }

  #look(): void {
    const { accounts, desk, policy, now } = this.#parts;
    const at = now();
    const balanceOf = (account: AccountKey, start: Instant) => accounts.book.balance(account, start);
    const isTold = (once: string) => desk.isTold(once);
    const reliefOf = accounts.book.relief;
    let left = MOST_AT_ONCE;
    for (const account of this.#moved) {
      if (left === 0) break;
      left -= 1;
      this.#moved.delete(account);
      for (const coverage of coveragesOf(policy(), account)) {
        for (const alert of thresholdAlerts(coverage, balanceOf, at, isTold, reliefOf)) desk.raise(alert);
      }
    }
    if (this.#moved.size > 0) this.#lookSoon();
    for (const { task, breach, why } of this.#refused.splice(0)) {
      const alert = this.#ranOut(task, breach, why);
      if (alert !== undefined) desk.raise(alert);
    }
  }

  #ranOut(task: Task, breach: Breach, why: Explanation): Alert | undefined {
    const policy = this.#parts.policy();
    for (const { upstream: id, budgets } of why.candidates) {
      const upstream = policy.upstreams.get(id);
      const isIt = budgets.some(({ budget, unit, fits }) => isOf(breach, budget, unit) && !fits);
      if (upstream === undefined || !isIt) continue;
      const found = covering(policy, factsOf(task, upstream)).find(({ ground }) =>
        isOf(breach, ground.budget.id, ground.unit),
      );
      if (found !== undefined) return refusalAlert(found, breach, why.at);
    }
    return undefined;
  }
}

/** One that waits for money that others hold has not run out: they may give it back. */
function breachOf(decision: Decision): Breach | undefined {
  if (decision.kind === "refuse") return decision.breach;
  return decision.kind === "wait" && decision.money?.isParked === true ? decision.money.breach : undefined;
}

function isOf(breach: Breach, budget: string, unit: string): boolean {
  return breach.budget === budget && breach.unit === unit;
}
