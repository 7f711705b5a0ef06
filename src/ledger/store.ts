// What a ledger writes to disk, and the one small interface behind which the disk is: SQLite in the
// product, a stalling and failing fake in the simulation. Everything in one Write is durable together.

import type { LeaseState } from "../metering/lease.ts";
import type { NanoUsd } from "../metering/money.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { WorkBucket } from "../metering/work-bucket.ts";
import type { Outcome, Settlement, TokenCount } from "../policy/admission.ts";
import type { AccountKey, BudgetExplanation, Explanation } from "../policy/decision.ts";
import type { Facts } from "../policy/match.ts";
import type { AlertRow } from "./alert-rows.ts";
import type { BalanceChange } from "./book.ts";
import type { StoredContainer } from "./container-lease.ts";
import type { HeldJoin, HeldRow } from "./held.ts";

export type EntryKind =
  | "reserved"
  | "extended"
  | "settled"
  | "released"
  | "startup"
  | "idle"
  | "minimum"
  | "gap"
  | "adjusted";

/** One line of the ledger. Never edited: a correction is a further entry. */
export interface Entry {
  readonly at: Instant;
  readonly kind: EntryKind;
  readonly request: string | undefined;
  readonly clientRequestId: string | undefined;
  readonly facts: Facts;
  /** Held for reserved and extended, given back for released, charged for all others. */
  readonly amount: NanoUsd;
  readonly elapsed: DurationUs;
  readonly outcome: Outcome | undefined;
  /** The one entry by which a request counts, but for one that was never sent. */
  readonly isLast: boolean;
  readonly images: number;
  /** Of the entry that counts the request: as its upstream told them, or as they were held. */
  readonly tokens: TokenCount;
  readonly price: string;
  readonly priceSource: string;
}

/** A request as it was decided: the start of its record. */
export interface DecisionRow {
  readonly request: string;
  readonly at: Instant;
  readonly clientRequestId: string | undefined;
  readonly facts: Facts;
  readonly outcome: Outcome | undefined;
  readonly estimate: NanoUsd;
  readonly hold: NanoUsd;
  /** Undefined where nobody was chosen: how much work it was, and how long it was expected to take. */
  readonly work: WorkBucket | undefined;
  readonly expected: DurationUs | undefined;
  /** Whether it was sent there to learn how long such work takes there. */
  readonly tries: boolean;
  readonly explanation: Explanation;
  /** The budget that refused it. */
  readonly actions: readonly BudgetAction[];
}

export interface BudgetAction {
  readonly action: string;
  readonly budget: string;
}

/** How it ended: added to the record. */
export interface EndingRow {
  readonly request: string;
  readonly endedAt: Instant;
  readonly outcome: Outcome;
  readonly status: number | undefined;
  readonly charged: NanoUsd;
  readonly elapsed: DurationUs;
  readonly after: readonly BudgetExplanation[];
  /** The budgets that warned of it; of an attempt that was sent nowhere none are counted. */
  readonly actions: readonly BudgetAction[];
}

/**
 * What was posted goes by differences, with its entries, so that it can never be ahead of them or behind;
 * of the state the latest counts.
 */
export interface ContainerRow extends StoredContainer {
  readonly isOver: boolean;
  readonly idlePosted: NanoUsd;
  readonly startupPosted: NanoUsd;
}

export interface Write {
  readonly entries?: readonly Entry[];
  readonly balances?: readonly BalanceChange[];
  /** New open holds. */
  readonly hold?: readonly HeldRow[];
  /** Open holds that changed; one that has ended meanwhile, or a later version, is left as it is. */
  readonly rehold?: readonly HeldRow[];
  /** Where shares of open holds began and ended: said apart, so that a heartbeat never writes a hold anew. */
  readonly joins?: readonly { readonly id: string; readonly join: HeldJoin }[];
  /** Ids of holds that ended. */
  readonly unhold?: readonly string[];
  /** All leases in use, in a write that also has every join and leaving since the last such: a heartbeat. */
  readonly leases?: readonly { readonly machine: string; readonly state: LeaseState }[];
  /** Leases of containers: as they stand, and what the entries of this write post of them. */
  readonly containers?: readonly ContainerRow[];
  readonly decision?: DecisionRow;
  readonly ending?: EndingRow;
  /** New alerts, and what became of telling them. */
  readonly alerts?: readonly AlertRow[];
  /** Ledger time now; becomes the high-water mark. `wall` is the raw clock beside it. */
  readonly at: Instant;
  readonly wall: Instant;
}

/** Before it is handed over: when that is, the outbox says. */
export type Unstamped = Omit<Write, "at" | "wall">;

/** What a new budget would have counted: asked in write order, so that nothing is missed or doubled. */
export interface FoldQuestion {
  readonly key: string;
  readonly unit: Unit;
  readonly per: string | undefined;
  readonly when: readonly (readonly [scope: string, values: readonly string[]])[];
  readonly requestsOnly: boolean;
  /** Entries from here on count; the balance is kept for the period [start, end). */
  readonly since: Instant;
  readonly start: Instant;
  readonly end: Instant;
}

export interface FoldAnswer {
  readonly changes: readonly BalanceChange[];
  readonly gaps: readonly FoldGap[];
}

/** Of a ground: entries of before then are gone, and it misses what no sum says of them. */
export interface FoldGap {
  readonly key: string;
  readonly before: Instant;
}

/** What resets of a budget have forgiven of what one of its grounds counts. */
export interface ForgivenQuestion extends FoldQuestion {
  readonly budget: string;
}

export interface Forgiven {
  readonly budget: string;
  readonly account: AccountKey;
  readonly start: Instant;
  readonly end: Instant;
  readonly amount: Quantity;
  /** The newest of those resets. */
  readonly at: Instant;
}

export interface Store {
  /**
   * Resolves when durable. Rejects with StoreError; then nothing of it was written, nor of what waits behind
   * it and takes it for written: the state of a container's lease, or a reset. What nobody waits for may go
   * with what others write within 10 ms (MONEY §7).
   */
  write(write: Write, when?: "now" | "soon"): Promise<void>;
  /** Counts, stores and returns the balances of these budgets, from what was handed over before. */
  fold(questions: readonly FoldQuestion[]): Promise<FoldAnswer>;
  /** Of grounds that were folded. Asked in write order, so that it knows every reset. */
  forgiven(questions: readonly ForgivenQuestion[]): Promise<readonly Forgiven[]>;
  /** Marks exactly these balances as complete: a restart believes them. */
  track(keys: readonly string[]): Promise<void>;
}

/** `fatal`: what is on disk can no longer be trusted to be what was written; stop rather than be wrong. */
export class StoreError extends Error {
  readonly fatal: boolean;

  constructor(message: string, fatal: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = "StoreError";
    this.fatal = fatal;
  }
}

/** A settlement that the disk refused: it counts, and is kept until it is written. */
export class UnwrittenSettlement extends StoreError {
  readonly settlement: Settlement;

  constructor(refusal: StoreError, settlement: Settlement) {
    super(refusal.message, refusal.fatal, refusal);
    this.settlement = settlement;
  }
}
