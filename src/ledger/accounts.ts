// The embedded ledger's side of `admit` (MONEY §5): live balances in memory, every change written behind
// the Store. One tick decides and holds; only durability is awaited.
//
// Invariant: no await between a decision and its hold, so what was decided is still true when it is held.
// Invariant: memory runs ahead of the disk only for work that was not yet sent (its write is awaited) and
// for endings whose write failed (kept in the outbox, tried again at each heartbeat).

import type { Lesson } from "../metering/learned-times.ts";
import { isFree } from "../metering/price.ts";
import { sum } from "../metering/quantity.ts";
import { earlier, HOUR, type Instant } from "../metering/time.ts";
import type { Accounts, Admission, Balances, Reservation } from "../policy/admission.ts";
import type { AccountKey, Claim, Decision } from "../policy/decision.ts";
import {
  type Coverage,
  counting,
  covering,
  coveringContainer,
  enforcedLimit,
  type Facts,
} from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import type { SpendingStop } from "../policy/spending.ts";
import type { Task } from "../policy/task.ts";
import type { AccountsOptions } from "./accounts-options.ts";
import { Allocations } from "./allocations.ts";
import { Attempts } from "./attempts.ts";
import { type BalanceChange, Book, freedBy } from "./book.ts";
import { slicesUnderWay } from "./by-slice.ts";
import type { LedgerClock } from "./clock.ts";
import { ConflictError, checkFits } from "./conflict.ts";
import { Containers, type ContainerTill } from "./containers.ts";
import { Folding } from "./folding.ts";
import type { HeldRow, OpenHold, Owner } from "./held.ts";
import { InTurn } from "./in-turn.ts";
import { Leases } from "./leases.ts";
import { newHold, reserveWrite } from "./new-hold.ts";
import { Outbox } from "./outbox.ts";
import { placeOpenHolds } from "./placing.ts";
import { Pulse } from "./pulse.ts";
import { raiseAll } from "./raising.ts";
import { rebase } from "./rebase.ts";
import { LocalReservation } from "./reservation.ts";
import type { Till } from "./till.ts";

export class LocalAccounts implements Accounts, Till, ContainerTill {
  readonly book = new Book();
  readonly leases = new Leases();
  readonly attempts = new Attempts();
  readonly containers: Containers;
  readonly outbox: Outbox;
  readonly allocations: Allocations;
  readonly folding: Folding;
  /** A reset, or a policy that is put in force: each looks at what the other makes. */
  readonly turns = new InTurn();
  /** Set and taken back in one tick: the next decision sees it (MONEY §5). */
  stopped: SpendingStop | undefined;
  /** Told of each decision in its tick: it must only take note. */
  onDecided: (task: Task, decision: Decision) => void = () => undefined;
  /** Told of what is not sent, in the tick of the decision: it must only take note. */
  onUnsent: (task: Task, decision: Decision) => void = () => undefined;
  /** Told of allocations whose time is over: they are given back. */
  onExpired: (rows: readonly HeldRow[]) => void = () => undefined;
  readonly #clock: LedgerClock;
  readonly #owner: Owner;
  readonly #onTrouble: (error: unknown) => void;
  readonly #open = new Map<string, OpenHold>();
  /** A hold asks five times in its life, always about the same facts. */
  readonly #covered = new WeakMap<Facts, { readonly policy: Policy; readonly all: readonly Coverage[] }>();
  readonly #learn: AccountsOptions["learn"];
  readonly #pulse: Pulse;
  #onFreed: (accounts: readonly AccountKey[]) => void = () => undefined;
  #policy: Policy;
  #holds = 0;

  constructor(options: AccountsOptions) {
    this.#clock = options.clock;
    this.#owner = options.owner;
    this.#policy = options.policy;
    this.#onTrouble = options.onTrouble;
    this.#learn = options.learn;
    this.outbox = new Outbox(options.store, options.clock, options.onTrouble);
    this.allocations = new Allocations(this, options.owner);
    this.folding = new Folding(options.store, this.book, options.tracked, options.gaps);
    for (const change of options.balances) this.book.load(change);
    for (const row of options.allocations ?? []) this.allocations.load(row);
    for (const stored of options.containers ?? []) this.leases.resume(stored);
    this.leases.recall(options.ends ?? [], options.used ?? []);
    this.containers = new Containers(this);
    this.#pulse = new Pulse(options.clock);
  }

