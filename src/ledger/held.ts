// One open hold: in memory while its request lives, as a row on disk so that a crash cannot forget it.
//
//   held ──begin──► running ──stop──► stopped ──settle──► ended
//    ├──wait──► waiting ──begin──► running
//    │             └──stop──► stopped      it has shared the start-up: it is settled, never released
//    └──release──► ended
//
// Invariant: the row is on disk from before the first byte leaves until the entry that ends it.

import type { Join, Part } from "../metering/lease.ts";
import type { PartState } from "../metering/lease-state.ts";
import { costCeil, type NanoUsd } from "../metering/money.ts";
import { Posted } from "../metering/posted.ts";
import type { HourPrice, Price } from "../metering/price.ts";
import { minus, NOTHING, type Quantity, sum } from "../metering/quantity.ts";
import { between, type DurationUs, type Instant } from "../metering/time.ts";
import type { TokenCount } from "../policy/admission.ts";
import { claimKey, type Need } from "../policy/claims.ts";
import type { AccountKey, Claim } from "../policy/decision.ts";
import type { Facts } from "../policy/match.ts";
import type { BalanceChange } from "./book.ts";
import type { Unstamped } from "./store.ts";

/**
 * Who answers for holds: one process, from its start to its end. A hold expires with its owner: the next
 * start of the ledger settles what an earlier epoch left (recovery.ts).
 */
export interface Owner {
  /** The host's name and the process id, for whoever looks into it. */
  readonly name: string;
  /** Counts the starts of this ledger. */
  readonly epoch: number;
}

/** Where its share of a lease began, and of which container's lease, if it was one's. */
export interface HeldJoin extends Join {
  readonly lease?: string;
  /** When it left, by the lease, and what it pays: fixed then, though its ending is still to be written. */
  readonly left?: { readonly at: Instant; readonly parts: readonly PartState[] };
}

/** What a rebased hold stands for: its share until then, where it lies, and from then on the whole price. */
export interface RebasedAt {
  readonly at: Instant;
  readonly share: readonly { readonly at: Instant; readonly amount: NanoUsd }[];
  /** The price since then, where its machine became dearer and it was asked for that. */
  readonly price?: HourPrice;
}

/** As it is stored; enough to settle it without the policy that made it. */
export interface HeldRow {
  /** Of this hold: a request that is sent elsewhere after all has a new one. */
  readonly id: string;
  /** Absent in ledgers of before 2026-11-28. */
  readonly owner?: Owner;
  readonly request: string;
  /** Counts its changes: an older version never overwrites a later one. */
  readonly version: number;
  readonly at: Instant;
  readonly clientRequestId: string | undefined;
  readonly facts: Facts;
  readonly images: number;
  /** Counted where the upstream tells none: absent in ledgers from before tokens were limited. */
  readonly tokens?: TokenCount;
  readonly price: Price;
  /** What bills, where the price is an hourly one. */
  readonly machine: string;
  readonly amount: NanoUsd;
  readonly horizon: Instant;
  readonly claims: readonly Claim[];
  /** Absent while it holds the exclusive price of all of its time. */
  readonly rebased?: RebasedAt;
  /** Set where somebody set it aside by hand: it belongs to no request, and outlives its owner. */
  readonly allocation?: { readonly by: string; readonly reason: string; readonly until: Instant };
  /** It was let in to a container that has still to start: without a join it owes nothing yet. */
  readonly isCold?: true;
  /** Where its share of the lease began, once it was sent and a heartbeat or a settlement wrote it down. */
  readonly join: HeldJoin | undefined;
}

const NO_TIME = 0 as DurationUs;

export type HoldState = "held" | "waiting" | "running" | "stopped" | "ended";

export class OpenHold {
  readonly row: Omit<HeldRow, "version" | "amount" | "horizon" | "claims" | "rebased" | "join">;
  /** How long the work was expected to take: sizes its further slices. */
  readonly time: DurationUs;
  state: HoldState = "held";
  horizon: Instant;
  amount: NanoUsd;
  rebased: RebasedAt | undefined;
  began: Instant | undefined;
  stopped: Instant | undefined;
  join: HeldJoin | undefined;
  /** Nobody watched its machine for a while: it ended before that, whatever its upstream still does. */
  isLost = false;
  /** For some of its time it paid the whole price of its machine, whoever ran there too. */
  isExclusive = false;
  /** To be called in the tick in which its held time comes to end sooner. */
  shortened: () => void = () => undefined;
  parts: readonly Part[] = [];
  /** What it uses is posted with each further slice: it may stay open for hours. */
  isBySlice = false;
  /** What entries say of it already; its claims are what is held beside that. */
  posted = new Posted();
  /** What it will be once the slice that is being written is. */
  growing: { readonly amount: NanoUsd; readonly horizon: Instant; readonly price?: HourPrice } | undefined;
  /** The write of a further slice, while it is under way: an ending waits for it. */
  extending: Promise<unknown> | undefined;
  /** The write that gives back its surplus, while it is under way: an ending and a slice wait for it. */
  rebasing: Promise<unknown> | undefined;
  /** The write of the hold itself, where nobody waited for it: an ending goes after it. */
  reserving: Promise<unknown> | undefined;
  /** What the disk refused of that write. */
  unwritten: Unstamped | undefined;
  readonly #claims = new Map<string, Claim>();
  #version: number;

