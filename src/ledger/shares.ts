// What each open request had accrued of its machine's lease when the daemon died (MONEY §2, §7). What one
// pays that had left is known, if anything was written since; the others go on from the lease's last state,
// with what is known to have happened after it. Writes can fail one by one, so holds and leases on disk need
// not agree: where they do not, a request is charged for the longest time that it can have run, never for
// none, and the start never fails over it.

import {
  type Attribution,
  type Join,
  Lease,
  type LeaseState,
  type Part,
  type Skipped,
} from "../metering/lease.ts";
import { thawParts } from "../metering/lease-state.ts";
import {
  type HourlyRate,
  hourlyRate,
  type NanoUsd,
  nanoUsd,
  smaller,
  subtract,
  US_PER_HOUR,
} from "../metering/money.ts";
import { isFree } from "../metering/price.ts";
import { FOREVER, type Instant, latest, quarterHourOf } from "../metering/time.ts";
import { leaseKey } from "./container.ts";
import { type StoredContainer, skippedRow } from "./container-lease.ts";
import type { HeldRow } from "./held.ts";

const NO_IDLE = hourlyRate(0n);

export interface LastBeat {
  readonly holds: readonly HeldRow[];
  readonly leases: ReadonlyMap<string, { readonly state: LeaseState }>;
  /** Those that live beyond their requests. */
  readonly containers: readonly StoredContainer[];
  /** Those that are over: everybody has left. */
  readonly ended?: readonly StoredContainer[];
  /** When all leases, and all joins, were last written. */
  readonly heartbeat: Instant;
  /** How a lease that nobody wrote down was paid. */
  readonly attribution?: Attribution | undefined;
}

export interface Shares {
  /** By hold; nothing for those whose price time does not touch. */
  readonly parts: ReadonlyMap<string, readonly Part[]>;
  /** The container's lease that a hold has shared. */
  readonly sharedWith: ReadonlyMap<string, StoredContainer>;
  /** As they are after everybody has left. */
  readonly containers: readonly StoredContainer[];
}

export function sharesAt(last: LastBeat, end: Instant): Shares {
  const timed = last.holds.filter(isTimed);
  const sharedWith = new Map(timed.flatMap((row) => containerFor(last, row)));
  const parts = new Map<string, readonly Part[]>();
  const settle = (one: StoredContainer) => {
    const rows = timed.filter((row) => sharedWith.get(row.id) === one);
    const after = ofMachine(rows, one.state, last, end, { isWatched: one.unwatched === undefined });
    for (const [id, of] of after.shares) parts.set(id, of);
    return after;
  };
  for (const one of last.ended ?? []) settle(one);
  const containers = last.containers.map((one) => {
    const { state, lastLeft = one.lastLeft, skipped } = settle(one);
    const unwatched = one.unwatched && { unwatched: [...one.unwatched, ...skipped.map(skippedRow)] };
    return { ...one, state, lastLeft, ...unwatched };
  });
  const others = timed.filter((row) => !sharedWith.has(row.id) && !isStillCold(row));
  for (const [machine, rows] of Map.groupBy(others, (row) => row.machine)) {
    const state = last.leases.get(machine)?.state;
    for (const [id, of] of ofMachine(rows, state, last, end).shares) parts.set(id, of);
  }
  return { parts, sharedWith, containers };
}

/** The one that it says; who joined without a word that was written, the newest one of its machine. */
function containerFor(
  { containers, ended = [] }: LastBeat,
  row: HeldRow,
): readonly (readonly [string, StoredContainer])[] {
  const key = row.join?.lease;
  const ofMachine = containers.filter(({ machines }) => machines.includes(row.machine));
  const found =
    key === undefined
      ? ofMachine.findLast(({ state }) => row.join === undefined || isOfLease(state, row))
      : [...containers, ...ended].find(({ about }) => leaseKey(about) === key);
  return found === undefined ? [] : [[row.id, found]];
}

/** Nobody had told of the container that it waited for: its whole time is charged once somebody does. */
function isStillCold({ isCold, join }: HeldRow): boolean {
  return isCold === true && join === undefined;
}

interface Counted {
  readonly row: HeldRow;
  readonly join: NonNullable<HeldRow["join"]>;
}

