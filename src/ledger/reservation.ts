// The right to send one request, and the one way to end it. Only LocalAccounts makes it; its states are
// those of the hold in held.ts.

import { add, ZERO_USD } from "../metering/money.ts";
import { NOTHING } from "../metering/quantity.ts";
import { between, type DurationUs, type Instant } from "../metering/time.ts";
import type { Ending, Outcome, Reservation, Settlement } from "../policy/admission.ts";
import { seenBy } from "../policy/claims.ts";
import type { BudgetExplanation, Forward, Quote } from "../policy/decision.ts";
import { explainBudget } from "../policy/explain.ts";
import { enforcedLimit, isActive, periodFor } from "../policy/match.ts";
import type { Task } from "../policy/task.ts";
import type { BalanceChange } from "./book.ts";
import { type Charge, chargeOf } from "./charge.ts";
import { extend } from "./extending.ts";
import type { OpenHold } from "./held.ts";
import { type EndedWork, lessonOf } from "./lessons.ts";
import { post } from "./posting.ts";
import { releasedEntry, settledEntries, slicedEntries, warnedBy } from "./rows.ts";
import { type Entry, StoreError, type Unstamped, UnwrittenSettlement } from "./store.ts";
import type { Till } from "./till.ts";

export class LocalReservation implements Reservation {
  readonly task: Task;
  readonly #accounts: Till;
  readonly #hold: OpenHold;
  readonly #decision: Forward;
  #cutBy: string | undefined;

  constructor(accounts: Till, hold: OpenHold, task: Task, decision: Forward) {
    this.#accounts = accounts;
    this.#hold = hold;
    this.task = task;
    this.#decision = decision;
  }

  get id(): string {
    return this.#hold.row.id;
  }

  get quote(): Quote {
    return this.#decision.quote;
  }

  get horizon(): Instant {
    const { isLost, stopped, horizon } = this.#hold;
    return isLost && stopped !== undefined ? stopped : horizon;
  }

  get isLost(): boolean {
    return this.#hold.isLost;
  }

  onShortened(call: () => void): void {
    this.#hold.shortened = call;
  }

  get begun(): boolean {
    const { began, state } = this.#hold;
    return began !== undefined || state === "waiting" || state === "stopped";
  }

  get cuts(): boolean {
    if (this.#hold.isLost) return true;
    const at = this.#accounts.now();
    return this.#coverage().some(
      ({ ground }) =>
        ground.budget.overrun === "cut" && enforcedLimit(ground) !== undefined && isActive(ground, at),
    );
  }

  get cutBy(): string | undefined {
    return this.#cutBy;
  }

  wait(): void {
    this.#hold.step(["held"], "waiting");
    this.#accounts.leases.wait(this.#hold, this.#accounts.now());
  }