  constructor(row: HeldRow, time: DurationUs) {
    const { version, amount, horizon, claims, rebased, join, ...rest } = row;
    this.#version = version;
    this.row = rest;
    this.time = time;
    this.amount = amount;
    this.horizon = horizon;
    this.rebased = rebased;
    this.join = join;
    for (const claim of claims) this.claim(claim);
  }

  /** That it holds at now. */
  get price(): Price {
    return priceOf({ price: this.row.price, rebased: this.rebased });
  }

  get version(): number {
    return this.#version;
  }

  /** Adds to what it holds in one period of one account. */
  claim(claim: Claim): void {
    const key = claimKey(claim.account, claim.start);
    const before = this.#claims.get(key);
    this.#claims.set(
      key,
      before === undefined ? claim : { ...claim, amount: sum(before.amount, claim.amount) },
    );
  }

  unclaim(claim: Claim): void {
    const key = claimKey(claim.account, claim.start);
    const before = this.#claims.get(key);
    if (before === undefined) return;
    this.#claims.set(key, { ...before, amount: minus(before.amount, claim.amount) });
  }

  claims(): readonly Claim[] {
    return [...this.#claims.values()];
  }

  /**
   * The changes that somebody else may ever look at. A `per_task` balance of a request that named no task is
   * its own alone: it ends with it, in memory, and is never written.
   */
  lasting(changes: readonly BalanceChange[]): readonly BalanceChange[] {
    return changes.filter(({ account }) => !this.isOwn(account));
  }

  isOwn(account: AccountKey): boolean {
    return this.row.facts.task === this.row.request && account.endsWith(`|task=${this.row.request}`);
  }

  /**
   * Everything that it asks for until its horizon. Of one whose price has risen that is all of its time at
   * the higher one: more than it needs, until it is rebased.
   */
  need(): Need {
    const { at, images, tokens } = this.row;
    const { amount, horizon, price = this.price } = this.growing ?? this;
    // What was set aside by hand is money until then, and no work.
    const isWork = this.row.allocation === undefined;
    return {
      from: at,
      time: isWork ? between(at, horizon) : NO_TIME,
      rate: price.kind === "hour" ? price.rate : undefined,
      amount: isWork && price.kind === "hour" ? costCeil(price.rate, between(at, horizon)) : amount,
      requests: isWork ? 1 : 0,
      images,
      tokens: (tokens?.input ?? 0) + (tokens?.output ?? 0),
    };
  }

  /** What it holds in one period of one account. */
  heldIn({ account, start }: Pick<Claim, "account" | "start">): Quantity {
    return this.#claims.get(claimKey(account, start))?.amount ?? NOTHING;
  }

  toRow(): HeldRow {
    this.#version += 1;
    return {
      ...this.row,
      version: this.#version,
      amount: this.amount,
      horizon: this.horizon,
      claims: this.claims(),
      ...(this.rebased && { rebased: this.rebased }),
      join: this.join,
    };
  }

  /** Moves on, or throws: a hold that ends twice is a bug that would count money twice. */
  step(from: readonly HoldState[], to: HoldState): void {
    if (!from.includes(this.state)) {
      throw new Error(
        `hold ${this.row.id} is ${this.state}; it can become ${to} only from ${from.join(" or ")}`,
      );
    }
    this.state = to;
  }
}

/** What it is held at: since it was rebased, if its machine became dearer. */
export function priceOf({
  price,
  rebased,
}: Pick<HeldRow, "price"> & { readonly rebased?: RebasedAt | undefined }): Price {
  return rebased?.price ?? price;
}

/** What a claim adds to its balance on disk. */
export function heldChange(claim: Claim): BalanceChange {
  return {
    account: claim.account,
    start: claim.start,
    end: claim.end,
    settled: NOTHING,
    held: claim.amount,
  };
}
