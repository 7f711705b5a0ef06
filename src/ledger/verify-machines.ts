// The lease law (MONEY §2), from the outside: nobody pays more of a machine than its price, and what its
// requests, start-up, idle and gaps were posted adds up to what its lease has cost so far.
//
// From entries alone: while requests overlap on a machine without a pause, their shares sum to its price
// times that stretch, short of at most one nano-dollar a part. From the lease that is written with each
// heartbeat: exactly. `minimum` and adjustments stand beside the law; what a crash left (`unknown`) is
// charged at the longest that it can have been, so that such a stretch proves nothing; nor does one with a
// request that was charged all that it held, which may have shared for longer than it counts.

import type { DatabaseSync } from "node:sqlite";
import { big, type Checked, type Finding, POSTED, rowsOf, type Sharers, sharersAt } from "./verified.ts";
import { verifyContainers } from "./verify-containers.ts";

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

interface Stretch {
  readonly machine: string;
  readonly start: bigint;
  end: bigint;
  amount: bigint;
  /** The dearest that anybody in it was asked, nano-dollars an hour. */
  rate: bigint;
  isKnown: boolean;
}

function verifyStretches(database: DatabaseSync) {
  const statement = database.prepare(
    `SELECT request, machine, at, elapsed, amount, price, coalesce(outcome, (SELECT outcome FROM decisions
       WHERE decisions.request = entries.request)) AS outcome FROM entries
     WHERE kind IN ('settled', 'startup') AND request IS NOT NULL AND machine IS NOT NULL
       AND price LIKE '%/h' AND (elapsed > 0 OR amount <> 0) ORDER BY machine, at`,
  );
  statement.setReadBigInts(true);
  const capped = cappedRequests(database);
  const findings: Finding[] = [];
  let counted = 0;
  const end = (stretch: Stretch | undefined) => {
    if (stretch === undefined) return;
    counted += 1;
    const most = (stretch.rate * (stretch.end - stretch.start)) / US_PER_HOUR;
    if (stretch.isKnown && stretch.amount > most) findings.push(tooMuch(stretch, most));
  };
  let open: Stretch | undefined;
  for (const row of statement.iterate()) {
    const next = stretchOf(row, capped);
    if (open !== undefined && open.machine === next.machine && next.start <= open.end) {
      if (next.end > open.end) open.end = next.end;
      if (next.rate > open.rate) open.rate = next.rate;
      open.amount += next.amount;
      open.isKnown &&= next.isKnown;
    } else {
      end(open);
      open = next;
    }
  }
  end(open);
  return { counted, notes: [], findings };
}

function stretchOf(row: Record<string, unknown>, capped: ReadonlySet<string>): Stretch {
  const { request, machine, at, elapsed, amount, price, outcome } = row;
  const rate = nanosOf(String(price));
  const [start, time] = [big(at), big(elapsed)];
  return {
    machine: String(machine),
    ...{ start, end: start + time, amount: big(amount), rate },
    isKnown: outcome !== "unknown" && !capped.has(String(request)),
  };
}

/** "3.60/h" */
function nanosOf(price: string): bigint {
  const [whole = "0", fraction = ""] = price.replace("/h", "").split(".");
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
}

function tooMuch({ machine, start, end, amount }: Stretch, most: bigint): Finding {
  const [from, to] = [start, end].map((at) => new Date(Number(at) / 1000).toISOString());
  return {
    check: "machines",
    what: "its requests were charged more than its price for the time that any of them ran",
    where: `machine ${machine} from ${from} to ${to}`,
    unit: "usd",
    expected: most,
    found: amount,
    cure: "keep a copy of the data folder, and correct the money with `budgetguard ledger adjust`",
  };
}

interface Lease {
  readonly start: number;
  readonly t: number;
  readonly n: number;
  readonly V: string;
  readonly c: string;
  readonly total: string;
  readonly idle: { readonly raw: string; readonly posted: string };
  readonly startup: { readonly raw: string; readonly posted: string };
  readonly pending: readonly { readonly amount: string }[];
}

function verifyLeases(database: DatabaseSync) {
  const findings: Finding[] = [];
  const notes: string[] = [];
  let counted = 0;
  for (const { machine, state } of rowsOf(database, "SELECT machine, state FROM leases")) {
    const lease = JSON.parse(String(state)) as Lease;
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
  const ofRequests = (BigInt(lease.total) - shares - own) / US_PER_HOUR;
  const pending = lease.pending.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  const posted = BigInt(lease.idle.posted) + BigInt(lease.startup.posted) - pending;
  const expected = ofRequests + sharers.sliced + posted - sharers.unsettled;
  const [row] = rowsOf(
    database,
    `SELECT sum(amount) AS amount FROM entries
     WHERE machine = ? AND at >= ? AND kind IN ('settled', 'startup', 'idle', 'gap')`,
    ...[machine, lease.start],
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

/**
 * Those that ran to the end of what they held, or beyond: of a budget that cuts they are charged that, and
 * count that long, at most. Then less than the whole is posted, and how long they shared is not known.
 */
function cappedRequests(database: DatabaseSync, machine?: string, start = 0): ReadonlySet<string> {
  const statement = database.prepare(
    `SELECT request, max(price) AS price, max(CASE WHEN kind = 'reserved' THEN at END) AS began,
       sum(CASE WHEN kind IN ('reserved', 'extended') THEN amount ELSE 0 END)
         - sum(CASE WHEN kind = 'released' THEN amount ELSE 0 END) AS held,
       max(CASE WHEN kind IN ('settled', 'startup') THEN at + elapsed END) AS ended
     FROM entries WHERE request IS NOT NULL AND price LIKE '%/h' AND machine = coalesce(?, machine)
     GROUP BY request HAVING ended >= ?`,
  );
  statement.setReadBigInts(true);
  const capped = new Set<string>();
  for (const { request, price, began, held, ended } of statement.iterate(machine ?? null, start)) {
    const ran = nanosOf(String(price)) * (big(ended) - big(began));
    if (ran > (big(held) - 1n) * US_PER_HOUR) capped.add(String(request));
  }
  return capped;
}