  begin(): void {
    if (this.#hold.isLost) return;
    this.#hold.step(["held", "waiting"], "running");
    const at = this.#accounts.now();
    this.#hold.began = at;
    this.#accounts.leases.join(this.#hold, at);
  }

  bySlice(): void {
    this.#hold.isBySlice = true;
  }

  stop(): void {
    if (this.#hold.state !== "running" && this.#hold.state !== "waiting") return;
    this.#hold.step(["running", "waiting"], "stopped");
    const at = this.#accounts.now();
    this.#hold.stopped = at;
    this.#hold.parts = this.#accounts.leases.leave(this.#hold, at);
  }

  async extend(): Promise<"extended" | "refused" | "unavailable"> {
    const { answer, cutBy } = await extend(this.#accounts, this.#hold);
    this.#cutBy = cutBy;
    return answer;
  }

  async settle(ending: Ending, then: "over" | "retry" = "over"): Promise<Settlement> {
    const hold = this.#hold;
    this.stop();
    await hold.extending;
    if (hold.rebasing !== undefined) await hold.rebasing;
    hold.step(["stopped"], "ended");
    const charge = chargeOf(hold, ending, this.cuts);
    const posted = then === "over" ? settledEntries(hold, charge.parts, ending) : inVain(hold, charge);
    const given = then === "over" ? [] : [releasedEntry(hold, this.#accounts.now(), false)];
    const own = this.#accounts.containers.ending(hold, charge.unheld);
    const entries = [...posted, ...given, ...own.entries];
    const moved = [...this.#accounts.unhold(hold), ...this.#post(posted), ...own.balances];
    const row = this.#endingRow(then === "over" ? ending.outcome : "unsent", ending.status, charge);
    if (then === "retry") this.#accounts.attempts.charge(this.task.id, row.charged);
    const leases = this.#accounts.leases.rows(this.#accounts.now());
    const settlement = { charged: charge.charged, elapsed: charge.elapsed };
    // Who was never sent teaches nothing.
    if (hold.began !== undefined) this.#accounts.learn(lessonOf(this.#work(ending, charge.elapsed)));
    const { containers } = own;
    const write = { entries, balances: this.#lasting(moved), ending: row, ...leases, containers };
    const ended = this.#end(write, "soon");
    ended.catch(() => this.#accounts.leases.refused(leases.joins));
    this.#accounts.moved(moved);
    if (hold.reserving !== undefined) {
      // Work that may be batched does not wait. The outbox keeps an ending that is refused, and says so.
      return settlement;
    }
    try {
      await ended;
    } catch (error) {
      throw error instanceof StoreError ? new UnwrittenSettlement(error, settlement) : error;
    }
    return settlement;
  }

  /** Waited for, batched or not: else a crash could find this attempt open beside the next one. */
  async release(then: "retry" | "over"): Promise<void> {
    const hold = this.#hold;
    hold.step(["held"], "ended");
    const at = this.#accounts.now();
    const nothing: Charge = { parts: [], charged: ZERO_USD, elapsed: between(at, at), unheld: [] };
    const given = this.#accounts.unhold(hold);
    const ending = this.#endingRow("unsent", undefined, nothing);
    if (then === "retry") this.#accounts.attempts.charge(this.task.id, ending.charged);
    const entries = [releasedEntry(hold, at, then === "over")];
    const write = { balances: this.#lasting(given), entries, ending };
    const ended = this.#end(write, "now");
    this.#accounts.moved(given);
    await ended;
  }

  /** What was batched is ended after its beginning, and takes along what the disk refused of that. */
  #end(write: Unstamped & { readonly entries: readonly Entry[] }, when: "now" | "soon"): Promise<void> {
    const hold = this.#hold;
    const { outbox } = this.#accounts;
    const ending = () => ({
      ...write,
      ...this.#overdue(),
      entries: [...(hold.unwritten?.entries ?? []), ...write.entries],
      // Budgets that only watch hold its time and its pieces.
      balances: [...(hold.unwritten?.balances ?? []), ...(write.balances ?? [])],
      unhold: [hold.row.id],
    });
    if (hold.reserving === undefined) return outbox.write(ending());
    return outbox.writeAfter(hold.reserving, ending, when);
  }

  /** What is written of an ending; balances that were this request's alone end with it. */
  #lasting(changes: readonly BalanceChange[]): readonly BalanceChange[] {
    for (const { account } of changes) if (this.#hold.isOwn(account)) this.#accounts.book.drop(account);
    return this.#hold.lasting(changes);
  }

  /** The decision of work that nobody waited for, where the disk refused it then. */
  #overdue(): Pick<Unstamped, "decision"> {
    const decision = this.#hold.unwritten?.decision;
    return decision === undefined ? {} : { decision };
  }

  #coverage() {
    return this.#accounts.coverage(this.#hold.row.facts);
  }

  #post(entries: readonly Entry[]): readonly BalanceChange[] {
    return post(this.#accounts.book, this.#accounts.counting(this.#hold.row.facts), entries);
  }

  #endingRow(outcome: Outcome, status: number | undefined, charge: Charge) {
    return {
      request: this.task.id,
      endedAt: this.#hold.stopped ?? this.#accounts.now(),
      outcome,
      status,
      charged: add(this.#accounts.attempts.end(this.task.id), charge.charged),
      elapsed: charge.elapsed,
      after: this.#after(outcome),
      actions: outcome === "unsent" ? [] : warnedBy(this.#decision),
    };
  }

  #work({ outcome, status }: Ending, elapsed: DurationUs): EndedWork {
    const { bucket, time: expected, upstream } = this.quote;
    const at = this.#hold.stopped ?? this.#hold.row.at;
    const place = { model: this.task.model, bucket, upstream: upstream.id, tier: upstream.gpuTier };
    return { ...place, at, elapsed, expected, outcome, status };
  }

  /** The covering budgets as they stand now: the second half of the explanation. */
  #after(outcome: Outcome): readonly BudgetExplanation[] {
    const cutBy = outcome === "cut" ? this.#cutBy : undefined;
    const { at, balance } = this.#accounts.view();
    return this.#coverage()
      .filter(({ ground }) => isActive(ground, at))
      .map((coverage) => {
        const period = periodFor(coverage.ground, at);
        const taken = this.#accounts.book.relief(coverage.ground, coverage.account, period);
        const demand = { coverage, period, amount: NOTHING, relief: taken, judges: true };
        const told = explainBudget(demand, seenBy(demand, balance(coverage.account, period.start)));
        return told.budget === cutBy ? { ...told, hasCut: true } : told;
      });
  }
}

/** Of an attempt that shared a start-up and was not sent: its share. The request counts once it ends. */
function inVain(hold: OpenHold, { parts }: Charge): readonly Entry[] {
  return slicedEntries(
    hold,
    parts.filter(({ amount, elapsed }) => amount > 0n || elapsed > 0),
  );
}
