// A lease at rest: what the heartbeat writes and a restart reads. Plain JSON, because raw amounts outgrow
// both a double and SQLite's 64 bits: they and the rates stand in it as decimal digits.

import { type HourlyRate, hourlyRate, nanoUsd } from "./money.ts";
import type { Part } from "./part.ts";
import type { DurationUs, Instant } from "./time.ts";

/** A request's place in a lease. A plain value: it is stored with the reservation and outlives a restart. */
export interface Join {
  readonly start: Instant;
  /** V at `start`, raw, as decimal digits. */
  readonly V0: string;
}

/** Whether requests that run together share the price, or each pays all of it. */
export type Attribution = "shared" | "exclusive";

/** The letters are those of MONEY §2. */
export interface LeaseState {
  readonly start: Instant;
  readonly t: Instant;
  readonly phase:
    | { readonly kind: "starting" }
    /** When it became ready, and V then. */
    | { readonly kind: "ready"; readonly at: Instant; readonly V: string };
  readonly P: string;
  readonly I: string;
  readonly n: number;
  readonly V: string;
  readonly c: string;
  /** The integral of the rate, raw: what the whole lease costs so far. */
  readonly total: string;
  /** Both absent where it was shared all the time. `beyond`: what requests are charged above `total`, raw. */
  readonly attribution?: Attribution;
  readonly beyond?: string;
  /**
   * Container money so far, raw and with the remainders, and what of it was cut into parts (nano-dollars).
   */
  readonly idle: AccountState;
  readonly startup: AccountState;
  /** What idle time would have cost more at the full price, raw. */
  readonly discount: string;
  /** Container time that no part holds yet, and where its piece begins. */
  readonly piece: Piece;
  /** V at the quarter-hours that an active request has passed. */
  readonly marks: readonly (readonly [Instant, string])[];
  /** How many active requests joined in each quarter-hour, oldest first. */
  readonly joined: readonly (readonly [Instant, number])[];
  /** Parts that were cut at a quarter-hour and not handed out yet; amounts as decimal digits. */
  readonly pending: readonly PartState[];
}

interface AccountState {
  readonly raw: string;
  readonly posted: string;
}

export type PartState = Omit<Part, "amount"> & { readonly amount: string };

export interface Piece {
  readonly at: Instant;
  readonly idle: DurationUs;
  readonly startup: DurationUs;
}

/** The same while it runs; only Lease changes it. */
export interface LiveState {
  start: Instant;
  t: Instant;
  phase: { readonly kind: "starting" } | { readonly kind: "ready"; readonly at: Instant; readonly V: bigint };
  P: HourlyRate;
  I: HourlyRate;
  n: number;
  V: bigint;
  c: bigint;
  total: bigint;
  attribution: Attribution;
  beyond: bigint;
  readonly idle: Account;
  readonly startup: Account;
  discount: bigint;
  piece: Piece;
  readonly marks: Map<Instant, bigint>;
  readonly joined: Map<Instant, number>;
  pending: Part[];
}

export interface Account {
  raw: bigint;
  posted: bigint;
}

export function freeze(live: LiveState): LeaseState {
  const { phase } = live;
  return {
    start: live.start,
    t: live.t,
    phase: phase.kind === "starting" ? phase : { kind: "ready", at: phase.at, V: String(phase.V) },
    P: String(live.P),
    I: String(live.I),
    n: live.n,
    V: String(live.V),
    c: String(live.c),
    total: String(live.total),
    ...(live.attribution === "exclusive" || live.beyond > 0n
      ? { attribution: live.attribution, beyond: String(live.beyond) }
      : {}),
    idle: { raw: String(live.idle.raw), posted: String(live.idle.posted) },
    startup: { raw: String(live.startup.raw), posted: String(live.startup.posted) },
    discount: String(live.discount),
    piece: live.piece,
    marks: [...live.marks].map(([at, V]) => [at, String(V)] as const),
    joined: [...live.joined],
    pending: freezeParts(live.pending),
  };
}

export function thaw(state: LeaseState): LiveState {
  const { phase } = state;
  return {
    start: state.start,
    t: state.t,
    phase: phase.kind === "starting" ? phase : { kind: "ready", at: phase.at, V: BigInt(phase.V) },
    P: hourlyRate(BigInt(state.P)),
    I: hourlyRate(BigInt(state.I)),
    n: state.n,
    V: BigInt(state.V),
    c: BigInt(state.c),
    total: BigInt(state.total),
    attribution: state.attribution ?? "shared",
    beyond: BigInt(state.beyond ?? 0),
    idle: { raw: BigInt(state.idle.raw), posted: BigInt(state.idle.posted) },
    startup: { raw: BigInt(state.startup.raw), posted: BigInt(state.startup.posted) },
    discount: BigInt(state.discount),
    piece: state.piece,
    marks: new Map(state.marks.map(([at, V]) => [at, BigInt(V)])),
    joined: new Map(state.joined),
    pending: thawParts(state.pending),
  };
}

export function freezeParts(parts: readonly Part[]): readonly PartState[] {
  return parts.map((part) => ({ ...part, amount: String(part.amount) }));
}

export function thawParts(parts: readonly PartState[]): Part[] {
  return parts.map((part) => ({ ...part, amount: nanoUsd(BigInt(part.amount)) }));
}
