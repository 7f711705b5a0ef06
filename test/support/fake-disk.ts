// A disk in memory that keeps its promises and can be told to be slow, to fail, or to lose power: what was
// acknowledged survives, what was not does not. Folds and recounts are written the naive way on purpose.

import type { Adjustment } from "../../src/ledger/adjustments.ts";
import type { AlertRow } from "../../src/ledger/alert-rows.ts";
import type { BalanceChange } from "../../src/ledger/book.ts";
import { leaseKey } from "../../src/ledger/container.ts";
import type { StoredContainer } from "../../src/ledger/container-lease.ts";
import type { HeldRow } from "../../src/ledger/held.ts";
import {
  type ContainerRow,
  type DecisionRow,
  type EndingRow,
  type Entry,
  type FoldAnswer,
  type FoldQuestion,
  type Forgiven,
  type ForgivenQuestion,
  type Store,
  StoreError,
  type Write,
} from "../../src/ledger/store.ts";
import type { LeaseState, Part } from "../../src/metering/lease.ts";
import { add, nanoUsd } from "../../src/metering/money.ts";
import { NOTHING, type Quantity, sum } from "../../src/metering/quantity.ts";
import { EPOCH, type Instant, latest } from "../../src/metering/time.ts";
import { countOf, counts, FakeResets, perValue } from "./fake-resets.ts";

export interface DiskWhims {
  /** Resolves when the platter has turned; rejects never. */
  delay(): Promise<void>;
  fails(): boolean;
}

export const PATIENT: DiskWhims = { delay: () => Promise.resolve(), fails: () => false };

interface Waiting {
  readonly act: () => void;
  readonly reject: (error: Error) => void;
  /** It takes what was handed over before it for written. */
  readonly isBehind: boolean;
}

export class FakeDisk implements Store {
  readonly entries: Entry[] = [];
  readonly balances = new Map<string, BalanceChange>();
  readonly holds = new Map<string, HeldRow>();
  readonly leases = new Map<string, { at: Instant; state: LeaseState }>();
  /** By lease. */
  readonly containers = new Map<string, ContainerRow>();
  readonly decisions = new Map<string, DecisionRow>();
  readonly endings = new Map<string, EndingRow>();
  readonly alerts: AlertRow[] = [];
  readonly switches = new Map<string, string>();
  tracked: readonly string[] = [];
  highWater: Instant = EPOCH;
  heartbeat: Instant = EPOCH;
  isDead = false;
  isOpening = false;
  /** Told of each write as it is handed over, in its tick. */
  onHanded: (write: Write) => void = () => undefined;
  onRefused: (write: Write) => void = () => undefined;
  readonly #whims: DiskWhims;
  readonly #waiting: Waiting[] = [];
  readonly #resets: FakeResets;
  #isTurning = false;

  constructor(whims: DiskWhims = PATIENT, before?: FakeDisk) {
    this.#whims = whims;
    this.#resets = new FakeResets(before === undefined ? undefined : before.#resets);
  }

  write(write: Write): Promise<void> {
    this.onHanded(write);
    const writing = this.#inTurn(() => this.#put(write), (write.containers ?? []).length > 0);
    writing.catch(() => this.onRefused(write));
    return writing;
  }

