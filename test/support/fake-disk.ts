// A disk in memory that keeps its promises and can be told to be slow, to fail, or to lose power: what was
// acknowledged survives, what was not does not. Folds and recounts are written the naive way on purpose.

import type { AlertRow } from "../../src/ledger/alert-rows.ts";
import type { BalanceChange } from "../../src/ledger/book.ts";
import type { HeldRow } from "../../src/ledger/held.ts";
import {
  type DecisionRow,
  type EndingRow,
  type Entry,
  type FoldQuestion,
  type Store,
  StoreError,
  type Write,
} from "../../src/ledger/store.ts";
import type { LeaseState, Part } from "../../src/metering/lease.ts";
import { NOTHING, type Quantity, quantityOf, sum, type Unit } from "../../src/metering/quantity.ts";
import { EPOCH, type Instant, latest } from "../../src/metering/time.ts";

export interface DiskWhims {
  /** Resolves when the platter has turned; rejects never. */
  delay(): Promise<void>;
  fails(): boolean;
}

export const PATIENT: DiskWhims = { delay: () => Promise.resolve(), fails: () => false };

export class FakeDisk implements Store {
  readonly entries: Entry[] = [];
  readonly balances = new Map<string, BalanceChange>();
  readonly holds = new Map<string, HeldRow>();
  readonly leases = new Map<string, { at: Instant; state: LeaseState }>();
  readonly decisions = new Map<string, DecisionRow>();
  readonly endings = new Map<string, EndingRow>();
  readonly alerts: AlertRow[] = [];
  tracked: readonly string[] = [];
  highWater: Instant = EPOCH;
  heartbeat: Instant = EPOCH;
  isDead = false;
  readonly #whims: DiskWhims;
  readonly #waiting: { readonly act: () => void; readonly reject: (error: Error) => void }[] = [];
  #isTurning = false;

  constructor(whims: DiskWhims = PATIENT) {
    this.#whims = whims;
  }

  write(write: Write): Promise<void> {
    return this.#inTurn(() => this.#put(write));
  }

