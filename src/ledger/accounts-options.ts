// What the embedded ledger's accounts are opened with: where they write, what a restart has read, and who
// is told.

import type { Lesson } from "../metering/learned-times.ts";
import type { Instant } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import type { BalanceChange } from "./book.ts";
import type { LedgerClock } from "./clock.ts";
import type { StoredContainer } from "./container-lease.ts";
import type { Gaps } from "./folding.ts";
import type { HeldRow, Owner } from "./held.ts";
import type { Store } from "./store.ts";

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
  readonly tracked: readonly string[];
  readonly gaps?: Gaps;
  /** Leases of containers that were up: each goes on once its provider says that it lives. */
  readonly containers?: readonly StoredContainer[];
  /** When those that are over ended, oldest first. */
  readonly ends?: readonly (readonly [string, Instant])[];
  /** Until when requests have paid for machines without one, by machine. */
  readonly used?: readonly (readonly [string, Instant])[];
  /** Told of every write that failed. */
  readonly onTrouble: (error: unknown) => void;
  /** Told of every ending that says how long such work takes. */
  readonly learn: (lesson: Lesson) => void;
}
