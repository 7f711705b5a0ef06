// A running request's next slice (MONEY §3): asked of every budget that covers it, written before it counts,
// and with it what a tunnel has used so far.

import { add, costCeil, type NanoUsd, subtract, ZERO_USD } from "../metering/money.ts";
import { sliceOf } from "../metering/quote.ts";
import { between, type Instant, later } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import { demandsOn, sliceNeed } from "../policy/claims.ts";
import type { Claim } from "../policy/decision.ts";
import { postSlice } from "./by-slice.ts";
import { type Extension, furtherClaims } from "./further.ts";
import type { OpenHold } from "./held.ts";
import { raise } from "./raising.ts";
import { extendedEntry } from "./rows.ts";
import { timedRate } from "./sharing.ts";
import type { Till } from "./till.ts";

export async function extend(till: Till, hold: OpenHold): Promise<Extension> {
  if (hold.isLost) return { answer: "refused" };
  // Else in this tick: money that was freed in it is a running request's before it is anybody else's.
  while (hold.rebasing !== undefined) await hold.rebasing;
  if (hold.state !== "running" && hold.state !== "waiting") return { answer: "extended" };
  if (till.leases.risen(hold) !== undefined) {
    const raised = await raise(till, hold);
    return raised.answer === "extended" ? extend(till, hold) : raised;
  }
  const time = sliceOf(hold.time);
  const until = later(hold.horizon, time);
  const rate = timedRate(hold);
  const coverage = till.coverage(hold.row.facts);
  if (rate === undefined && !coverage.some(({ ground }) => ground.unit === "seconds")) {
    hold.horizon = until;
    return { answer: "extended" };
  }
  const amount = sliceAmount(hold, until);
  const demands = coverage.flatMap((one) =>
    demandsOn(one, sliceNeed(hold.horizon, time, amount, rate), till.book.relief).filter(
      (demand) => demand.amount > 0n,
    ),
  );
  const view = till.view();
  const { claims, cutBy } = furtherClaims(demands, view);
  if (claims === undefined) return { answer: "refused", cutBy };
  const slice = writeSlice(till, hold, { claims, amount, until, view });
  hold.extending = slice;
  return { answer: await slice };
}

interface Slice {
  readonly claims: readonly Claim[];
  readonly amount: NanoUsd;
  readonly until: Instant;
  readonly view: Balances;
}

/** Held at once, so that no other request can take it meanwhile; given back if the disk refuses. */
async function writeSlice(till: Till, hold: OpenHold, slice: Slice): Promise<Extension["answer"]> {
  const { claims, amount, until, view } = slice;
  hold.growing = { amount: add(hold.amount, amount), horizon: until };
  const taken = hold.lasting(till.take(hold, claims, view));
  const posted = postSlice(till, hold);
  const entries = [...posted.write.entries, extendedEntry(hold, till.now(), amount)];
  const balances = [...posted.write.balances, ...taken];
  const row = { ...hold.toRow(), ...hold.growing };
  const result = await till.outbox.tryWrite({ ...posted.write, entries, balances, rehold: [row] });
  hold.growing = undefined;
  if (!result.written) {
    posted.undo();
    till.untake(hold, claims);
    return "unavailable";
  }
  hold.amount = row.amount;
  hold.horizon = until;
  // A reload may have written the hold meanwhile, as it was before this slice.
  if (hold.version !== row.version) {
    till.outbox.write({ rehold: [hold.toRow()] }).catch(() => undefined);
  }
  return "extended";
}

/** By difference of running totals from where the hold counts: slices add up to the whole. */
function sliceAmount(hold: OpenHold, until: Instant): NanoUsd {
  const { at } = hold.row;
  const rate = timedRate(hold);
  if (rate === undefined) return ZERO_USD;
  return subtract(costCeil(rate, between(at, until)), costCeil(rate, between(at, hold.horizon)));
}
