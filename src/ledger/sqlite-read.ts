// What restart reads from the ledger: balances of open periods, tracked grounds, leases, open holds,
// switches, tokens, the high-water mark. Small whatever the number of entries.

import type { DatabaseSync } from "node:sqlite";
import type { LeaseState } from "../metering/lease.ts";
import type { NanoUsd } from "../metering/money.ts";
import type { Part } from "../metering/part.ts";
import { DAY, durationUs, type Instant, instantUs } from "../metering/time.ts";
import type { BalanceChange } from "./book.ts";
import type { StoredContainer } from "./container-lease.ts";
import { gapsOf } from "./fold.ts";
import type { Gaps } from "./folding.ts";
import type { HeldJoin, HeldRow } from "./held.ts";
import { containerOf, heldOf } from "./stored.ts";

export interface Stored {
  /** The latest moment that was written. */
  readonly highWater: Instant;
  /** The latest moment at which all leases, and all joins, were written. */
  readonly heartbeat: Instant;
  readonly balances: readonly BalanceChange[];
  readonly tracked: readonly string[];
  readonly gaps: Gaps;
  readonly leases: ReadonlyMap<string, { readonly at: Instant; readonly state: LeaseState }>;
  /** Leases of containers that are not over, with nothing posted but what entries say. */
  readonly containers: readonly StoredContainer[];
  /** Leases of those that are over: somebody who shared one may not be settled. */
  readonly ended: readonly StoredContainer[];
  /** When leases of containers ended, by what their provider calls them, oldest first. */
  readonly ends: readonly (readonly [string, Instant])[];
  /** Until when requests have paid for machines whose container nobody had told of, by machine. */
  readonly used: readonly (readonly [string, Instant])[];
  readonly holds: readonly HeldRow[];
  /** What entries say already of requests that are open, by the request. */
  readonly posted: ReadonlyMap<string, readonly Part[]>;
  /** What those were charged in attempts before the one that is open. */
  readonly earlier: ReadonlyMap<string, NanoUsd>;
  readonly switches: ReadonlyMap<string, string>;
  readonly tokens: readonly { readonly sha256: string; readonly id: string; readonly role: string }[];
}

/** `from`: balances of periods that ended before are left on disk. */
export function readStored(database: DatabaseSync, from: Instant): Stored {
  const highWater = markOf(database, "high_water");
  const balances = database.prepare("SELECT * FROM balances WHERE end > ? OR held <> 0");
  balances.setReadBigInts(true);
  return {
    highWater,
    heartbeat: markOf(database, "heartbeat"),
    balances: balances.all(Math.min(from, highWater)).map((row) => ({
      account: String(row.account),
      start: instantUs(Number(row.start)),
      end: instantUs(Number(row.end)),
      settled: row.settled as NanoUsd,
      held: row.held as NanoUsd,
    })),
    tracked: database
      .prepare("SELECT key FROM grounds")
      .all()
      .map((row) => String(row.key)),
    gaps: gapsOf(database),
    leases: new Map(
      database
        .prepare("SELECT * FROM leases")
        .all()
        .map((row) => [
          String(row.machine),
          { at: instantUs(Number(row.at)), state: JSON.parse(String(row.state)) as LeaseState },
        ]),
    ),
    containers: database.prepare("SELECT * FROM containers WHERE is_over = 0").all().map(containerRow),
    ended: database.prepare("SELECT * FROM containers WHERE is_over = 1").all().map(containerRow),
    ends: database
      .prepare("SELECT key, at FROM containers WHERE is_over > 0 ORDER BY at")
      .all()
      .map(({ key, at }) => [String(key).replace(/@\d+$/, ""), instantUs(Number(at))]),
    used: database
      .prepare(USED)
      .all(Math.max(0, highWater - DAY))
      .map(({ machine, until }) => [String(machine), instantUs(Number(until))]),
    holds: database.prepare("SELECT held, joined FROM reservations").all().map(heldRow),
    posted: Map.groupBy(postedRows(database), ({ request }) => request),
    earlier: earlierOf(database),
    switches: new Map(
      database
        .prepare("SELECT name, value FROM switches")
        .all()
        .map((row) => [String(row.name), String(row.value)]),
    ),
    tokens: database
      .prepare("SELECT * FROM tokens")
      .all()
      .map((row) => ({ sha256: String(row.sha256), id: String(row.id), role: String(row.role) })),
  };
}

