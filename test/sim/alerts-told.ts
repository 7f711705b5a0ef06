// The real watch and desk, and what they told, noted apart: nothing is told twice in its period, in no life of
// the daemon, and what has reached a threshold when all is over was told.

import { AlertDesk } from "../../src/daemon/alert-desk.ts";
import { AlertWatch } from "../../src/daemon/alert-watch.ts";
import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { type Alert, onceKey } from "../../src/policy/alert.ts";
import type { Ground } from "../../src/policy/match.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { belongsTo, unitOf } from "./checks.ts";

export class AlertsTold {
  readonly #watch: AlertWatch;
  readonly #accounts: LocalAccounts;
  /** By what an alert is about, as this file understands it. */
  readonly #told = new Set<string>();
  #twice: string | undefined;
  /** A sweep tells what was reached before, whoever has reached it. */
  #isSweeping = true;

  constructor(accounts: LocalAccounts, disk: FakeDisk, policy: () => Policy, count: (what: string) => void) {
    this.#accounts = accounts;
    for (const alert of disk.alerts) this.#told.add(identity(alert));
    const desk = new AlertDesk(
      {
        outbox: accounts.outbox,
        webhooks: { send: () => undefined },
        metrics: { alert: () => undefined },
        log: { warn: () => undefined } as never,
        configured: () => [],
        now: () => accounts.now(),
      },
      disk.alerts.map((alert) => ({ once: onceKey(alert), end: alert.period.end })),
    );
    const raise = (alert: Alert) => {
      const isRaised = desk.raise(alert);
      if (isRaised) this.#note(alert);
      if (isRaised && accounts.open === 0 && !this.#isSweeping) count("told of idle alone");
      return isRaised;
    };
    const isTold = (once: string) => desk.isTold(once);
    this.#watch = new AlertWatch({ accounts, desk: { raise, isTold }, policy, now: () => accounts.now() });
    this.#watch.sweep();
  }

  turned(): void {
    this.#isSweeping = true;
    this.#watch.sweep();
  }

  check(): void {
    this.#isSweeping = false;
    if (this.#twice !== undefined) throw new Error(`told twice: ${this.#twice}`);
  }

  /** Once all is over: whatever is past its limit in this period has been told. */
  checkEnd(policy: Policy): void {
    this.check();
    for (const { account, start, balance } of this.#accounts.book.all()) {
      if (start > this.#accounts.now()) continue;
      for (const budget of policy.budgets) {
        const unit = unitOf(account);
        const limit = budget.limits.get(unit);
        const length = { hourly: 3_600_000_000, daily: 86_400_000_000 }[budget.period as "daily"];
        if (length === undefined || start + length <= this.#accounts.now()) continue;
        if (limit === undefined || !belongsTo(account, budget)) continue;
        const relief = this.#accounts.book.relief({ budget } as Ground, account, { start, end: start });
        const taken = balance.settled - relief + balance.held;
        if (taken <= 0n || taken < limit) continue;
        const value = budget.per === undefined ? null : (account.split("=").at(-1) ?? null);
        const what = JSON.stringify(["limit", budget.id, value, unit, start]);
        if (!this.#told.has(what)) throw new Error(`nobody was told: ${what}`);
      }
    }
  }

  #note(alert: Alert): void {
    const what = identity(alert);
    if (this.#told.has(what)) this.#twice = what;
    this.#told.add(what);
  }
}

function identity({ event, subject, value, unit, period }: Alert): string {
  return JSON.stringify([event, subject, value ?? null, unit ?? null, period.start]);
}
