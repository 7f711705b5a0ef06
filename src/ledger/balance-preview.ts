// What a policy that is not in force would do to balances: the ones that are there, beside those that its
// budgets would begin with, by the fold of a reload. It only reads, in one snapshot, so that a gateway may
// write meanwhile.

import type { DatabaseSync } from "node:sqlite";
import { NOTHING, type Quantity } from "../metering/quantity.ts";
import { type Instant, instantUs, latest } from "../metering/time.ts";
import { type BalanceDiff, balanceDiff, type Sums, type Was } from "../policy/balance-diff.ts";
import type { Ground } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import { perValueOf, relieved } from "../policy/relief.ts";
import { openAdjustments, Reliefs } from "./adjustments.ts";
import type { BalanceChange } from "./book.ts";
import { foldEntries } from "./fold.ts";
import { questionOf } from "./folding.ts";
import { changedSince, POLICY } from "./policy-record.ts";

/** Throws what SQLite says of a ledger that cannot be read. `wall`: the time now. */
export function previewBalances(
  database: DatabaseSync,
  policy: Policy,
  wall: Instant,
): readonly BalanceDiff[] {
  // A deferred transaction: all of it sees what was committed when it first looked.
  database.exec("BEGIN");
  try {
    return preview(database, policy, wall);
  } finally {
    database.exec("ROLLBACK");
  }
}

function preview(database: DatabaseSync, policy: Policy, wall: Instant): readonly BalanceDiff[] {
  const highWater = one(database, "SELECT value FROM meta WHERE key = 'high_water'") ?? 0;
  const at = latest(wall, instantUs(Number(highWater)));
  const tracked = database.prepare("SELECT key FROM grounds").all();
  const keys = new Set(tracked.map(({ key }) => String(key)));
  const record = one(database, `SELECT value FROM switches WHERE name = '${POLICY}'`);
  const changed = changedSince(record === undefined ? undefined : String(record), [...keys], policy);
  const reliefs = new Reliefs();
  for (const adjustment of openAdjustments(database, at)) reliefs.add(adjustment);
  const seen = (ground: Ground, all: readonly BalanceChange[]): Sums => {
    const sums = all.map(({ account, settled, held, ...period }) => {
      const balance = relieved({ settled, held }, reliefs.of(ground, account, period));
      return [perValueOf(ground, account) ?? "", balance.settled] as const;
    });
    return new Map(ground.per === undefined && sums.length === 0 ? [["", NOTHING]] : sums);
  };
  const kept = (ground: Ground) => seen(ground, stored(database, ground, at));
  return changed.map((each) => {
    const { ground, was } = each;
    const before = was === undefined ? new Map() : kept({ ...ground, ...was });
    const after = keys.has(ground.key)
      ? kept(ground)
      : seen(ground, foldEntries(database, questionOf(ground, at)));
    return balanceDiff(each, before, after);
  });
}

/** Of its period that is open at that moment. */
function stored(database: DatabaseSync, { key, per }: Was, at: Instant): readonly BalanceChange[] {
  const prefix = `${key}=`;
  const statement = database.prepare(
    `SELECT account, start, end, settled, held FROM balances
      WHERE ${per === undefined ? "account = ?" : "substr(account, 1, length(?1)) = ?1"}
      AND start <= ? AND end > ?`,
  );
  statement.setReadBigInts(true);
  return statement.all(per === undefined ? key : prefix, at, at).map((row) => ({
    account: String(row.account),
    start: instantUs(Number(row.start)),
    end: instantUs(Number(row.end)),
    settled: row.settled as Quantity,
    held: row.held as Quantity,
  }));
}

function one(database: DatabaseSync, sql: string): unknown {
  return database.prepare(sql).get()?.value;
}
