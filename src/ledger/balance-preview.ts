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
import type { BalanceChange } from "./book.ts";
import { fold, gapsOf } from "./fold.ts";
import { missedBefore, questionOf } from "./folding.ts";
import { type Fold, forgiven } from "./forgiven.ts";
import { readGround } from "./ground-name.ts";
import { changedSince, POLICY } from "./policy-record.ts";
import type { FoldQuestion } from "./store.ts";

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
  const last = BigInt(Number(one(database, "SELECT max(seq) AS value FROM entries") ?? 0));
  const known = gapsOf(database);
  return changed.map((each) => {
    const { ground, was } = each;
    const question = questionOf(ground, at);
    const isKept = keys.has(ground.key);
    const folded = isKept ? undefined : fold(database, question);
    const after = folded?.folded.map(({ change }) => change) ?? stored(database, ground, at);
    const before = was === undefined ? new Map() : seenBefore(database, ground, was, at);
    // A fold that was made before it went away is none that a reload would believe.
    const counted = folded && { since: BigInt(folded.since), seq: last };
    const gaps = folded?.gap === undefined ? known : new Map([[ground.key, folded.gap]]);
    const diff = balanceDiff(each, before, seen(database, ground, after, question, counted));
    return { ...diff, missedBefore: missedBefore(gaps, ground, at) };
  });
}

/** As its budget sees them: without what its resets forgave. */
function seen(
  database: DatabaseSync,
  ground: Ground,
  all: readonly BalanceChange[],
  question: FoldQuestion | undefined,
  counted?: Fold,
): Sums {
  const budget = ground.budget.id;
  const forgave =
    question === undefined ? [] : forgiven(database, [{ budget, ...question }], counted && (() => counted));
  const reliefs = new Map(forgave.map(({ account, amount }) => [account, amount]));
  const sums = all.map(({ account, settled, held }) => {
    const balance = relieved({ settled, held }, reliefs.get(account) ?? NOTHING);
    return [perValueOf(ground, account) ?? "", balance.settled] as const;
  });
  return new Map(ground.per === undefined && sums.length === 0 ? [["", NOTHING]] : sums);
}

/** What it counted, in the period that it had: both may be others now. */
function seenBefore(database: DatabaseSync, ground: Ground, was: Was, at: Instant): Sums {
  const all = stored(database, was, at);
  const [name, first] = [readGround(was.key), all[0]];
  const question =
    name === undefined || first === undefined
      ? undefined
      : { ...name, unit: ground.unit, key: was.key, since: first.start, start: first.start, end: first.end };
  return seen(database, { ...ground, ...was }, all, question);
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