interface After {
  readonly shares: ReadonlyMap<string, readonly Part[]>;
  readonly state: LeaseState;
  /** Of those that were in it after that state was written. */
  readonly lastLeft: Instant | undefined;
  /** Of one that nobody watched: the time before each that came. */
  readonly skipped: readonly Skipped[];
}

function ofMachine(
  rows: readonly HeldRow[],
  state: LeaseState | undefined,
  { heartbeat, attribution }: LastBeat,
  end: Instant,
  container?: { readonly isWatched: boolean },
): After {
  const gone = state === undefined ? [] : rows.filter((row) => hadLeft(state, rows, row));
  const here = rows.filter((row) => !gone.includes(row));
  const counted = state === undefined ? [] : here.flatMap((row) => countedIn(state, row));
  const others = here
    .filter((row) => !counted.some((one) => one.row === row))
    .map((row) => ({ row, start: startOf(row, heartbeat) }));
  // Left before the lease was written, which nobody has said: who shared with it is no longer known.
  const lost = state === undefined ? [] : others.filter(({ row }) => isLost(state, row));
  const joining = others.filter((one) => !lost.includes(one)).sort((a, b) => a.start - b.start);

  const known = state !== undefined && (container !== undefined || counted.length > 0) ? state : undefined;
  const lease =
    known === undefined ? unknownLease(joining[0]?.start ?? end) : Lease.resume(corrected(known, counted));
  if (attribution !== undefined && lease.active === 0) lease.attribute(lease.at, attribution);
  const asked = known === undefined ? new Asked(lease) : undefined;
  const replayed = { lease, asked, isSkipping: container?.isWatched === false };
  const { shares, lastLeft, skipped } = replay(replayed, counted, joining, end);
  const alone = lost.map(({ row, start }) => {
    const most = state === undefined ? undefined : sharedUpTo(state, row);
    return [row.id, upTo(most, exclusive(row, start, end))] as const;
  });
  const said = rows.flatMap(({ id, join }) =>
    join?.left === undefined ? [] : [[id, thawParts(join.left.parts)] as const],
  );
  return { shares: new Map([...shares, ...alone, ...said]), state: lease.state(), lastLeft, skipped };
}

/** Nobody wrote down what it cost: what those held at who shared it (sharing.ts). */
class Asked {
  readonly #lease: Lease;
  readonly #here = new Set<HeldRow>();

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  came(row: HeldRow, at: Instant): void {
    this.#here.add(row);
    this.turn(at);
  }

  left(row: HeldRow, at: Instant): void {
    this.#here.delete(row);
    this.turn(at);
  }

