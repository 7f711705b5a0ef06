// What resets have taken off a budget's balance, whatever it counted when it was reset (MONEY §4): the id
// carries its resets, and a reset forgives the entries that the budget counted then. Where it counts the same
// still, that is what the reset says; where its scope, period or zone has changed, it is the sum of those
// entries that it counts now and that one of its resets forgave. So never more than it counts, and none that
// was not forgiven.

import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { Quantity } from "../metering/quantity.ts";
import { instantUs } from "../metering/time.ts";
import { COUNTED, coveredBy, valueSql, type Where } from "./covered.ts";
import { readGround } from "./ground-name.ts";
import type { Forgiven, ForgivenQuestion } from "./store.ts";

/** Of further kinds of balances that a budget was reset on in one period, the oldest are not carried over. */
const MOST_SCOPES = 200;

interface Reset {
  readonly ground: string;
  /** Of `per`; null where the budget had one balance. */
  readonly value: string | null;
  readonly account: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly amount: bigint;
  readonly at: bigint;
  /** It forgave entries up to this one. */
  readonly entries: bigint;
  /** Whether idle of before it was taken back after it: what it forgave of that is not forgiven twice. */
  readonly isLess: boolean;
}

/** `fold`: how each was counted; as the ledger says, unless it is only to be. */
export function forgiven(
  database: DatabaseSync,
  questions: readonly ForgivenQuestion[],
  fold: (question: ForgivenQuestion) => Fold | undefined = ({ key }) => foldOf(database, key),
): readonly Forgiven[] {
  const rows = database.prepare("SELECT DISTINCT budget FROM adjustments").all();
  const reset = new Set(rows.map(({ budget }) => String(budget)));
  return questions
    .filter(({ budget }) => reset.has(budget))
    .flatMap((question) => forgivenOf(database, question, fold(question)));
}

function forgivenOf(
  database: DatabaseSync,
  question: ForgivenQuestion,
  fold: Fold | undefined,
): readonly Forgiven[] {
  const resets = resetsOf(database, question);
  if (resets.length === 0) return [];
  const isOwn = ({ ground, start, end, entries, isLess }: Reset) =>
    ground === question.key &&
    start === BigInt(question.start) &&
    end === BigInt(question.end) &&
    !isLess &&
    // Counted anew since, it may not have all entries that the reset has seen.
    (fold === undefined || fold.seq <= entries);
  const sums = resets.every(isOwn) ? ownSums(resets) : entrySums(database, question, resets, fold);
  const { budget, start, end } = question;
  const at = instantUs(Number(resets[0]?.at ?? 0n));
  return sums
    .filter(({ amount }) => amount > 0n)
    .map(({ account, amount }) => ({ budget, account, start, end, amount: amount as Quantity, at }));
}

interface Sum {
  readonly account: string;
  readonly amount: bigint;
}

/** Of this period, newest first. */
function resetsOf(database: DatabaseSync, { budget, unit, start }: ForgivenQuestion): readonly Reset[] {
  const statement = database.prepare(
    `WITH resets AS (
       SELECT seq, value, account, start, end, -amount AS amount, at,
         coalesce(entries, (SELECT max(seq) FROM entries WHERE entries.at < adjustments.at), 0) AS entries
       FROM adjustments LEFT JOIN adjustment_marks USING (seq)
       WHERE budget = ? AND unit = ? AND adjustments.at >= ?)
     SELECT *, EXISTS (SELECT 1 FROM entries WHERE entries.seq > resets.entries AND entries.at < resets.at
       AND kind = 'adjusted' AND request IS NULL AND entries.amount < 0) AS less
     FROM resets ORDER BY seq DESC`,
  );
  statement.setReadBigInts(true);
  return statement.all(budget, unit, start).map((row) => {
    const { value, account } = row as unknown as Reset;
    const isLess = row.less === 1n;
    const ground = value === null ? account : account.slice(0, -(value.length + 1));
    return { ...(row as unknown as Reset), ground, isLess };
  });
}

/** From when on a ground counts entries that were there, and after which one all that came. */
export interface Fold {
  readonly since: bigint;
  readonly seq: bigint;
}

/** Undefined for a ground that was begun by an earlier version. */
function foldOf(database: DatabaseSync, key: string): Fold | undefined {
  const statement = database.prepare("SELECT since, seq FROM folds WHERE key = ?");
  statement.setReadBigInts(true);
  return statement.get(key) as Fold | undefined;
}

function ownSums(resets: readonly Reset[]): readonly Sum[] {
  const sums = new Map<string, bigint>();
  for (const { account, amount } of resets) sums.set(account, (sums.get(account) ?? 0n) + amount);
  return [...sums].map(([account, amount]) => ({ account, amount }));
}

function entrySums(
  database: DatabaseSync,
  question: ForgivenQuestion,
  resets: readonly Reset[],
  fold: Fold | undefined,
): readonly Sum[] {
  // Of several resets of one balance the newest has forgiven all that the others did.
  const newest = new Map<string, Reset>();
  for (const one of resets) {
    const name = `${one.start} ${one.end} ${one.account}`;
    if (!newest.has(name)) newest.set(name, one);
  }
  const scopes = [...newest.values()].flatMap((reset) => scopeOf(reset)).slice(0, MOST_SCOPES);
  if (scopes.length === 0) return [];
  const { key, unit, per, start, end } = question;
  const now = coveredBy(question);
  const { since, seq } = fold ?? { since: 0n, seq: 0n };
  const statement = database.prepare(
    `SELECT ${valueSql(per)} AS value, sum(${COUNTED[unit]}) AS amount FROM entries
     WHERE at >= ? AND at < ? AND (at >= ? OR seq > ?) AND ${now.sql}
       AND (${scopes.map(({ sql }) => `(${sql})`).join(" OR ")}) GROUP BY 1`,
  );
  statement.setReadBigInts(true);
  const values = [start, end, since, seq, ...now.values, ...scopes.flatMap((scope) => scope.values)];
  return statement.all(...values).map(({ value, amount }) => ({
    account: per === undefined ? key : `${key}=${value}`,
    amount: amount as bigint,
  }));
}

/** The entries that it forgave, and what was taken back of them since. */
function scopeOf({ ground, value, start, end, at, entries }: Reset): readonly Where[] {
  const name = readGround(ground);
  if (name === undefined) return [];
  const covered = coveredBy(name);
  const ofValue = value === null ? "" : `AND ${valueSql(name.per)} = ?`;
  const values: SQLInputValue[] = [entries, at, start, end, ...covered.values];
  if (value !== null) values.push(value);
  const seen = "(seq <= ? OR (kind = 'adjusted' AND request IS NULL AND amount < 0 AND at < ?))";
  return [{ sql: `${seen} AND at >= ? AND at < ? AND ${covered.sql} ${ofValue}`, values }];
}
