// The power is cut and comes back: what was not acknowledged is lost, what was is recovered (ledger/open.ts).

import { recover } from "../../src/ledger/recovery.ts";
import { NOTHING } from "../../src/metering/quantity.ts";
import type { Instant } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import type { Bill } from "./bill.ts";
import { afterCrash, lastSignOf } from "./bill-after-crash.ts";
import { countedBy, startable } from "./storm.ts";

export interface Restart {
  readonly at: Instant;
  readonly policy: Policy;
  /** Undefined in calm runs, of which the policy never changes: the file as it was saved last, if it was. */
  readonly saved: Policy | "none" | undefined;
}

/** The disk as the next life finds it, and the policy that it starts with. */
export function restarted(
  before: FakeDisk,
  { at, policy: last, saved }: Restart,
  bill: Bill,
): { readonly disk: FakeDisk; readonly policy: Policy } {
  const disk = before.powerCut();
  const policy =
    saved === undefined ? last : startable(disk.tracked, saved === "none" ? undefined : saved, last);
  if (saved !== undefined) disk.tracked = countedBy(policy);
  const crash = { ...disk.stored(), restart: at, policy };
  const writes = recover(crash);
  afterCrash(bill, disk, writes, lastSignOf(crash));
  for (const write of writes) disk.writeNow(write);
  disk.forgetEnded();
  // What is still held is of a write that a failing disk took without its counterpart.
  if (saved !== undefined) {
    for (const [key, one] of disk.balances) disk.balances.set(key, { ...one, held: NOTHING });
  }
  return { disk, policy };
}
