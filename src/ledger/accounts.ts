// The embedded ledger's side of `admit` (MONEY §5): live balances in memory, every change written behind
// the Store. One tick decides and holds; only durability is awaited.
//
// Invariant: no await between a decision and its hold, so what was decided is still true when it is held.
// Invariant: memory runs ahead of the disk only for work that was not yet sent (its write is awaited) and
// for endings whose write failed (kept in the outbox, tried again at each heartbeat).

import type { Lesson } from "../metering/learned-times.ts";
import { isFree } from "../metering/price.ts";
import { earlier, HOUR, type Instant, later } from "../metering/time.ts";
import type { Accounts, Admission, Balances, Reservation } from "../policy/admission.ts";
import type { AccountKey, Claim, Decision, Forward } from "../policy/decision.ts";
import { type Coverage, counting, covering, enforcedLimit, type Facts, factsOf } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import type { SpendingStop } from "../policy/spending.ts";
import type { Task } from "../policy/task.ts";
import type { Adjustment } from "./adjustments.ts";
import { Allocations } from "./allocations.ts";
import { type BalanceChange, Book, freedBy } from "./book.ts";
import type { LedgerClock } from "./clock.ts";
import { ConflictError, checkFits } from "./conflict.ts";
import { Folding } from "./folding.ts";
import { type HeldRow, heldChange, OpenHold, type Owner } from "./held.ts";
import { Leases } from "./leases.ts";
import { Outbox } from "./outbox.ts";
import { placeHolds } from "./placing.ts";
import { rebase } from "./rebase.ts";
import { LocalReservation, type Till } from "./reservation.ts";
import { decisionRow, reservedEntry } from "./rows.ts";
import type { Store, Unstamped } from "./store.ts";

export interface AccountsOptions {
  readonly store: Store;
  readonly clock: LedgerClock;
  /** Stands in every hold. */
  readonly owner: Owner;
  readonly policy: Policy;
  /** What restart read; recovery has settled its open holds by then. */
  readonly balances: readonly BalanceChange[];
  /** Those that are open: the balances hold them. */
  readonly allocations?: readonly HeldRow[];
  readonly adjustments?: readonly Adjustment[];
  readonly tracked: readonly string[];
  /** Told of every write that failed. */
  readonly onTrouble: (error: unknown) => void;
  /** Told of every ending that says how long such work takes. */
  readonly learn: (lesson: Lesson) => void;
}