  /** No more than the least that anyone who is there held at then. */
  turn(at: Instant): void {
    const rates = [...this.#here].map((row) => rateAt(row, at));
    const [first] = rates;
    if (first === undefined) return;
    const lowest = rates.reduce((one, other) => (other < one ? other : one), first);
    this.#lease.reprice(at, lowest, NO_IDLE);
  }
}

function unknownLease(start: Instant): Lease {
  return new Lease(start, NO_IDLE, NO_IDLE, "ready");
}

interface Replayed {
  readonly lease: Lease;
  readonly asked: Asked | undefined;
  readonly isSkipping: boolean;
}

/**
 * What happened after the lease's last state: who came, who was asked a higher price, who left when it says,
 * and all others at the end.
 */
function replay(
  { lease, asked, isSkipping }: Replayed,
  counted: readonly Counted[],
  joining: readonly { readonly row: HeldRow; readonly start: Instant }[],
  end: Instant,
): Pick<After, "shares" | "lastLeft" | "skipped"> {
  const joins = new Map<HeldRow, Join>(counted.map(({ row, join }) => [row, join]));
  const shares = new Map<string, readonly Part[]>();
  let lastLeft: Instant | undefined;
  const leave = (row: HeldRow, at: Instant) => {
    const join = joins.get(row);
    if (join === undefined) throw new Error(`the hold ${row.id} leaves a lease before it joins it`);
    shares.set(row.id, lease.leave(at, join));
    asked?.left(row, at);
    lastLeft = lease.at;
  };
  const skipped: Skipped[] = [];
  const come = (row: HeldRow, at: Instant) => {
    if (isSkipping && lease.active === 0 && at > lease.at) skipped.push(lease.skip(at));
    asked?.came(row, at);
    joins.set(row, lease.join(at));
  };
  const all = [...counted, ...joining].map(({ row }) => ({ row, at: row.join?.left?.at ?? end }));
  const moves = [
    ...joining.map(({ row, start }) => ({ at: start, make: () => come(row, start) })),
    ...joining.flatMap(({ row: { rebased } }) =>
      rebased?.price === undefined ? [] : [{ at: rebased.at, make: () => asked?.turn(rebased.at) }],
    ),
    ...all.map(({ row, at }) => ({ at, make: () => leave(row, at) })),
  ];
  for (const { make } of moves.sort((a, b) => a.at - b.at)) make();
  return { shares, lastLeft, skipped };
}

/** This state knows it as one that had left. Of who left in that very moment its number tells. */
function hadLeft(state: LeaseState, rows: readonly HeldRow[], { join }: HeldRow): boolean {
  const at = join?.left?.at;
  if (at === undefined || at > state.t) return false;
  if (at < state.t) return true;
  const later = rows.filter((row) => isOfLease(state, row) && (row.join?.left?.at ?? FOREVER) > state.t);
  return state.n <= later.length;
}

/** A request is in this state of the lease if it joined before it was written and its quarter is in it. */
function countedIn(state: LeaseState, row: HeldRow): readonly Counted[] {
  const { join } = row;
  if (join === undefined || !isOfLease(state, row)) return [];
  const quarter = quarterHourOf(join.start);
  return state.joined.some(([known]) => known === quarter) ? [{ row, join }] : [];
}

/** One that joined at that very instant is not: it can only have come after this was written. */
function isLost(state: LeaseState, row: HeldRow): boolean {
  const joinedBefore = row.join !== undefined && row.join.start < state.t;
  return joinedBefore && isOfLease(state, row) && countedIn(state, row).length === 0;
}

/** It left before this state was written: it has shared no more than this, whoever was there. */
function sharedUpTo({ V }: LeaseState, { join }: HeldRow): NanoUsd | undefined {
  if (join === undefined) return undefined;
  return nanoUsd((BigInt(V) - BigInt(join.V0)) / US_PER_HOUR);
}

/** The first parts that add up to it. */
function upTo(most: NanoUsd | undefined, parts: readonly Part[]): readonly Part[] {
  let left = most;
  return parts.map((part) => {
    if (left === undefined) return part;
    const amount = smaller(part.amount, left);
    left = subtract(left, amount);
    return { ...part, amount };
  });
}

/** Not of an earlier lease of the machine, whose last state nobody took off the disk. */
function isOfLease(state: LeaseState, { join }: HeldRow): boolean {
  if (join === undefined) return false;
  return join.start >= state.start && join.start <= state.t && BigInt(join.V0) <= BigInt(state.V);
}

/** A join that was not written yet is later than the last heartbeat, and than the hold itself. */
function startOf(row: HeldRow, heartbeat: Instant): Instant {
  return row.join?.start ?? latest(heartbeat, row.at);
}

/** The lease as those know it who are still open: it may count others that were settled, or miss some. */
function corrected(state: LeaseState, counted: readonly Counted[]): LeaseState {
  const quarters = Map.groupBy(counted, ({ join }) => quarterHourOf(join.start));
  const joined = [...quarters]
    .map(([quarter, all]) => [quarter, all.length] as const)
    .sort(([a], [b]) => a - b);
  return { ...state, n: counted.length, joined };
}

function exclusive(row: HeldRow, start: Instant, end: Instant): readonly Part[] {
  const lease = unknownLease(start);
  const asked = new Asked(lease);
  asked.came(row, start);
  const join = lease.join(start);
  if (row.rebased !== undefined && row.rebased.at < end) asked.turn(row.rebased.at);
  return lease.leave(end, join);
}

/** It has held at a higher price since it was asked for that. */
function rateAt({ price: first, rebased }: HeldRow, at: Instant): HourlyRate {
  const price = rebased?.price !== undefined && at >= rebased.at ? rebased.price : first;
  return price.kind === "hour" ? price.rate : NO_IDLE;
}

function isTimed(row: HeldRow): boolean {
  return row.price.kind === "hour" && !isFree(row.price);
}