  async admit(task: Task, decide: (view: Balances) => Decision): Promise<Admission> {
    const view = this.view();
    const decision = decide(view);
    // Nothing may come between the decision and its hold (MONEY §5): the simulation plants an await here.
    const hold = this.#hold(task, decision, view);
    this.onDecided(task, decision);
    if (hold === undefined || decision.kind !== "forward") return this.#noteUnsent(task, decision);
    const write = reserveWrite(task, decision, hold, this.now());
    const mayBatch = this.#mayBatch(hold) && this.outbox.mayGather;
    const writing = this.outbox.tryWrite(write, mayBatch ? "soon" : "now");
    const reservation: Reservation = new LocalReservation(this, hold, task, decision);
    if (mayBatch) {
      hold.reserving = writing.then((result) => {
        if (!result.written) hold.unwritten = write;
      }, this.#onTrouble);
      return { kind: "admitted", reservation, decision };
    }
    const result = await writing;
    if (result.written) return { kind: "admitted", reservation, decision };
    this.#giveBack(hold, decision.claims);
    return { kind: "ledger_unavailable", cause: result.cause };
  }

  async prepare(policy: Policy): Promise<() => void> {
    // A fold counts what is on disk or on its way there, and would miss all else for ever.
    while (this.outbox.kept > 0 || this.outbox.isBehind) {
      if (this.outbox.kept > 0) await this.heartbeat();
      await this.outbox.handedOver();
    }
    const done = await this.folding.run(policy, this.now(), () => this.outbox.refusals);
    return () => {
      const before = this.#policy;
      this.#policy = policy;
      done();
      this.leases.follow(policy, this.now());
      this.containers.follow();
      placeOpenHolds(this, this.#open.values(), before);
      this.allocations.place();
    };
  }

  /** The policy in force with other limits: what is counted stays as it is. */
  relimit(policy: Policy): void {
    this.#policy = policy;
  }

  /** Once a second: what fell due is written, holds follow time and price, failed endings are tried again. */
  async heartbeat(): Promise<void> {
    // While a request is metered, time is what the monotonic clock says, as long as a period can wait.
    if (this.#open.size === 0 || this.#clock.isOverdue) this.#clock.follow();
    const at = this.now();
    this.book.forget(earlier(at, HOUR));
    this.onExpired(this.allocations.expire(at));
    const lastWatched = this.#pulse.beat();
    if (lastWatched !== undefined) this.containers.suspend(lastWatched);
    rebase(this.#open.values(), this, at).then(this.#onFreed, this.#onTrouble);
    raiseAll(this.#open.values(), this).then(this.#onFreed, this.#onTrouble);
    // While the disk fails they stay as they are, and nothing more gathers for it.
    const own = this.outbox.kept > 0 ? {} : this.containers.beat(at);
    const rows = this.leases.rows(at);
    try {
      await this.outbox.flush({ ...rows, ...own });
    } catch (error) {
      this.leases.refused(rows.joins);
      throw error;
    }
  }

  /** With what containers cost by now, posted or not. */
  view(): Balances {
    const at = this.now();
    this.containers.turn(at);
    const balance: Balances["balance"] = (account, start) => {
      const { settled, held } = this.book.balance(account, start);
      return { settled: sum(settled, this.containers.accrued(account, start, at)), held };
    };
    return { at, stopped: this.stopped, relief: this.book.relief, balance };
  }

  now(): Instant {
    return this.#clock.now();
  }

  /** Requests that hold money now. */
  get open(): number {
    return this.#open.size;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** While balances count what a tunnel has posted and the disk may refuse: resolves once that is known. */
  get posting(): Promise<unknown> | undefined {
    return slicesUnderWay(this.#open.values());
  }

  openHolds(): readonly HeldRow[] {
    return [...this.#open.values()].map((hold) => hold.toRow());
  }

  /** The budgets that cover it under the policy in force. */
  coverage(facts: Facts): readonly Coverage[] {
    const known = this.#covered.get(facts);
    if (known?.policy === this.#policy) return known.all;
    const all = covering(this.#policy, facts);
    this.#covered.set(facts, { policy: this.#policy, all });
    return all;
  }

  /** Accounts that count an entry: also those of a policy whose fold is under way. */
  counting(facts: Facts): readonly Coverage[] {
    return [...counting(this.#policy, facts), ...this.folding.counting(facts)];
  }

  countingContainer(facts: Facts): readonly Coverage[] {
    return [...coveringContainer(this.#policy, facts), ...this.folding.counting(facts, coveringContainer)];
  }

  /** Returns everything that a hold has taken. */
  unhold(hold: OpenHold): readonly BalanceChange[] {
    this.#open.delete(hold.row.id);
    return hold
      .claims()
      .map((claim) => this.book.move(claim.account, claim, { kind: "unhold", amount: claim.amount }));
  }

  /** Told in the tick in which accounts have more left than before. There is one who listens. */
  watchFreed(call: (accounts: readonly AccountKey[]) => void): void {
    this.#onFreed = call;
  }

  /** All that one event has moved: what it gave back, less what it posted. */
  moved(changes: readonly BalanceChange[]): void {
    this.freed(freedBy(changes));
  }

  freed(accounts: readonly AccountKey[]): void {
    if (accounts.length > 0) this.#onFreed(accounts);
  }

  learn(lesson: Lesson | undefined): void {
    if (lesson !== undefined) this.#learn(lesson);
  }

  take(hold: OpenHold, claims: readonly Claim[], view: Balances): readonly BalanceChange[] {
    for (const claim of claims) checkFits(view, claim);
    return claims.map((claim) => {
      hold.claim(claim);
      return this.book.move(claim.account, claim, { kind: "hold", amount: claim.amount });
    });
  }

  /** Undoes `take` for a slice that could not be written. */
  untake(hold: OpenHold, claims: readonly Claim[]): void {
    const given = claims.map((claim) => {
      hold.unclaim(claim);
      return this.book.move(claim.account, claim, { kind: "unhold", amount: claim.amount });
    });
    this.moved(given);
  }

  /** Work that costs nothing and that no enforcing budget covers need not wait for the disk (MONEY §7). */
  #mayBatch(hold: OpenHold): boolean {
    const { price, facts } = hold.row;
    if (hold.amount !== 0n || !isFree(price)) return false;
    return this.coverage(facts).every(({ ground }) => enforcedLimit(ground) === undefined);
  }

  /** Nothing of it is on disk, but for what a reload placed meanwhile. */
  #giveBack(hold: OpenHold, claimed: readonly Claim[]): void {
    hold.step(["held"], "ended");
    const isClaimed = (change: BalanceChange) =>
      claimed.some(({ account, start }) => account === change.account && start === change.start);
    const given = this.unhold(hold);
    const balances = hold.lasting(given).filter((change) => !isClaimed(change));
    for (const { account } of claimed) if (hold.isOwn(account)) this.book.drop(account);
    this.moved(given);
    if (balances.length > 0) this.outbox.write({ balances }).catch(() => undefined);
  }

  #hold(task: Task, decision: Decision, view: Balances): OpenHold | undefined {
    if (decision.kind !== "forward") return undefined;
    if (this.stopped !== undefined && !isFree(decision.quote.upstream.price))
      throw new ConflictError("paid work was decided while all spending is stopped");
    this.#holds += 1;
    const hold = newHold(task, decision, this.#owner, this.#holds);
    this.take(hold, decision.claims, view);
    this.#open.set(hold.row.id, hold);
    return hold;
  }

  /** A wait too: whoever looks finds it under way, and can cancel it. */
  #noteUnsent(task: Task, decision: Decision): Admission {
    if (decision.kind === "forward") throw new Error("a forward was refused");
    this.onUnsent(task, decision);
    // No money moves, so nobody waits for it.
    this.outbox.tryWrite(this.attempts.unsent(task, decision, this.now())).catch(this.#onTrouble);
    return decision;
  }
}
