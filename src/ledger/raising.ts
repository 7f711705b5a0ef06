// A machine becomes dearer while requests run there (MONEY §2). Each is asked the new price with its next
// slice, one that holds for longer within the time of a slice: what it holds ahead is topped up to that price
// first, in every budget that covers it. Where a budget that cuts has not that much, the money that is held
// lasts less long, and the request is asked again, or cut, before it ends. The machine costs more once all of
// them have been asked.
//
//   at r until H ──asked──► at R until H                  all budgets had (R - r) x what is ahead
//                    └────► at R until x + (H - x) r / R  one that cuts had not
//
// Invariant: from the instant on that it says, a hold covers its whole time ahead at the price that it says.

import {
  add,
  cost,
  costCeil,
  type HourlyRate,
  hourlyRate,
  type NanoUsd,
  US_PER_HOUR,
} from "../metering/money.ts";
import type { HourPrice } from "../metering/price.ts";
import { quantityOf, sum } from "../metering/quantity.ts";
import { GUARD, sliceOf } from "../metering/quote.ts";
import { between, type DurationUs, earliest, type Instant, later, latest, SECOND } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import { demandsOn, sliceNeed } from "../policy/claims.ts";
import type { AccountKey, Claim } from "../policy/decision.ts";
import { unitOf } from "../policy/match.ts";
import { usedSoFar } from "./charge.ts";
import { type Extension, furtherClaims } from "./further.ts";
import type { OpenHold, RebasedAt } from "./held.ts";
import { giveBack, rebasedAt, surplusOf, withoutSurplus } from "./rebase.ts";
import { extendedEntry } from "./rows.ts";
import { timedRate } from "./sharing.ts";
import type { Till } from "./till.ts";

/** A hold that ends sooner is not asked in time: who keeps it needs a second, and the cut the guard. */
const SOONEST = (GUARD + SECOND) as DurationUs;

/** What is held at the old price and what is added are rounded up apart; so is what they hold together. */
const ROUNDING = quantityOf(1);

/** With each heartbeat: those that no slice of theirs has asked in time. Resolves to the accounts freed. */
export async function raiseAll(holds: Iterable<OpenHold>, till: Till): Promise<readonly AccountKey[]> {
  const late = [...holds].filter((hold) => {
    const said = till.leases.risen(hold);
    return said !== undefined && till.now() >= later(said.since, sliceOf(hold.time));
  });
  return (await Promise.all(late.map((hold) => raiseOrShorten(till, hold)))).flat();
}

async function raiseOrShorten(till: Till, hold: OpenHold): Promise<readonly AccountKey[]> {
  // One whose slice is being written is asked with the next heartbeat.
  if (hold.growing !== undefined) return [];
  const { answer } = await raise(till, hold);
  const isFree = hold.growing === undefined && hold.rebasing === undefined;
  return answer === "refused" && isFree ? shorten(till, hold) : [];
}

/** Holds the difference to the higher price for all of its time ahead. */
export async function raise(till: Till, hold: OpenHold): Promise<Extension> {
  while (hold.rebasing !== undefined) await hold.rebasing;
  const view = till.view();
  const { at } = view;
  const price = till.leases.risen(hold)?.price;
  const rate = timedRate(hold);
  const share = till.leases.share(hold, at);
  if (price === undefined || rate === undefined || share === undefined) return { answer: "extended" };
  const more = hourlyRate(price.rate - rate);
  const time = between(at, latest(at, hold.horizon));
  const amount = costCeil(more, time);
  const demands = till
    .coverage(hold.row.facts)
    .filter(({ ground }) => ground.unit === "usd")
    .flatMap((one) => demandsOn(one, sliceNeed(at, time, amount, more), till.book.relief))
    .filter((demand) => demand.amount > 0n)
    .map((demand) => ({ ...demand, amount: sum(demand.amount, ROUNDING) }));
  const { claims, cutBy } = furtherClaims(demands, view);
  if (claims === undefined) return { answer: "refused", cutBy };
  // One that is asked late may have taken more than it holds: that stays its container's.
  const rebased = rebasedAt(earliest(at, hold.horizon), usedSoFar(hold, share, at), price);
  return writeRaise(till, hold, { claims, amount, rebased, price, view });
}