  async track(keys: readonly string[]): Promise<void> {
    await this.#inTurn(() => {
      this.tracked = keys;
    });
  }

  fold(questions: readonly FoldQuestion[]): Promise<FoldAnswer> {
    return this.#inTurn(() => {
      const changes = questions.flatMap((question) => this.#fold(question));
      for (const change of changes) if (!this.#isOwnTask(change.account)) this.#move(change);
      return { changes, gaps: [] };
    });
  }

  /** A daemon that starts waits for what it asks, and does nothing else meanwhile. */
  async forgiven(questions: readonly ForgivenQuestion[]): Promise<readonly Forgiven[]> {
    const answer = () => this.#resets.forgiven(questions, this.entries);
    return this.isOpening ? answer() : this.#inTurn(answer);
  }

  adjust(adjustments: readonly Adjustment[]): Promise<void> {
    const add = () => {
      for (const one of adjustments) this.#resets.add(one, this.entries);
    };
    return this.#inTurn(add, true);
  }

  setSwitch(name: string, value: string): Promise<void> {
    return this.#inTurn(() => void this.switches.set(name, value));
  }

  /** What restart would read. */
  stored() {
    const containers = [...this.containers.values()];
    return {
      containers: containers.filter(({ isOver }) => !isOver).map(asRead),
      ended: containers.filter(({ isOver }) => isOver).map(asRead),
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
      if ((kind !== "settled" && kind !== "startup") || !open.has(request)) continue;
      const part = { kind: kind === "startup" ? kind : ("request" as const), at, elapsed, amount };
      parts.set(request, [...(parts.get(request) ?? []), part]);
    }
    return parts;
  }

  /** The same platters in a new machine: what was not acknowledged by now never happened. */
  powerCut(): FakeDisk {
    this.isDead = true;
    const next = new FakeDisk(this.#whims, this);
    next.entries.push(...this.entries);
    next.alerts.push(...this.alerts);
    for (const [key, value] of this.balances) next.balances.set(key, value);
    for (const [key, value] of this.holds) next.holds.set(key, value);
    for (const [key, value] of this.leases) next.leases.set(key, value);
    for (const [key, value] of this.containers) next.containers.set(key, value);
    for (const [key, value] of this.decisions) next.decisions.set(key, value);
    for (const [key, value] of this.endings) next.endings.set(key, value);
    for (const [key, value] of this.switches) next.switches.set(key, value);
    next.tracked = this.tracked;
    next.highWater = this.highWater;
    next.heartbeat = this.heartbeat;
    return next;
  }

  /** Recovery is over: nobody is open any more in a lease that has ended. */
  forgetEnded(): void {
    for (const [key, { isOver }] of this.containers) if (isOver) this.containers.delete(key);
  }

  /** Applied at once and durably: for recovery, which runs before anything else does. */
  writeNow(write: Write): void {
    this.#put(write);
  }

  /** Group commit, as the real store does it: whatever waits when the platter is free goes together. */
  #inTurn<T>(act: () => T, isBehind = false): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ act: () => resolve(act()), reject, isBehind });
      if (!this.#isTurning) void this.#turn();
    });
  }

  async #turn(): Promise<void> {
    this.#isTurning = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      await this.#whims.delay();
      if (this.isDead) return;
      if (!this.#whims.fails()) {
        for (const { act } of batch) act();
        continue;
      }
      const behind = this.#waiting.filter(({ isBehind }) => isBehind);
      for (const one of behind) this.#waiting.splice(this.#waiting.indexOf(one), 1);
      for (const { reject } of [...batch, ...behind])
        reject(new StoreError("no space left on the fake disk", false));
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
    for (const row of write.containers ?? []) this.#putContainer(row);
    if (write.decision !== undefined) this.decisions.set(write.decision.request, write.decision);
    if (write.ending !== undefined) this.endings.set(write.ending.request, write.ending);
    this.highWater = latest(this.highWater, write.at);
    if (write.leases !== undefined) this.heartbeat = latest(this.heartbeat, write.at);
  }

  /** What was posted adds up in whatever order it comes; of the state the latest counts, and an end for good. */
  #putContainer(row: ContainerRow): void {
    const key = leaseKey(row.about);
    const known = this.containers.get(key);
    const isLater =
      known === undefined || row.isOver !== known.isOver
        ? row.isOver || known === undefined
        : row.state.t >= known.state.t;
    this.containers.set(key, {
      ...(isLater || known === undefined ? row : known),
      idlePosted: add(known?.idlePosted ?? NO_MONEY, row.idlePosted),
      startupPosted: add(known?.startupPosted ?? NO_MONEY, row.startupPosted),
    });
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

  /** Of a request that named no task: nobody else counts there, so it is never written. */
  #isOwnTask(account: string): boolean {
    const own = account.split("|task=")[1];
    return (
      own !== undefined && this.entries.some(({ request, facts }) => request === own && facts.task === own)
    );
  }

  #fold(question: FoldQuestion): readonly BalanceChange[] {
    const sums = new Map<string, Quantity>();
    for (const balance of this.balances.values()) {
      if (balance.account !== question.key && !balance.account.startsWith(`${question.key}=`)) continue;
      const name = `${balance.start}|${balance.account}`;
      if (balance.held === 0n) this.balances.delete(name);
      else this.balances.set(name, { ...balance, settled: NOTHING });
    }
    for (const entry of this.entries) {
      if (!counts(question, entry) || entry.at < question.since) continue;
      const value = perValue(question, entry);
      const account = value === undefined ? question.key : `${question.key}=${value}`;
      sums.set(account, sum(sums.get(account) ?? NOTHING, countOf(question.unit, entry)));
    }
    const { start, end } = question;
    return [...sums].map(([account, settled]) => ({ account, start, end, settled, held: NOTHING }));
  }
}

const NO_MONEY = nanoUsd(0n);

/** What entries say of it, and what is cut and waits for one. */
function asRead(row: ContainerRow): StoredContainer {
  const { about, machines, state, lastLeft, rates, unwatched, idlePosted, startupPosted } = row;
  const cut = (kind: "idle" | "startup", inEntries: bigint) =>
    String(
      state.pending
        .filter((one) => one.kind === kind)
        .reduce((sum, one) => sum + BigInt(one.amount), inEntries),
    );
  const read: LeaseState = {
    ...state,
    idle: { raw: state.idle.raw, posted: cut("idle", idlePosted) },
    startup: { raw: state.startup.raw, posted: cut("startup", startupPosted) },
  };
  const watch = unwatched && { unwatched };
  return { about, machines, state: read, lastLeft, rates, ...watch };
}