/** Of tunnels: nobody else has such entries of an open hold, which begins with the last one reserved. */
function postedRows(database: DatabaseSync): readonly (Part & { readonly request: string })[] {
  const statement = database.prepare(
    `SELECT request, kind, at, amount, elapsed FROM entries WHERE ${OF_OPEN} AND seq > ${LAST_RESERVED}`,
  );
  statement.setReadBigInts(true);
  return statement.all().map((row) => ({
    request: String(row.request),
    kind: row.kind === "startup" ? "startup" : "request",
    at: instantUs(Number(row.at)),
    elapsed: durationUs(Number(row.elapsed)),
    amount: row.amount as NanoUsd,
  }));
}

function earlierOf(database: DatabaseSync): ReadonlyMap<string, NanoUsd> {
  const statement = database.prepare(
    `SELECT request, sum(amount) AS amount FROM entries
     WHERE ${OF_OPEN} AND seq < ${LAST_RESERVED} GROUP BY 1`,
  );
  statement.setReadBigInts(true);
  return new Map(statement.all().map(({ request, amount }) => [String(request), amount as NanoUsd]));
}

/** Since the last container there was over; of a day at most, for its provider is asked within a minute. */
const USED = `WITH known AS (
    SELECT named.value AS machine, max(at) AS at, min(is_over) AS is_over
    FROM containers, json_each(state, '$.machines') AS named GROUP BY 1)
  SELECT entries.machine AS machine, max(entries.at + elapsed) AS until
  FROM entries LEFT JOIN known ON known.machine = entries.machine
  WHERE entries.at >= ? AND kind IN ('settled', 'startup') AND request IS NOT NULL
    AND amount > 0 AND entries.machine IS NOT NULL AND entries.at >= coalesce(known.at, 0)
    AND coalesce(known.is_over, 1) > 0
  GROUP BY 1`;

const OF_OPEN = `kind IN ('settled', 'startup')
  AND request IN (SELECT json_extract(held, '$.request') FROM reservations
    WHERE json_extract(held, '$.allocation') IS NULL)`;

const LAST_RESERVED = `(SELECT max(seq) FROM entries AS before
  WHERE before.request = entries.request AND before.kind = 'reserved')`;

function markOf(database: DatabaseSync, key: string): Instant {
  return instantUs(Number(database.prepare("SELECT value FROM meta WHERE key = ?").get(key)?.value ?? 0));
}

/**
 * What entries say, and what is cut and waits for one: all else is due again. Each part keeps its own
 * quarter-hour, also one that is worth nothing yet.
 */
function containerRow({ state: text, idle, startup }: Record<string, unknown>): StoredContainer {
  const { state, ...about } = containerOf(String(text));
  const cut = (kind: "idle" | "startup", inEntries: unknown) => {
    const waiting = state.pending.filter((part) => part.kind === kind);
    return String(waiting.reduce((sum, { amount }) => sum + BigInt(amount), BigInt(String(inEntries))));
  };
  return {
    ...about,
    state: {
      ...state,
      idle: { raw: state.idle.raw, posted: cut("idle", idle) },
      startup: { raw: state.startup.raw, posted: cut("startup", startup) },
    },
  };
}

function heldRow({ held, joined }: Record<string, unknown>): HeldRow {
  const row = heldOf(String(held));
  return joined === null ? row : { ...row, join: JSON.parse(String(joined)) as HeldJoin };
}
