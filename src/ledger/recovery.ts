// After a crash: every hold that is still open is settled as `unknown`, at what it had accrued up to
// min(last heartbeat + 1 s, restart), capped by the hold; unit-priced ones at the whole hold (MONEY §7).
// Never free, never twice, never pinned: the rows that say so go with the entries.

import type { Part } from "../metering/lease.ts";
import { add, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import { PERIODS, type Period, periodOf } from "../metering/period.ts";
import { Posted } from "../metering/posted.ts";
import { minus, NOTHING } from "../metering/quantity.ts";
import { type DurationUs, earliest, type Instant, later, latest, SECOND } from "../metering/time.ts";
import type { Claim } from "../policy/decision.ts";
import { counting, coveringContainer, unitOf } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import type { BalanceChange } from "./book.ts";
import { chargeOf } from "./charge.ts";
import type { StoredContainer } from "./container-lease.ts";
import { type HeldRow, OpenHold } from "./held.ts";
import { containerEntry, countedIn, releasedEntry, settledEntries } from "./rows.ts";
import { type LastBeat, sharesAt } from "./shares.ts";
import type { Entry, Write } from "./store.ts";

export interface Crash extends LastBeat {
  /** The last moment that was written, by whatever write. */
  readonly highWater: Instant;
  readonly restart: Instant;
  /** The one that the restart begins with: what a reload before the crash placed may not be on disk. */
  readonly policy: Policy | undefined;
  /** What entries say already of requests that are open, by the request. */
  readonly posted: ReadonlyMap<string, readonly Part[]>;
  /** What earlier attempts of those were charged, where any was. */
  readonly earlier?: ReadonlyMap<string, NanoUsd>;
}

/** One write a hold; none when the daemon ended in order. */
export function recover(crash: Crash): readonly Write[] {
  const end = endOf(crash);
  // What was set aside by hand belongs to no process: it goes on.
  const own = crash.holds.filter(({ allocation }) => allocation === undefined);
  const newest = new Map<string, HeldRow>();
  for (const row of own) if (isLater(row, newest.get(row.request))) newest.set(row.request, row);
  const [left, before] = [[...newest.values()], own.filter((row) => newest.get(row.request) !== row)];
  const { parts, sharedWith, containers } = sharesAt(
    { ...crash, holds: left, attribution: crash.policy?.attribution },
    end,
  );
  const released = before.map((row) => releaseUnsent(row, end));
  const settled = left.map((row) =>
    settleUnknown(
      row,
      {
        parts: parts.get(row.id) ?? [],
        container: sharedWith.get(row.id),
        posted: crash.posted.get(row.request) ?? [],
        earlier: crash.earlier?.get(row.request) ?? ZERO_USD,
      },
      end,
      crash.policy,
    ),
  );
  if (containers.length === 0) return [...released, ...settled];
  const rows = containers.map((one) => ({
    ...one,
    // Nobody watches it until its provider has answered.
    unwatched: one.unwatched ?? [],
    isOver: false,
    idlePosted: ZERO_USD,
    startupPosted: ZERO_USD,
  }));
  return [...released, ...settled, { at: end, wall: end, containers: rows }];
}

/** The holds of one request are numbered: "r-1.7" came after "r-1.6". */
function isLater({ id }: HeldRow, other: HeldRow | undefined): boolean {
  const numberOf = (name: string) => Number(name.slice(name.lastIndexOf(".") + 1));
  return other === undefined || numberOf(id) > numberOf(other.id);
}

/** A request is held anew only where it was not sent before: the disk had refused to write its release. */
function releaseUnsent(row: HeldRow, end: Instant): Write {
  const hold = new OpenHold(row, 0 as DurationUs);
  const entries = [releasedEntry(hold, end, false)];
  return { at: end, wall: end, entries, balances: hold.lasting(row.claims.map(unheld)), unhold: [row.id] };
}

interface Shared {
  readonly parts: readonly Part[];
  readonly container: StoredContainer | undefined;
  readonly posted: readonly Part[];
  readonly earlier: NanoUsd;
}

/** A heartbeat that is overdue was stopped by the disk: then the last write is the last sign of life. */
function endOf({ heartbeat, highWater, restart }: Crash): Instant {
  const isOverdue = highWater > later(heartbeat, SECOND);
  const lastSign = isOverdue ? highWater : heartbeat;
  return latest(highWater, earliest(later(lastSign, SECOND), restart));
}

function settleUnknown(
  row: HeldRow,
  { parts, container, posted: before, earlier }: Shared,
  end: Instant,
  policy: Policy | undefined,
): Write {
  const hold = new OpenHold(row, 0 as DurationUs);
  hold.began = row.join?.start ?? row.at;
  hold.stopped = row.join?.left?.at ?? latest(end, hold.began);
  hold.parts = parts;
  hold.posted = new Posted(before);
  const charge = chargeOf(hold, { outcome: "failed", status: undefined, tokens: undefined }, true);
  const ended = { outcome: "unknown", status: undefined, tokens: undefined } as const;
  const settled = settledEntries(hold, charge.parts, ended);
  const own =
    container === undefined
      ? []
      : charge.unheld.map((part) => containerEntry(container.about, part, "unheld"));
  const owned = policy === undefined ? [] : own.flatMap(({ facts }) => coveringContainer(policy, facts));
  const containers = new Set(owned.map(({ account }) => account));
  const posted = [
    ...settled.flatMap((entry) => postedTo(accountsOf(row, policy), entry)),
    ...own.flatMap((entry) => postedTo(containers, entry)),
  ];
  return {
    at: end,
    wall: end,
    entries: [...settled, ...own],
    balances: hold.lasting([...row.claims.map(unheld), ...posted]),
    unhold: [row.id],
    ending: {
      request: row.request,
      endedAt: hold.stopped,
      outcome: "unknown",
      status: undefined,
      charged: add(earlier, charge.charged),
      elapsed: charge.elapsed,
      after: [],
      actions: [],
    },
  };
}

function unheld(claim: Claim): BalanceChange {
  const held = minus(NOTHING, claim.amount);
  return { account: claim.account, start: claim.start, end: claim.end, settled: NOTHING, held };
}

/** Those that it was held in, and those that count it under the policy to come: each once. */
function accountsOf(row: HeldRow, policy: Policy | undefined): ReadonlySet<string> {
  const covered = policy === undefined ? [] : counting(policy, row.facts);
  return new Set([...row.claims, ...covered].map(({ account }) => account));
}

/** In the period that the entry lies in: also in one that nothing was held in. */
function postedTo(accounts: ReadonlySet<string>, entry: Entry): readonly BalanceChange[] {
  return [...accounts].flatMap((account) => {
    const settled = countedIn(unitOf(account), entry);
    if (settled === 0n) return [];
    return [{ account, ...periodOfAccount(account, entry.at), settled, held: NOTHING }];
  });
}

/** An account's name says how its periods turn (policy/match.ts): "usd|daily/1/Europe/Berlin|…". */
function periodOfAccount(account: string, at: Instant): Period {
  const [name, resetDay, ...zone] = account.split("|")[1]?.split("/") ?? [];
  const kind = PERIODS.find((known) => known === name);
  if (kind === undefined) throw new Error(`the account ${account} does not say how its periods turn`);
  return periodOf(kind, zone.join("/"), Number(resetDay), at);
}
