// Opens the ledger of a data folder: makes it where there is none, settles what a crash left open, and
// hands over what the accounts start from.

import { hostname } from "node:os";
import type { DatabaseSync } from "node:sqlite";
import type { StartupTimes } from "../metering/startup-times.ts";
import { type Clock, type DurationUs, EPOCH, earlier } from "../metering/time.ts";
import { Learning } from "../policy/learning.ts";
import type { Policy } from "../policy/policy.ts";
import { SESSION_IDLE, Sessions } from "../policy/sessions.ts";
import { LedgerClock } from "./clock.ts";
import { heldChange, OpenHold, type Owner } from "./held.ts";
import { remember } from "./lessons.ts";
import { rememberSessions } from "./recent-sessions.ts";
import { recover } from "./recovery.ts";
import { openLedger } from "./sqlite-open.ts";
import { readStored, type Stored } from "./sqlite-read.ts";
import { SqliteWriter } from "./sqlite-writer.ts";
import { rememberStartups } from "./startups.ts";

export interface OpenedLedger {
  readonly clock: LedgerClock;
  readonly owner: Owner;
  readonly stored: Stored;
  /** Holds that a crash had left open; they are settled now. */
  readonly recovered: number;
  readonly learning: Learning;
  readonly sessions: Sessions;
  readonly startups: StartupTimes;
}

/** `policy` is the one to start with. Throws with a sentence where the file cannot be used. */
export function openStored(folder: string, clock: Clock, policy?: Policy): OpenedLedger {
  const database = openLedger(folder);
  try {
    const left = readStored(database, EPOCH);
    const crash = { ...left, restart: clock.wall(), policy };
    const writer = new SqliteWriter(database);
    database.exec("BEGIN IMMEDIATE");
    const writes = recover(crash);
    for (const write of writes) writer.put(write);
    // The leases of the last run's requests are over: they are settled, and nothing else accrues there; those
    // of containers go on, and those that were up beside them are kept for `ledger verify`. No hold is open
    // now: what is still held is of a write that a failing disk took without its counterpart.
    // What has no outcome by now was never sent: it waited for a slot, or for its next attempt.
    database.exec(
      `DELETE FROM leases; ${FORGET_CONTAINERS}; ` +
        "UPDATE balances SET held = 0 WHERE held <> 0; " +
        "UPDATE decisions SET outcome = 'unsent' WHERE outcome IS NULL",
    );
    const owner = newOwner(database);
    keepAllocations(left, owner, writer);
    database.exec("COMMIT");
    const ledgerClock = new LedgerClock(clock, left.highWater);
    const now = ledgerClock.now();
    const learning = new Learning();
    remember(database, learning, now);
    const sessions = new Sessions();
    rememberSessions(database, sessions, earlier(now, policy?.sessionIdle ?? SESSION_IDLE));
    const startups = rememberStartups(database);
    const stored = readStored(database, now);
    const known = { learning, sessions, startups };
    return { clock: ledgerClock, owner, stored, recovered: writes.length, ...known };
  } finally {
    database.close();
  }
}

/**
 * Those that are over, but for their names, their time, and how long they took to start. One that overlaps a
 * lease that goes on is kept whole, and so is one that overlaps that: entries name a machine, so all that ran
 * side by side are recounted together.
 */
const FORGET_CONTAINERS = `WITH RECURSIVE
  lease(start, at, is_over) AS (
    SELECT state ->> '$.state.start', at, is_over FROM containers WHERE is_over < 2),
  kept(start) AS (SELECT start FROM lease WHERE is_over = 0 UNION
    SELECT lease.start FROM lease JOIN kept ON lease.at >= kept.start AND lease.start < kept.start)
  UPDATE containers SET is_over = 2, idle = 0, startup = 0, state = json_object(
      'machines', json(state -> '$.machines'),
      'about', json_object('upstream', state ->> '$.about.upstream'),
      'state', json_object('start', state ->> '$.state.start', 'phase', json(state -> '$.state.phase')))
    WHERE is_over = 1 AND at < coalesce((SELECT min(start) FROM kept), at + 1)`;

/** They are held on, by whoever has the ledger now. */
export function keepAllocations(
  { holds, highWater: at }: Pick<Stored, "holds" | "highWater">,
  owner: Owner,
  writer: Pick<SqliteWriter, "put">,
): void {
  for (const row of holds) {
    if (row.allocation === undefined) continue;
    const hold = new OpenHold({ ...row, owner }, 0 as DurationUs);
    const balances = hold.lasting(hold.claims().map(heldChange));
    writer.put({ balances, rehold: [hold.toRow()], at, wall: at });
  }
}

function newOwner(database: DatabaseSync): Owner {
  const row = database
    .prepare(
      `INSERT INTO meta VALUES ('epoch', '1')
         ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING value`,
    )
    .get();
  return { name: `${hostname()} ${process.pid}`, epoch: Number(row?.value) };
}
