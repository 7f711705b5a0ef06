// What a crash leaves of a bill: leases as the disk has them, whoever is open there until the last sign of life,
// and nobody who watches. Where holds and leases on disk disagree, more is charged than was used; never less.

import { leaseKey } from "../../src/ledger/container.ts";
import type { HeldRow } from "../../src/ledger/held.ts";
import type { ContainerRow, Write } from "../../src/ledger/store.ts";
import type { Attribution } from "../../src/metering/lease.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import type { Account, Bill } from "./bill.ts";
import type { LeaseModel } from "./lease-model.ts";

export interface Recovery {
  /** What it is about to write. */
  readonly writes: readonly Write[];
  /** Until when it charges. */
  readonly end: number;
  /** Of the policy to start with: how those pay who came after a lease was written last. */
  readonly attribution: Attribution;
}

/** `disk` is what recovery will read. */
export function afterCrash(bill: Bill, disk: FakeDisk, recovery: Recovery): void {
  bill.uses.clear();
  bill.lastUse.clear();
  const open = openOf(disk);
  // What it shared in memory nobody knows any more, unless the disk says so: a name that was told since is gone.
  for (const held of open) bill.whose.delete(held.request);
  for (const account of bill.accounts.values()) {
    const leases = new Set([
      ...account.ended.keys(),
      ...(account.known === undefined ? [] : [account.known]),
    ]);
    account.known = undefined;
    const rowOf = (lease: LeaseModel) => disk.containers.get(`${account.id}@${lease.start0}`);
    const left = [...leases].filter(({ isForGood }) => !isForGood);
    // First: who shared one of these may be charged as of one that the disk still knows.
    for (const lease of left) if (rowOf(lease) === undefined) forget(bill, account, lease);
    for (const lease of left) {
      const row = rowOf(lease);
      const own = row === undefined ? [] : open.filter((held) => isOf(held, row, disk));
      for (const held of own) bill.whose.set(held.request, account.id);
      lease.isForGood = row?.isOver === true;
      if (row?.isOver) account.overcharged += chargedOf(recovery.writes, own);
      else if (row !== undefined) resume({ bill, account, lease, row, disk, ...recovery }, own);
    }
  }
}

/** Until when whoever is open is charged: a second after the last sign of life, and not beyond the restart. */
export function lastSignOf(crash: {
  readonly heartbeat: number;
  readonly highWater: number;
  readonly restart: number;
}): number {
  const { heartbeat, highWater, restart } = crash;
  const last = highWater > heartbeat + 1_000_000 ? highWater : heartbeat;
  return Math.max(highWater, Math.min(last + 1_000_000, restart));
}

/** Nothing of it is on disk, nor of any request that shared it, but for what each has held. */
function forget(bill: Bill, account: Account, lease: LeaseModel): void {
  account.ended.delete(lease);
  for (const hold of lease.guests.keys()) bill.whose.delete(bill.holds.get(hold) ?? "");
}

interface Crash extends Recovery {
  readonly bill: Bill;
  readonly account: Account;
  readonly lease: LeaseModel;
  readonly row: ContainerRow;
  readonly disk: FakeDisk;
}

function resume(crash: Crash, own: readonly HeldRow[]): void {
  const { account, lease, row, disk, writes, end, attribution } = crash;
  const { t, phase } = row.state;
  const there = lease.guestsAt(t);
  lease.forget(t);
  account.ended.delete(lease);
  account.known = lease;
  lease.price = row.about.price.rate;
  lease.idle = row.about.idlePrice;
  lease.minBilled = row.about.minBilled;
  lease.isStarting = phase.kind === "starting";
  const isShared = own.some(({ id }) => there.includes(id));
  lease.isExclusive = (isShared ? (row.state.attribution ?? "shared") : attribution) === "exclusive";
  lease.names.clear();
  for (const name of row.machines) lease.names.add(name);
  lease.isWatched = own.length > 0 && row.unwatched === undefined;
  lease.resumeSkipped(row.unwatched ?? []);
  lease.note(t);
  const after = writes.flatMap(({ containers = [] }) => containers).find(({ about }) => isSame(about, row));
  const goesOn = (after?.state.t ?? t) > t;
  const moves: { readonly at: number; make(): void }[] = [];
  for (const held of own) {
    const { join } = held;
    const left = join?.left?.at;
    // Whoever had left by then shares nothing more, unless nobody wrote that down and recovery could not tell.
    if (left !== undefined && left <= t) continue;
    const hadLeft = left === undefined && join !== undefined && join.start < t && !there.includes(held.id);
    if (hadLeft) account.overcharged += chargedOf(writes, [held]);
    if (hadLeft && !goesOn) continue;
    const from = Math.max(join?.start ?? Math.max(disk.heartbeat, held.at), t);
    const asked = held.rebased?.price ?? held.price;
    // Who was asked more since its lease was written is charged by that until the end.
    const known = BigInt(row.state.P);
    const rate = asked.kind === "hour" && asked.rate < known ? asked.rate : known;
    moves.push({ at: from, make: () => lease.join(held.id, rate, from) });
    if (left !== undefined) moves.push({ at: left, make: () => lease.leave(held.id, left) });
  }
  for (const { make } of moves.toSorted((one, other) => one.at - other.at)) make();
  if (lease.active > 0) lease.unwatch(end);
  else lease.unwatch(t);
}

function isSame(about: ContainerRow["about"], row: ContainerRow): boolean {
  return leaseKey(about) === leaseKey(row.about);
}

/** The newest of each request: an older one was never sent. */
function openOf(disk: FakeDisk): readonly HeldRow[] {
  const newest = new Map<string, HeldRow>();
  const numberOf = ({ id }: HeldRow) => Number(id.slice(id.lastIndexOf(".") + 1));
  for (const held of disk.holds.values()) {
    const known = newest.get(held.request);
    if (known === undefined || numberOf(held) > numberOf(known)) newest.set(held.request, held);
  }
  return [...newest.values()].filter(({ price }) => price.kind === "hour" && price.rate > 0n);
}

/** It says so; or it says nothing, and this is the newest lease of its machine. */
function isOf(held: HeldRow, row: ContainerRow, disk: FakeDisk): boolean {
  const { join } = held;
  const key = leaseKey(row.about);
  if (join?.lease !== undefined) return join.lease === key;
  const ofMachine = [...disk.containers.values()].filter(
    ({ machines, isOver }) => !isOver && machines.includes(held.machine),
  );
  const found = ofMachine.findLast(({ state }) => {
    if (join === undefined) return true;
    return join.start >= state.start && join.start <= state.t && BigInt(join.V0) <= BigInt(state.V);
  });
  return found !== undefined && leaseKey(found.about) === key;
}

function chargedOf(writes: readonly Write[], held: readonly HeldRow[]): bigint {
  const ids = new Set(held.map(({ id }) => id));
  const own = writes.filter(({ unhold = [] }) => unhold.some((id) => ids.has(id)));
  return own.flatMap(({ entries = [] }) => entries).reduce((sum, { amount }) => sum + amount, 0n);
}
