// Amounts that somebody has set aside by hand: holds like those of requests, but with an author, a reason and
// an end of their own. They outlive the process; they end once, by what was really spent, by being given
// back, or by their time, and then nothing of them stays held.
//
//   (asked) ──fits──► open ──settle(amount)──► settled
//                      ├───release───────────► released
//                      └───its time is over──► released (expired)
//
// Invariant: no await between the judgement and the hold (MONEY §5).

import type { NanoUsd } from "../metering/money.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import { type AllocationJudged, judgeAllocation } from "../policy/allocation.ts";
import type { Facts } from "../policy/match.ts";
import { type HeldRow, OpenHold, type Owner } from "./held.ts";
import { placeHolds } from "./placing.ts";
import { post } from "./posting.ts";
import { allocationEntry } from "./rows.ts";
import { type Entry, StoreError } from "./store.ts";
import type { Till } from "./till.ts";

export interface AllocationAsked {
  readonly id: string;
  readonly facts: Facts;
  readonly amount: NanoUsd;
  readonly until: Instant;
  readonly by: string;
  readonly reason: string;
}

export type Allocated =
  | { readonly kind: "allocated"; readonly row: HeldRow }
  | Exclude<AllocationJudged, { kind: "fits" }>
  | { readonly kind: "unwritten"; readonly why: string };

export type AllocationEnded =
  /** Where the disk refuses it for now, it counts and is written later: then `unwritten` says why. */
  | { readonly kind: "ended"; readonly row: HeldRow; readonly unwritten: string | undefined }
  | { readonly kind: "unknown" }
  /** A hold is never exceeded by what is charged to it. */
  | { readonly kind: "too_much"; readonly row: HeldRow };

export class Allocations {
  readonly #till: Till;
  readonly #owner: Owner;
  readonly #open = new Map<string, OpenHold>();
  /** Held, and not yet durable: nobody can end them. */
  readonly #asked = new Set<OpenHold>();

  constructor(till: Till, owner: Owner) {
    this.#till = till;
    this.#owner = owner;
  }

  /** What a restart finds: the balances hold it already, but for those that are written nowhere. */
  load(row: HeldRow): void {
    const hold = new OpenHold({ ...row, owner: this.#owner }, NO_TIME);
    for (const claim of hold.claims()) {
      if (hold.isOwn(claim.account))
        this.#till.book.move(claim.account, claim, { kind: "hold", amount: claim.amount });
    }
    this.#open.set(row.id, hold);
  }

  /** Oldest first. */
  all(): readonly HeldRow[] {
    return [...this.#open.values()].map(rowOf);
  }

  /** `view`: with what those who wait have a claim to. */
  async allocate(asked: AllocationAsked, view: Balances): Promise<Allocated> {
    const till = this.#till;
    const judged = judgeAllocation(till.coverage(asked.facts), asked.amount, view);
    if (judged.kind !== "fits") return judged;
    const hold = new OpenHold(heldRow(asked, view.at, this.#owner), NO_TIME);
    // Nothing may come between the judgement and its hold.
    const balances = hold.lasting(till.take(hold, judged.claims, view));
    const row = hold.toRow();
    const entries = [allocationEntry(hold, { at: till.now(), kind: "reserved", amount: asked.amount })];
    this.#asked.add(hold);
    const result = await till.outbox.tryWrite({ entries, balances, hold: [row] });
    this.#asked.delete(hold);
    if (result.written) {
      this.#open.set(asked.id, hold);
      return { kind: "allocated", row };
    }
    const given = till.unhold(hold);
    this.#dropOwn(hold);
    till.moved(given);
    // What a reload placed meanwhile is on disk; the rest never was.
    const placed = hold
      .lasting(given)
      .filter(({ account }) => !judged.claims.some((claim) => claim.account === account));
    if (placed.length > 0) till.outbox.write({ balances: placed }).catch(() => undefined);
    return { kind: "unwritten", why: result.cause.message };
  }

  settle(id: string, amount: NanoUsd): Promise<AllocationEnded> | AllocationEnded {
    const hold = this.#open.get(id);
    if (hold === undefined) return { kind: "unknown" };
    if (amount > hold.amount) return { kind: "too_much", row: rowOf(hold) };
    const { at } = hold.row;
    return this.#end(hold, allocationEntry(hold, { at, kind: "settled", amount }));
  }

  /** All of it is given back. */
  release(id: string, why = ""): Promise<AllocationEnded> | AllocationEnded {
    const hold = this.#open.get(id);
    if (hold === undefined) return { kind: "unknown" };
    const entry = allocationEntry(hold, { at: this.#till.now(), kind: "released", amount: hold.amount });
    return this.#end(hold, why === "" ? entry : { ...entry, priceSource: `${why}; ${entry.priceSource}` });
  }

  /** Gives back those whose time is over, and says which. */
  expire(at: Instant): readonly HeldRow[] {
    const over = this.all().filter(({ allocation }) => allocation !== undefined && allocation.until <= at);
    // The outbox keeps what the disk refuses, and tells of it.
    for (const { id } of over) void this.release(id, "expired");
    return over;
  }

  /** Also in budgets that newly cover them (MONEY §4): at a start too, for the policy may have changed. */
  place(): void {
    // It is never rebased: where it lies already, nothing is missing.
    const covering = (facts: Facts) => this.#till.coverage(facts);
    const holds = [...this.#asked, ...this.#open.values()];
    const { balances, placed } = placeHolds(holds, this.#till.book, covering);
    if (balances.length === 0) return;
    const rehold = placed.map((hold) => hold.toRow());
    this.#till.outbox.write({ balances, rehold }).catch(() => undefined);
  }

  /** In this tick; what follows is only the disk's. */
  async #end(hold: OpenHold, entry: Entry): Promise<AllocationEnded> {
    const till = this.#till;
    const row = rowOf(hold);
    hold.step(["held"], "ended");
    this.#open.delete(row.id);
    const posted = post(till.book, till.counting(hold.row.facts), entry.kind === "settled" ? [entry] : []);
    const moved = [...till.unhold(hold), ...posted];
    this.#dropOwn(hold);
    const ended = till.outbox.write({ entries: [entry], balances: hold.lasting(moved), unhold: [row.id] });
    till.moved(moved);
    try {
      await ended;
      return { kind: "ended", row, unwritten: undefined };
    } catch (error) {
      if (error instanceof StoreError) return { kind: "ended", row, unwritten: error.message };
      throw error;
    }
  }

  #dropOwn(hold: OpenHold): void {
    for (const { account } of hold.claims()) if (hold.isOwn(account)) this.#till.book.drop(account);
  }
}

const NO_TIME = 0 as DurationUs;

/** What it is now, without a new version: nobody writes this one. */
function rowOf(hold: OpenHold): HeldRow {
  const { row, version, amount, horizon, join } = hold;
  return { ...row, version, amount, horizon, claims: hold.claims(), join };
}

function heldRow(
  { id, facts, amount, until, by, reason }: AllocationAsked,
  at: Instant,
  owner: Owner,
): HeldRow {
  return {
    ...{ id, owner, request: id, version: 0, at, clientRequestId: undefined, facts, images: 0 },
    ...{ price: { kind: "request", amount, source: { kind: "policy" } }, machine: "", amount },
    ...{ horizon: until, claims: [], join: undefined, allocation: { by, reason, until } },
  };
}
