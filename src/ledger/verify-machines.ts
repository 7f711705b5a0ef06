// The lease law (MONEY §2), from the outside: nobody pays more of a machine than its price, and what its
// requests, start-up, idle and gaps were posted adds up to what its lease has cost so far.
//
// From entries alone: while requests overlap on a machine without a pause, their shares sum to its price
// times that stretch, short of at most one nano-dollar a part; where several machines of one name were up, to
// the dearest price times the time of each (verify-stretches.ts). From the lease that is written with each
// heartbeat: exactly. `minimum` and adjustments stand beside the law.

import type { DatabaseSync } from "node:sqlite";
import { type NanoUsd, nanoUsd } from "../metering/money.ts";
import {
  big,
  type Checked,
  type Finding,
  goneNote,
  keptFrom,
  POSTED,
  rowsOf,
  type Sharers,
  sharersAt,
} from "./verified.ts";
import { verifyContainers } from "./verify-containers.ts";
import { cappedRequests, verifyStretches } from "./verify-stretches.ts";

const US_PER_HOUR = 3_600_000_000n;

export function verifyMachines(database: DatabaseSync): Checked {
  const stretches = verifyStretches(database);
  const leases = verifyLeases(database);
  const containers = verifyContainers(database);
  return {
    name: "machines",
    of: "stretches and leases",
    counted: stretches.counted + leases.counted + containers.counted,
    notes: [...stretches.notes, ...leases.notes, ...containers.notes],
    findings: [...stretches.findings, ...leases.findings, ...containers.findings],
  };
}

/** Of the machines whose leases are known exactly: all that is missing or too much, in one snapshot. */
export function imbalanceOf(database: DatabaseSync): NanoUsd {
  database.exec("BEGIN");
  try {
    const all = [...verifyLeases(database).findings, ...verifyContainers(database).findings];
    return nanoUsd(all.reduce((sum, { expected, found }) => sum + distance(expected, found), 0n));
  } finally {
    database.exec("ROLLBACK");
  }
}

function distance(a: bigint, b: bigint): bigint {
  return a > b ? a - b : b - a;
}

interface Lease {
  readonly start: number;
  readonly t: number;
  readonly n: number;
  readonly V: string;
  readonly c: string;
  readonly total: string;
  readonly beyond?: string;
  readonly idle: { readonly raw: string; readonly posted: string };
  readonly startup: { readonly raw: string; readonly posted: string };
  readonly pending: readonly { readonly amount: string }[];
}

function verifyLeases(database: DatabaseSync) {
  const findings: Finding[] = [];
  const notes: string[] = [];
  let counted = 0;
  const from = keptFrom(database);
  for (const { machine, state } of rowsOf(database, "SELECT machine, state FROM leases")) {
    const lease = JSON.parse(String(state)) as Lease;
    if (lease.start < from) {
      notes.push(...goneNote(1, `leases of machine ${machine}`, from));
      continue;
    }
    const open = rowsOf(
      database,
      `SELECT joined, ${POSTED} AS posted FROM reservations
       WHERE joined IS NOT NULL AND json_extract(joined, '$.lease') IS NULL
         AND json_extract(held, '$.machine') = ? AND json_extract(joined, '$.start') >= ?`,
      ...[String(machine), lease.start],
    );
    const sharers = sharersAt(lease.t, open);
    if (sharers.active.length !== lease.n) {
      // Somebody has left and nothing says so yet, or it is over: the stretches tell of that time.
      if (open.length > 0) notes.push(`machine ${machine}: requests are just ending there`);
      continue;
    }
    counted += 1;
    findings.push(...compareLease(database, String(machine), lease, sharers));
  }
  return { counted, notes, findings };
}

function compareLease(database: DatabaseSync, machine: string, lease: Lease, sharers: Sharers) {
  const shares = sharers.active.reduce((sum, V0) => sum + BigInt(lease.V) - V0, 0n);
  const own = BigInt(lease.idle.raw) + BigInt(lease.startup.raw) + BigInt(lease.c);
  const ofRequests = (BigInt(lease.total) + BigInt(lease.beyond ?? 0) - shares - own) / US_PER_HOUR;
  const pending = lease.pending.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  const posted = BigInt(lease.idle.posted) + BigInt(lease.startup.posted) - pending;
  const expected = ofRequests + sharers.sliced + posted - sharers.unsettled;
  const [row] = rowsOf(
    database,
    `SELECT sum(amount) AS amount FROM entries
     WHERE machine = ? AND at BETWEEN ? AND ? AND kind IN ('settled', 'startup', 'idle', 'gap')`,
    ...[machine, lease.start, lease.t],
  );
  const found = big(row?.amount);
  if (found === expected || (found < expected && cappedRequests(database, machine, lease.start).size > 0))
    return [];
  const finding: Finding = {
    check: "machines",
    what: "what was posted is not what its lease has cost so far",
    where: `machine ${machine} since ${new Date(lease.start / 1000).toISOString()}`,
    unit: "usd",
    expected,
    found,
    cure: "keep a copy of the data folder, and correct the money with `budgetguard ledger adjust`",
  };
  return [finding];
}
