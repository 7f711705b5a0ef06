// What a running request still needs of what it holds: its share so far, and the exclusive price from now to
// its horizon (MONEY §3). Who shares a machine holds more than it can cost; the surplus is given back.

import type { Part } from "../metering/lease.ts";
import { costCeil } from "../metering/money.ts";
import type { HourPrice } from "../metering/price.ts";
import { minus, NOTHING, quantityOf, sum } from "../metering/quantity.ts";
import { between, type DurationUs, earliest, type Instant, latest, SECOND } from "../metering/time.ts";
import type { AccountKey, Claim } from "../policy/decision.ts";
import { unitOf } from "../policy/match.ts";
import type { BalanceChange, Book } from "./book.ts";
import { countedOf } from "./by-slice.ts";
import type { HeldRow, OpenHold, RebasedAt } from "./held.ts";
import type { Leases } from "./leases.ts";
import type { Outbox } from "./outbox.ts";

/** Less than this of its time is not worth a write: one that is alone began a moment after its hold. */
const LEAST: DurationUs = SECOND;

interface Room {
  readonly book: Book;
  readonly leases: Leases;
  readonly outbox: Outbox;
}

export interface Rebased {
  readonly hold: OpenHold;
  readonly surplus: readonly Claim[];
  /** As it is once that is given back: its horizon may be an earlier one. */
  readonly row: HeldRow;
}

/**
 * Gives back the surplus of all, in one write, and resolves to the accounts in which it is free. It is free
 * once that is durable: an ending and a further slice wait for it, so that no crash can leave it held.
 */
export async function rebase(
  holds: Iterable<OpenHold>,
  room: Room,
  at: Instant,
): Promise<readonly AccountKey[]> {
  const all = [...holds].flatMap((hold) => rebased(hold, room.leases.share(hold, at), at));
  return all.length === 0 ? [] : giveBack(all, room);
}

export async function giveBack(
  all: readonly Rebased[],
  { book, outbox }: Pick<Room, "book" | "outbox">,
): Promise<readonly AccountKey[]> {
  const given = all.flatMap(({ hold, surplus }) => hold.lasting(surplus.map(givenBack)));
  const writing = outbox.tryWrite({ balances: given, rehold: all.map(({ row }) => row) });
  const done = writing.then(({ written }) => {
    for (const { hold, surplus, row } of all) {
      hold.rebasing = undefined;
      if (!written) continue;
      hold.rebased = row.rebased;
      hold.horizon = row.horizon;
      for (const claim of surplus) {
        hold.unclaim(claim);
        book.move(claim.account, claim, { kind: "unhold", amount: claim.amount });
      }
      // A reload may have written the hold meanwhile, as it was before.
      if (hold.version !== row.version) outbox.write({ rehold: [hold.toRow()] }).catch(() => undefined);
    }
    return written ? all.flatMap(({ surplus }) => surplus.map(({ account }) => account)) : [];
  });
  for (const { hold } of all) hold.rebasing = done;
  return done;
}

function rebased(hold: OpenHold, share: readonly Part[] | undefined, at: Instant): readonly Rebased[] {
  const isBusy = hold.state !== "running" || hold.growing !== undefined || hold.rebasing !== undefined;
  const surplus = isBusy || share === undefined ? [] : surplusOf(hold, share, at);
  return surplus.length === 0 ? [] : [withoutSurplus(hold, share ?? [], at, surplus)];
}

/** `price`: the one that it holds at from `at` on, where that is another one. */
export function withoutSurplus(
  hold: OpenHold,
  share: readonly Part[],
  at: Instant,
  surplus: readonly Claim[],
  price = hold.rebased?.price,
): Rebased {
  const row = hold.toRow();
  const left = row.claims.map((claim) => {
    const given = surplus.find(({ account, start }) => account === claim.account && start === claim.start);
    return given === undefined ? claim : { ...claim, amount: minus(claim.amount, given.amount) };
  });
  return { hold, surplus, row: { ...row, claims: left, rebased: rebasedAt(at, share, price) } };
}

export function rebasedAt(at: Instant, share: readonly Part[], price: HourPrice | undefined): RebasedAt {
  const parts = share.map((part) => ({ at: part.at, amount: part.amount }));
  return { at, share: parts, ...(price && { price }) };
}

function givenBack({ account, start, end, amount }: Claim): BalanceChange {
  return { account, start, end, settled: NOTHING, held: minus(NOTHING, amount) };
}

/** What can be given back of each claim in money; nothing of one that lies in no surplus. */
export function surplusOf(
  hold: OpenHold,
  share: readonly Part[],
  at: Instant,
  { price, horizon }: Pick<OpenHold, "price" | "horizon"> = hold,
): readonly Claim[] {
  if (price.kind !== "hour") return [];
  return hold.claims().flatMap((claim) => {
    if (unitOf(claim.account) !== "usd") return [];
    const taken = share.filter((part) => part.at >= claim.start && part.at < claim.end);
    const from = latest(at, claim.start);
    const to = earliest(horizon, claim.end);
    const time = (to > from ? between(from, to) : 0) as DurationUs;
    const used = sum(...taken.map(({ amount }) => amount), costCeil(price.rate, time));
    const due = minus(used, countedOf(hold.posted, claim));
    const needed = sum(due, quantityOf(taken.length));
    const surplus = minus(claim.amount, needed);
    return surplus > costCeil(price.rate, LEAST) ? [{ ...claim, amount: surplus }] : [];
  });
}
