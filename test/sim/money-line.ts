// Who waits for money, noted apart from the waiting room: by what was decided, and when. Nobody may take what
// an earlier one has a claim to, and nobody waits for what is there (MONEY §6).

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { DurationUs, Instant } from "../../src/metering/time.ts";
import type { Accounts, Balances } from "../../src/policy/admission.ts";
import type { Claim, Decision, Forward, Wait } from "../../src/policy/decision.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import type { Task } from "../../src/policy/task.ts";

interface Waiting {
  readonly task: Task;
  readonly wait: Wait;
}

/** Timers and turns take a moment; a waiter that may have it for longer was forgotten. */
const GRACE = 10_000;

export class MoneyLine {
  readonly #policy: () => Policy;
  readonly #now: () => Instant;
  readonly #isIn: (request: string) => boolean;
  /** In the order in which they first asked. */
  readonly #arrived = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  /** Of those that wait now, for whatever it is. */
  readonly #since = new Map<string, Instant>();
  readonly #claiming = new Set<string>();
  readonly #waited = new Map<string, number>();
  readonly #idleSince = new Map<string, number>();

  constructor(policy: () => Policy, now: () => Instant, isIn: (request: string) => boolean) {
    this.#policy = policy;
    this.#now = now;
    this.#isIn = isIn;
  }

  /** The same accounts; every decision is looked at in its tick, before its hold. */
  watch(accounts: LocalAccounts): Accounts {
    return {
      prepare: (policy) => accounts.prepare(policy),
      admit: (task, decide) =>
        accounts.admit(task, (view) => {
          const decision = decide(view);
          this.#decided(task, decision, accounts.view());
          return decision;
        }),
    };
  }

  /** A reload: all that wait decide anew in this tick, under the new policy. */
  turned(): void {
    this.#waiting.clear();
    this.#idleSince.clear();
  }

  /** Timers come late: whoever waits is looked at from now on. */
  stalled(): void {
    this.#idleSince.clear();
  }

  ended(task: string): void {
    this.#waiting.delete(task);
    this.#since.delete(task);
  }

  /** After every event: whoever has nobody before it, and room for all that it asks, does not wait. */
  check(view: Balances): void {
    for (const [id, { task, wait }] of this.#waiting) {
      const others = [...this.#waiting.values()].filter((other) => other.task.id !== id);
      const shares = (claims: readonly Claim[]) =>
        others.some((other) =>
          other.wait.wishes.some((wish) =>
            wish.claims.some(({ account }) => claims.some((claim) => claim.account === account)),
          ),
        );
      const isIdle =
        wait.money !== undefined &&
        wait.wishes.some(
          // Of budgets that do not make it wait it needs the same, and has no claim to.
          ({ claims, others: needs }) =>
            !shares(claims) &&
            [...claims, ...needs].every((claim) => claim.end > view.at && has(view, claim)),
        );
      const since = isIdle ? (this.#idleSince.get(id) ?? view.at) : undefined;
      if (since === undefined) this.#idleSince.delete(id);
      else this.#idleSince.set(id, since);
      if (since !== undefined && view.at - since > GRACE)
        throw new Error(`${task.id} waits for what is there`);
    }
  }

  #decided(task: Task, decision: Decision, view: Balances): void {
    if (!this.#arrived.has(task.id)) this.#arrived.set(task.id, this.#arrived.size);
    const since = this.#since.get(task.id);
    if (since !== undefined)
      this.#waited.set(task.id, (this.#waited.get(task.id) ?? 0) + this.#now() - since);
    this.#since.delete(task.id);
    this.#waiting.delete(task.id);
    if (decision.kind === "forward") this.#checkOrder(task, decision, view);
    // A full room takes nobody.
    if (decision.kind !== "wait" || !this.#isIn(task.id)) {
      this.#claiming.delete(task.id);
      return;
    }
    // Whoever has waited for money keeps its place there, though it is a slot that is missing now.
    if (decision.money !== undefined) this.#claiming.add(task.id);
    this.#since.set(task.id, this.#now());
    if (this.#claiming.has(task.id)) this.#waiting.set(task.id, { task, wait: decision });
  }

  #checkOrder(task: Task, { claims }: Forward, view: Balances): void {
    for (const other of this.#waiting.values()) {
      if (!this.#isAhead(other.task, task)) continue;
      // What does not fit in a budget that does not make it wait is parked too.
      const live = other.wait.wishes.filter(({ claims: own, others }) =>
        [...own, ...others].every((claim) => mayFit(view, claim)),
      );
      for (const wanted of live.flatMap((wish) => wish.claims)) {
        const taken = claims.find(
          ({ account, start }) => account === wanted.account && start === wanted.start,
        );
        if (taken === undefined || taken.amount === 0n || wanted.limit === undefined) continue;
        const { settled, held } = view.balance(wanted.account, wanted.start);
        if (settled + held + wanted.amount + taken.amount <= wanted.limit) continue;
        throw new Error(`${task.id} passed ${other.task.id} in ${wanted.account}`);
      }
    }
  }

  #isAhead(one: Task, other: Task): boolean {
    const [its, others] = [this.#priority(one), this.#priority(other)];
    if (its !== others) return its > others;
    return (this.#arrived.get(one.id) ?? 0) < (this.#arrived.get(other.id) ?? 0);
  }

  /** Of the budgets of a user and of everybody; here those are all that have one of their own. */
  #priority(task: Task): number {
    const own = this.#policy().budgets.filter(({ when, shadow }) => {
      const users = when.get("user");
      return !shadow && (users === undefined || users.includes(task.labels.user));
    });
    const reached = own.filter(({ when }) => {
      const providers = when.get("provider");
      return (
        providers === undefined ||
        [...this.#policy().upstreams.values()].some(({ provider }) => providers.includes(provider))
      );
    });
    const waits = reached.filter(makesWait).map(({ maxWait }) => maxWait);
    const longest = waits.length === 0 ? NINE_AND_A_HALF_MINUTES : Math.min(...waits);
    const now = this.#now() - (this.#since.get(task.id) ?? this.#now());
    const waited = (this.#waited.get(task.id) ?? 0) + now;
    const base = reached.length === 0 ? 5 : Math.max(...reached.map(({ priority }) => priority));
    return base + Math.floor((8 * waited) / longest);
  }
}

const NINE_AND_A_HALF_MINUTES = 570_000_000 as DurationUs;

function makesWait({ onLimit, then }: Budget): boolean {
  return onLimit === "queue" || (onLimit === "degrade" && then === "queue");
}

function mayFit(view: Balances, { account, start, amount, limit }: Claim): boolean {
  return limit === undefined || view.balance(account, start).settled + amount <= limit;
}

function has(view: Balances, { account, start, amount, limit }: Claim): boolean {
  const { settled, held } = view.balance(account, start);
  return limit === undefined || settled + held + amount <= limit;
}
