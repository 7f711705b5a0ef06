// The lease law for machines that live beyond their requests (MONEY §2): requests, start-up, idle and gaps
// that were posted of a container add up to what its lease has cost. `minimum` stands beside the law.
//
// Entries name a machine and no container: leases of one machine that overlap are compared together, and a
// machine that was renamed meanwhile counts by all its names.

import type { DatabaseSync } from "node:sqlite";
import {
  big,
  exclusiveNote,
  type Finding,
  goneNote,
  keptFrom,
  POSTED,
  rowsOf,
  sharersAt,
} from "./verified.ts";

const US_PER_HOUR = 3_600_000_000n;

interface State {
  readonly start: number;
  readonly t: number;
  readonly n: number;
  readonly V: string;
  readonly c: string;
  readonly total: string;
  readonly beyond?: string;
  readonly idle: { readonly raw: string };
  readonly startup: { readonly raw: string };
}

interface Lease {
  readonly key: string;
  readonly machines: readonly string[];
  readonly state: State;
  readonly isOver: boolean;
  /** Nothing was posted of it that begins later: what was beyond its end is taken back. */
  readonly last: number;
  /** Posted of its idle and unwaited start-up, as the writes of those entries counted it. */
  readonly posted: bigint;
}

interface Group {
  readonly leases: Lease[];
  readonly machines: Set<string>;
  readonly start: number;
  end: number;
}

export function verifyContainers(database: DatabaseSync) {
  const findings: Finding[] = [];
  const notes: string[] = [];
  let counted = 0;
  const from = keptFrom(database);
  for (const group of groupsOf(leasesOf(database))) {
    if (group.start < from) {
      notes.push(...goneNote(group.leases.length, "containers", from));
      continue;
    }
    const costs = group.leases.map((lease) => postedBy(database, lease));
    if (costs.includes(undefined)) {
      // Somebody has left and is not settled yet: the next write says what it pays.
      notes.push(
        `container ${group.leases.map(({ key }) => key).join(", ")}: requests are just ending there`,
      );
      continue;
    }
    counted += group.leases.length;
    for (const { key, state } of group.leases) {
      const beyond = BigInt(state.beyond ?? 0) / US_PER_HOUR;
      if (beyond > 0n) notes.push(exclusiveNote(`container ${key}`, beyond));
    }
    const expected = costs.reduce<bigint>((sum, cost) => sum + (cost ?? 0n), 0n);
    const found = entriesOf(database, group);
    if (found !== expected) findings.push(findingOf(group, expected, found));
  }
  return { counted, notes, findings };
}

function leasesOf(database: DatabaseSync): readonly Lease[] {
  const sql = "SELECT key, at, state, is_over, idle, startup FROM containers WHERE is_over < 2";
  return rowsOf(database, sql).map((row) => {
    const { machines, state } = JSON.parse(String(row.state)) as Pick<Lease, "machines" | "state">;
    const posted = big(row.idle) + big(row.startup);
    const isOver = big(row.is_over) !== 0n;
    return { key: String(row.key), machines, state, isOver, last: Number(row.at), posted };
  });
}

function groupsOf(leases: readonly Lease[]): readonly Group[] {
  const groups: Group[] = [];
  for (const lease of leases.toSorted((a, b) => a.state.start - b.state.start)) {
    const { state, machines, isOver, last } = lease;
    const end = isOver ? last : Number.MAX_SAFE_INTEGER;
    const same = groups.find(
      (one) => one.end >= state.start && machines.some((name) => one.machines.has(name)),
    );
    if (same === undefined) {
      groups.push({ leases: [lease], machines: new Set(machines), start: state.start, end });
      continue;
    }
    same.leases.push(lease);
    same.end = Math.max(same.end, end);
    for (const name of machines) same.machines.add(name);
  }
  return groups;
}

/** What entries must say of it by now; undefined while somebody has left it and nothing says so yet. */
function postedBy(database: DatabaseSync, { key, state, isOver, posted }: Lease): bigint | undefined {
  const open = rowsOf(
    database,
    `SELECT joined, ${POSTED} AS posted FROM reservations
     WHERE joined IS NOT NULL AND json_extract(joined, '$.lease') = ?`,
    key,
  );
  const sharers = sharersAt(state.t, open);
  if (sharers.active.length !== state.n) return undefined;
  const charged = BigInt(state.total) + BigInt(state.beyond ?? 0);
  if (isOver) return charged / US_PER_HOUR - sharers.unsettled;
  const shares = sharers.active.reduce((sum, V0) => sum + BigInt(state.V) - V0, 0n);
  const own = BigInt(state.idle.raw) + BigInt(state.startup.raw) + BigInt(state.c);
  const ofRequests = (charged - shares - own) / US_PER_HOUR + sharers.sliced;
  return ofRequests + posted - sharers.unsettled;
}

function entriesOf(database: DatabaseSync, { machines, start, end }: Group): bigint {
  const [row] = rowsOf(
    database,
    `SELECT sum(amount) AS amount FROM entries
     WHERE machine IN (SELECT value FROM json_each(?)) AND at >= ? AND at <= ? AND price LIKE '%/h'
       AND (kind IN ('settled', 'startup', 'idle', 'gap') OR (kind = 'adjusted' AND request IS NULL))`,
    ...[JSON.stringify([...machines]), start, end],
  );
  return big(row?.amount);
}

function findingOf({ leases, start }: Group, expected: bigint, found: bigint): Finding {
  const names = leases.map(({ key }) => key).join(", ");
  return {
    check: "machines",
    what: "what was posted of a container is not what its lease has cost so far",
    where: `container ${names} since ${new Date(start / 1000).toISOString()}`,
    unit: "usd",
    expected,
    found,
    cure: "keep a copy of the data folder, and correct the money with `budgetguard ledger adjust`",
  };
}