export class LocalAccounts implements Accounts, Till {
  readonly book = new Book();
  readonly leases = new Leases();
  readonly outbox: Outbox;
  readonly allocations: Allocations;
  /** Set and taken back in one tick: the next decision sees it (MONEY §5). */
  stopped: SpendingStop | undefined;
  /** Told of what is not sent, in the tick of the decision: it must only take note. */
  onUnsent: (task: Task, decision: Decision) => void = () => undefined;
  /** Told of allocations whose time is over: they are given back. */
  onExpired: (rows: readonly HeldRow[]) => void = () => undefined;
  readonly #clock: LedgerClock;
  readonly #owner: Owner;
  readonly #onTrouble: (error: unknown) => void;
  readonly #open = new Map<string, OpenHold>();
  readonly #folding: Folding;
  /** A hold asks five times in its life, always about the same facts. */
  readonly #covered = new WeakMap<Facts, { readonly policy: Policy; readonly all: readonly Coverage[] }>();
  readonly #learn: AccountsOptions["learn"];
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
    this.#folding = new Folding(options.store, this.book, options.tracked);
    for (const change of options.balances) this.book.load(change);
    for (const row of options.allocations ?? []) this.allocations.load(row);
    for (const one of options.adjustments ?? []) this.book.adjust(one);
  }

  async admit(task: Task, decide: (view: Balances) => Decision): Promise<Admission> {
    const decision = decide(this.view());
    // Nothing may come between the decision and its hold (MONEY §5): the simulation plants an await here.
    const hold = this.#hold(task, decision);
    if (hold === undefined || decision.kind !== "forward") return this.#noteUnsent(task, decision);
    const write = this.#reserveWrite(task, decision, hold);
    const mayBatch = this.#mayBatch(hold) && this.outbox.kept === 0;
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
    // A fold counts what is on disk, and would miss these for ever.
    if (this.outbox.kept > 0) await this.heartbeat();
    const done = await this.#folding.run(policy, this.now(), () => this.outbox.refusals);
    return () => {
      const before = this.#policy;
      this.#policy = policy;
      done();
      this.leases.follow(policy, this.now());
      this.#placeOpenHolds(before);
      this.allocations.place();
    };
  }

  /** The policy in force with other limits: what is counted stays as it is. */
  relimit(policy: Policy): void {
    this.#policy = policy;
  }

  /** Once a second: joins and leases go to disk, failed endings are tried again, old periods forgotten. */
  async heartbeat(): Promise<void> {
    // While a request is metered, time is what the monotonic clock says and nothing else.
    if (this.#open.size === 0) this.#clock.follow();
    const at = this.now();
    this.book.forget(earlier(at, HOUR));
    this.onExpired(this.allocations.expire(at));
    rebase(this.#open.values(), this, at).then(this.#onFreed, this.#onTrouble);
    const rows = this.leases.rows(at);
    try {
      await this.outbox.flush(rows);
    } catch (error) {
      this.leases.refused(rows.joins);
      throw error;
    }
  }

  view(): Balances {
    const balance: Balances["balance"] = (account, start) => this.book.balance(account, start);
    return { at: this.now(), stopped: this.stopped, relief: this.book.relief, balance };
  }

  now(): Instant {
    return this.#clock.now();
  }

  /** Requests that hold money now. */
  get open(): number {
    return this.#open.size;
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
    return [...counting(this.#policy, facts), ...this.#folding.counting(facts)];
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
    const accounts = freedBy(changes);
    if (accounts.length > 0) this.#onFreed(accounts);
  }

  learn(lesson: Lesson | undefined): void {
    if (lesson !== undefined) this.#learn(lesson);
  }

  take(hold: OpenHold, claims: readonly Claim[]): readonly BalanceChange[] {
    for (const claim of claims) checkFits(this.book, claim);
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
    return hold.amount === 0n && isFree(hold.row.price) && !this.#isEnforced(hold.row.facts);
  }

  #isEnforced(facts: Facts): boolean {
    return this.coverage(facts).some(({ ground }) => enforcedLimit(ground) !== undefined);
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

  #hold(task: Task, decision: Decision): OpenHold | undefined {
    if (decision.kind !== "forward") return undefined;
    const { quote } = decision;
    if (this.stopped !== undefined && !isFree(quote.upstream.price))
      throw new ConflictError("paid work was decided while all spending is stopped");
    this.#holds += 1;
    const at = decision.explanation.at;
    const hold = new OpenHold(
      {
        id: `${task.id}.${this.#holds}`,
        owner: this.#owner,
        request: task.id,
        version: 0,
        at,
        clientRequestId: task.clientRequestId,
        facts: factsOf({ ...task, model: decision.model }, quote.upstream),
        images: task.work.images,
        tokens: quote.tokens,
        price: quote.upstream.price,
        machine: quote.upstream.machine,
        amount: quote.hold,
        horizon: later(at, quote.span),
        claims: [],
        join: undefined,
      },
      quote.time,
    );
    this.take(hold, decision.claims);
    this.#open.set(hold.row.id, hold);
    return hold;
  }

  #reserveWrite(task: Task, decision: Forward, hold: OpenHold): Unstamped {
    return {
      entries: [reservedEntry(hold, this.now())],
      balances: hold.lasting(hold.claims().map(heldChange)),
      hold: [hold.toRow()],
      decision: decisionRow(task, decision, hold.row.facts),
    };
  }

  /** A wait too: whoever looks finds it under way, and can cancel it. */
  #noteUnsent(task: Task, decision: Decision): Admission {
    if (decision.kind === "forward") throw new Error("a forward was refused");
    this.onUnsent(task, decision);
    // No money moves, so nobody waits for it.
    this.outbox.tryWrite({ decision: decisionRow(task, decision, undefined) }).catch(this.#onTrouble);
    return decision;
  }

  /** Holds of open requests lie also, unconditionally, in budgets that newly cover them (MONEY §4). */
  #placeOpenHolds(before: Policy): void {
    const newly = (facts: Facts) => {
      const known = new Set(covering(before, facts).map(({ account }) => account));
      return this.coverage(facts).filter(({ account }) => !known.has(account));
    };
    const { balances, placed } = placeHolds(this.#open.values(), this.book, newly);
    if (balances.length === 0) return;
    const rehold = placed.map((one) => one.toRow());
    // A failure is kept for the next heartbeat and reported by the outbox.
    this.outbox.write({ balances, rehold }).catch(() => undefined);
  }
}