interface Raise {
  readonly claims: readonly Claim[];
  readonly amount: NanoUsd;
  readonly rebased: RebasedAt;
  readonly price: HourPrice;
  readonly view: Balances;
}

/** Held at once; at the new price once it is durable: an ending and a further slice wait for that. */
function writeRaise(till: Till, hold: OpenHold, raised: Raise): Promise<Extension> {
  const { claims, amount, rebased, price, view } = raised;
  hold.growing = { amount: add(hold.amount, amount), horizon: hold.horizon, price };
  const balances = hold.lasting(till.take(hold, claims, view));
  const entries = [extendedEntry(hold, view.at, amount, price)];
  const row = { ...hold.toRow(), amount: hold.growing.amount, rebased };
  const done = till.outbox.tryWrite({ entries, balances, rehold: [row] }).then(({ written }): Extension => {
    hold.growing = undefined;
    hold.rebasing = undefined;
    if (!written) {
      till.untake(hold, claims);
      return { answer: "unavailable" };
    }
    hold.amount = row.amount;
    hold.rebased = rebased;
    // A reload may have written the hold meanwhile, as it was before.
    if (hold.version !== row.version) {
      till.outbox.write({ rehold: [hold.toRow()] }).catch(() => undefined);
    }
    till.leases.repriced(hold, till.now());
    return { answer: "extended" };
  });
  hold.rebasing = done;
  return done;
}

/**
 * What it holds lasts less long at the new price, and no longer than the first period that it lies in. If
 * that is too short to be asked in, it ends at the price that it has.
 */
async function shorten(till: Till, hold: OpenHold): Promise<readonly AccountKey[]> {
  const at = till.now();
  const said = till.leases.risen(hold);
  const rate = timedRate(hold);
  const share = till.leases.share(hold, at);
  if (said === undefined || rate === undefined || share === undefined) return [];
  const turns = hold.claims().flatMap(({ end }) => (end > at ? [end] : []));
  const ahead = between(
    at,
    latest(
      at,
      turns.reduce((a, b) => earliest(a, b), hold.horizon),
    ),
  );
  const lasts = timeFor(cost(rate, ahead), said.price.rate);
  const isRaised = lasts >= SOONEST;
  const horizon = isRaised ? later(at, lasts) : earliest(hold.horizon, later(at, SOONEST));
  if (!isRaised && horizon === hold.horizon) return [];
  const price = isRaised ? said.price : hold.rebased?.price;
  const money = surplusOf(hold, share, at, { price: price ?? hold.price, horizon });
  const after = withoutSurplus(hold, share, at, [...money, ...timeBeyond(hold, horizon)], price);
  const freed = await giveBack([{ ...after, row: { ...after.row, horizon } }], till);
  till.leases.repriced(hold, till.now());
  if (hold.horizon === horizon) hold.shortened();
  return freed;
}

/** How long so much money lasts; two nano-dollars of it are for what is rounded up. */
function timeFor(money: NanoUsd, rate: HourlyRate): DurationUs {
  const left = money > 2n ? money - 2n : 0n;
  return Number((left * US_PER_HOUR) / rate) as DurationUs;
}

/** Seconds that it holds and will ask for again. */
function timeBeyond(hold: OpenHold, horizon: Instant): readonly Claim[] {
  return hold.claims().flatMap((claim) => {
    if (unitOf(claim.account) !== "seconds") return [];
    const [from, to] = [latest(horizon, claim.start), earliest(hold.horizon, claim.end)];
    const time = quantityOf(to > from ? between(from, to) : 0);
    return time > 0n ? [{ ...claim, amount: time < claim.amount ? time : claim.amount }] : [];
  });
}
