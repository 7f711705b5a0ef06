// Who waits for which money, noted apart from the room that is checked: from the decisions alone.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { DAY, type Instant, SECOND } from "../../src/metering/time.ts";
import type { Accounts } from "../../src/policy/admission.ts";
import type { Decision, MoneyWait } from "../../src/policy/decision.ts";
import type { Task } from "../../src/policy/task.ts";

interface Waiter {
  readonly place: number;
  readonly money: MoneyWait;
  readonly since: Instant;
}

/** All have one priority, so the order is that of arrival where none grows as it waits. */
export class MoneyQueues {
  readonly #waiting = new Map<string, Waiter>();
  readonly #waited = new Set<string>();

  /** Throws where somebody is let past an earlier one who claims the same money (MONEY §6). */
  watch(accounts: LocalAccounts, now: () => Instant): Accounts {
    return {
      prepare: (policy) => accounts.prepare(policy),
      admit: (task, decide) =>
        accounts.admit(task, (view) => {
          const decision = decide(view);
          this.#note(task, decision, now());
          return decision;
        }),
    };
  }

  ended(task: string): void {
    this.#waiting.delete(task);
  }

  /** Nobody waits for what has been there for a while: a wake that was lost is found here. */
  check(accounts: LocalAccounts, now: Instant): void {
    for (const [id, { place, money, since }] of this.#waiting) {
      const { breach } = money;
      const [account] = money.accounts;
      if (account === undefined || money.accounts.length > 1 || now - since < 2 * SECOND) continue;
      const isFirst = [...this.#waiting.values()].every(
        (other) => other.place >= place || !other.money.accounts.includes(account),
      );
      if (!isFirst) continue;
      const free = [...accounts.book.all()]
        .filter((one) => one.account === account && one.start <= now)
        .sort((a, b) => b.start - a.start)[0];
      if (free === undefined || money.turnsAt <= now) continue;
      const { settled, held } = free.balance;
      if (held > 0n || settled + breach.needed > breach.limit) continue;
      throw new Error(
        `${id} waits for ${breach.budget}, which has had ${breach.limit - settled} for a while`,
      );
    }
  }

  #note(task: Task, decision: Decision, now: Instant): void {
    const place = Number(task.id.slice("r-".length));
    const isNew = !this.#waited.has(task.id);
    if (decision.kind === "wait") this.#waited.add(task.id);
    if (decision.kind === "forward") this.#checkOrder(task, decision, isNew ? Infinity : place, now);
    if (decision.kind !== "wait" || decision.money === undefined) this.#waiting.delete(task.id);
    else this.#waiting.set(task.id, { place, money: decision.money, since: now });
  }

  #checkOrder(
    task: Task,
    decision: Extract<Decision, { kind: "forward" }>,
    place: number,
    now: Instant,
  ): void {
    const taken = decision.claims.filter(({ limit, amount }) => limit !== undefined && amount > 0n);
    for (const [id, other] of this.#waiting) {
      if (id === task.id || other.place > place || other.money.longest < DAY) continue;
      if (other.money.isParked && other.money.turnsAt > now) continue;
      const passed = taken.find(({ account }) => other.money.accounts.includes(account));
      if (passed !== undefined) throw new Error(`${task.id} passed ${id}, who waits for ${passed.account}`);
    }
  }
}
