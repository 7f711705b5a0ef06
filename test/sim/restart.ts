// The power is cut and comes back: what was not acknowledged is lost, what was is recovered (ledger/open.ts).

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { LedgerClock } from "../../src/ledger/clock.ts";
import type { Owner } from "../../src/ledger/held.ts";
import { keepAllocations } from "../../src/ledger/open.ts";
import { recover } from "../../src/ledger/recovery.ts";
import type { Write } from "../../src/ledger/store.ts";
import type { Lesson } from "../../src/metering/learned-times.ts";
import { NOTHING } from "../../src/metering/quantity.ts";
import type { Instant } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import type { Bill } from "./bill.ts";
import { afterCrash, lastSignOf } from "./bill-after-crash.ts";
import type { MakeAccounts } from "./kind.ts";
import { countedBy, startable } from "./storm.ts";
import type { World } from "./world.ts";

export interface Restart {
  readonly at: Instant;
  /** The next one. */
  readonly life: number;
  readonly policy: Policy;
  /** Undefined in calm runs, of which the policy never changes: the file as it was saved last, if it was. */
  readonly saved: Policy | "none" | undefined;
}

/** The disk as the next life finds it, and the policy that it starts with. */
export function restarted(
  before: FakeDisk,
  { at, life, policy: last, saved }: Restart,
  bill: Bill,
): { readonly disk: FakeDisk; readonly policy: Policy } {
  const disk = before.powerCut();
  const policy =
    saved === undefined ? last : startable(disk.tracked, saved === "none" ? undefined : saved, last);
  if (saved !== undefined) disk.tracked = countedBy(policy);
  const stored = disk.stored();
  const crash = { ...stored, restart: at, policy };
  const writes = recover(crash);
  afterCrash(bill, disk, { writes, end: lastSignOf(crash), attribution: policy.attribution });
  for (const write of writes) disk.writeNow(write);
  disk.forgetEnded();
  // What is still held is of a write that a failing disk took without its counterpart.
  if (saved !== undefined) {
    for (const [key, one] of disk.balances) disk.balances.set(key, { ...one, held: NOTHING });
    keepAllocations(stored, ownerIn(life), { put: (write) => disk.writeNow(write) });
  }
  return { disk, policy };
}

export interface Opening {
  readonly world: World;
  readonly life: number;
  readonly policy: Policy;
  learn(lesson: Lesson): void;
}

/** As daemon/books.ts does it, with what the disk has. */
export function openAccounts(make: MakeAccounts, disk: FakeDisk, opening: Opening): LocalAccounts {
  const { world, life, policy, learn } = opening;
  const { balances, tracked, containers, holds, highWater } = disk.stored();
  return make({
    store: disk,
    clock: new LedgerClock(world, highWater),
    owner: ownerIn(life),
    policy,
    ...{ balances, tracked, containers, learn },
    allocations: holds.filter(({ allocation }) => allocation !== undefined),
    onTrouble: () => undefined,
  });
}

interface Watcher {
  handed(write: Write): void;
  refused(write: Write): void;
}

export function watchWrites(disk: FakeDisk, watchers: readonly Watcher[]): void {
  disk.onHanded = (write) => {
    for (const watcher of watchers) watcher.handed(write);
  };
  disk.onRefused = (write) => {
    for (const watcher of watchers) watcher.refused(write);
  };
}

function ownerIn(life: number): Owner {
  return { name: "simulation", epoch: life };
}
