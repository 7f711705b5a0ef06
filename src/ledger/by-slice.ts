// Posts what a running request has used so far (MONEY §7: a tunnel is posted by slice and settled at close):
// entries of what is new since the last time, which move from held to settled. They go with the write of
// its next slice, beside the lease as it stands, so that a crash never counts less than was posted.

import { Posted } from "../metering/posted.ts";
import { minus, NOTHING, type Quantity, quantityOf } from "../metering/quantity.ts";
import type { Claim } from "../policy/decision.ts";
import { unitOf } from "../policy/match.ts";
import { usedSoFar } from "./charge.ts";
import type { OpenHold } from "./held.ts";
import { post } from "./posting.ts";
import { slicedEntries } from "./rows.ts";
import type { Unstamped } from "./store.ts";
import type { Till } from "./till.ts";

export interface SlicePost {
  readonly write: Pick<Unstamped, "leases" | "joins" | "containers"> &
    Required<Pick<Unstamped, "entries" | "balances">>;
  /** The disk has refused it: nothing of it counts. */
  undo(): void;
}

const NOTHING_NEW: SlicePost = { write: { entries: [], balances: [] }, undo: () => undefined };

/** Counts in memory from this tick on. Before `hold.toRow()`: the claims are what is left of them. */
export function postSlice(till: Till, hold: OpenHold): SlicePost {
  const at = till.now();
  const used = hold.isBySlice ? usedSoFar(hold, till.leases.share(hold, at), at) : [];
  // Of time beyond its horizon there may be nothing yet: an empty entry would take the place of a later one.
  const parts = hold.posted.rest(used).filter(({ amount, elapsed }) => amount > 0n || elapsed > 0);
  if (parts.length === 0) return NOTHING_NEW;
  const entries = slicedEntries(hold, parts);
  const posted = post(till.book, till.counting(hold.row.facts), entries);
  const given = takenFrom(hold, new Posted(parts));
  for (const claim of given) hold.unclaim(claim);
  const freed = given.map((claim) =>
    till.book.move(claim.account, claim, { kind: "unhold", amount: claim.amount }),
  );
  hold.posted.add(parts);
  const leases = till.leases.rows(at);
  return {
    write: {
      entries,
      balances: hold.lasting([...freed, ...posted]),
      ...leases,
      containers: till.containers.standing(hold),
    },
    undo: () => {
      hold.posted.remove(parts);
      for (const claim of given) {
        hold.claim(claim);
        till.book.move(claim.account, claim, { kind: "hold", amount: claim.amount });
      }
      for (const change of posted) {
        const amount = minus(NOTHING, change.settled);
        till.book.move(change.account, change, { kind: "settle", amount });
      }
      till.leases.refused(leases.joins);
    },
  };
}

/** Resolves once the disk has written or refused what is being posted now; undefined where nothing is. */
export function slicesUnderWay(holds: Iterable<OpenHold>): Promise<unknown> | undefined {
  const slices = [...holds].filter(({ isBySlice, growing }) => isBySlice && growing !== undefined);
  return slices.length === 0 ? undefined : Promise.allSettled(slices.map(({ extending }) => extending));
}

/** By what each claim grows less: what was posted in its unit and its period, up to all of it. */
function takenFrom(hold: OpenHold, posted: Posted): readonly Claim[] {
  return hold.claims().flatMap((claim) => {
    const used = countedOf(posted, claim);
    const amount = used < claim.amount ? used : claim.amount;
    return amount > 0n ? [{ ...claim, amount }] : [];
  });
}

/** What posts count in the unit of a claim, in its period; none of them counts the request or its pieces. */
export function countedOf(posted: Posted, claim: Pick<Claim, "account" | "start" | "end">): Quantity {
  const { amount, elapsed } = posted.within(claim.start, claim.end);
  switch (unitOf(claim.account)) {
    case "usd":
      return amount;
    case "seconds":
      return quantityOf(elapsed);
    default:
      return NOTHING;
  }
}