  async track(keys: readonly string[]): Promise<void> {
    await this.#inTurn(() => {
      this.tracked = keys;
    });
  }

  fold(questions: readonly FoldQuestion[]): Promise<readonly BalanceChange[]> {
    return this.#inTurn(() => {
      const changes = questions.flatMap((question) => this.#fold(question));
      for (const change of changes) this.#move(change);
      return changes;
    });
  }

  /** Nobody resets a budget here. */
  async forgiven(): Promise<readonly []> {
    return [];
  }

  /** What restart would read. */
  stored() {
    return {
      balances: [...this.balances.values()],
      tracked: this.tracked,
      leases: this.leases,
      holds: [...this.holds.values()],
      posted: this.#posted(),
      highWater: this.highWater,
      heartbeat: this.heartbeat,
    };
  }

  /** Of requests that are open. */
  #posted(): ReadonlyMap<string, readonly Part[]> {
    const open = new Set([...this.holds.values()].map(({ request }) => request));
    const parts = new Map<string, Part[]>();
    for (const { request = "", kind, at, elapsed, amount } of this.entries) {
      if (kind !== "settled" || !open.has(request)) continue;
      parts.set(request, [...(parts.get(request) ?? []), { kind: "request", at, elapsed, amount }]);
    }
    return parts;
  }

  /** The same platters in a new machine: what was not acknowledged by now never happened. */
  powerCut(): FakeDisk {
    this.isDead = true;
    const next = new FakeDisk(this.#whims);
    next.entries.push(...this.entries);
    next.alerts.push(...this.alerts);
    for (const [key, value] of this.balances) next.balances.set(key, value);
    for (const [key, value] of this.holds) next.holds.set(key, value);
    for (const [key, value] of this.leases) next.leases.set(key, value);
    for (const [key, value] of this.decisions) next.decisions.set(key, value);
    for (const [key, value] of this.endings) next.endings.set(key, value);
    next.tracked = this.tracked;
    next.highWater = this.highWater;
    next.heartbeat = this.heartbeat;
    return next;
  }

  /** Applied at once and durably: for recovery, which runs before anything else does. */
  writeNow(write: Write): void {
    this.#put(write);
  }

  /** Group commit, as the real store does it: whatever waits when the platter is free goes together. */
  #inTurn<T>(act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ act: () => resolve(act()), reject });
      if (!this.#isTurning) void this.#turn();
    });
  }

  async #turn(): Promise<void> {
    this.#isTurning = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      await this.#whims.delay();
      if (this.isDead) return;
      const isFailing = this.#whims.fails();
      for (const { act, reject } of batch) {
        if (isFailing) reject(new StoreError("no space left on the fake disk", false));
        else act();
      }
    }
    this.#isTurning = false;
  }

  #put(write: Write): void {
    this.entries.push(...(write.entries ?? []));
    this.alerts.push(...(write.alerts ?? []));
    for (const change of write.balances ?? []) this.#move(change);
    for (const row of write.hold ?? []) {
      if (this.holds.has(row.id)) throw new Error(`hold ${row.id} is there already`);
      this.holds.set(row.id, row);
    }
    for (const row of write.rehold ?? []) {
      const known = this.holds.get(row.id);
      if (known !== undefined && known.version < row.version) this.holds.set(row.id, row);
    }
    for (const { id, join } of write.joins ?? []) {
      const known = this.holds.get(id);
      if (known !== undefined) this.holds.set(id, { ...known, join });
    }
    for (const id of write.unhold ?? []) this.holds.delete(id);
    for (const { machine, state } of write.leases ?? []) this.leases.set(machine, { at: state.t, state });
    if (write.decision !== undefined) this.decisions.set(write.decision.request, write.decision);
    if (write.ending !== undefined) this.endings.set(write.ending.request, write.ending);
    this.highWater = latest(this.highWater, write.at);
    if (write.leases !== undefined) this.heartbeat = latest(this.heartbeat, write.at);
  }

  #move(change: BalanceChange): void {
    const key = `${change.start}|${change.account}`;
    const before = this.balances.get(key);
    this.balances.set(key, {
      ...change,
      settled: sum(before?.settled ?? NOTHING, change.settled),
      held: sum(before?.held ?? NOTHING, change.held),
    });
  }

  #fold(question: FoldQuestion): readonly BalanceChange[] {
    const sums = new Map<string, Quantity>();
    for (const balance of this.balances.values()) {
      if (balance.account === question.key || balance.account.startsWith(`${question.key}=`)) {
        this.balances.set(`${balance.start}|${balance.account}`, { ...balance, settled: NOTHING });
      }
    }
    for (const entry of this.entries) {
      const facts = entry.facts as Record<string, string | undefined>;
      const counts = entry.kind === "settled" || entry.kind === "adjusted";
      const matches = question.when.every(([scope, values]) => values.includes(facts[scope] ?? ""));
      if (!counts || !matches || entry.at < question.since) continue;
      const account =
        question.per === undefined ? question.key : `${question.key}=${facts[question.per] ?? "unknown"}`;
      sums.set(account, sum(sums.get(account) ?? NOTHING, countOf(question.unit, entry)));
    }
    const { start, end } = question;
    return [...sums].map(([account, settled]) => ({ account, start, end, settled, held: NOTHING }));
  }
}

/** Written anew, so that a mistake of the ledger's own count is found. */
function countOf(unit: Unit, entry: Entry): Quantity {
  const counts = {
    usd: entry.amount,
    requests: entry.isLast ? 1 : 0,
    images: entry.images,
    seconds: entry.elapsed,
    tokens: entry.tokens.input + entry.tokens.output,
  };
  return quantityOf(counts[unit]);
}
