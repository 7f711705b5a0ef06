// Where the money of one balance went: by model, user and upstream, by request, and by what it was for. Asked
// of the entries, in the reading thread.

import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { type Instant, instantUs } from "../metering/time.ts";
import { COUNTED, type Covering, coveredBy, valueSql } from "./covered.ts";
import { idleDiscount } from "./idle-discount.ts";
import { type SumsRow, sumsRow } from "./queries.ts";
import { SCOPE_COLUMNS } from "./sqlite-schema.ts";

export interface SpentQuestion extends Covering {
  /** Of the ground: since when it counts is kept under this name. */
  readonly key: string;
  readonly unit: string;
  /** Of `per`; undefined where the budget has one balance. */
  readonly value: string | undefined;
  readonly start: Instant;
  readonly end: Instant;
  /** Since when the budget refuses what does not fit; undefined: all the time. */
  readonly refusesSince: Instant | undefined;
}

export const SPENT_BY = ["model", "user", "upstream"] as const;

export interface Spent {
  /** By dimension, dearest first. */
  readonly by: Readonly<Record<(typeof SPENT_BY)[number], readonly SumsRow[]>>;
  readonly requests: readonly RequestCost[];
  /** Container money and adjustments, by kind, in the balance's unit. */
  readonly kinds: readonly { readonly kind: string; readonly amount: bigint; readonly entries: number }[];
  /** Of money: what unused containers would have cost more at their machines' price. */
  readonly idleDiscount: bigint;
  /** What requests took beyond their first holds. */
  readonly overrun: { readonly amount: bigint; readonly requests: number };
  /** What was counted before it refused anything, and all of those who ran by then. */
  readonly unrefused: bigint;
  /** What was counted when the budget was added or changed; undefined where that was before the period. */
  readonly folded: { readonly at: Instant; readonly amount: bigint } | undefined;
}

export interface RequestCost {
  readonly id: string;
  readonly at: Instant;
  readonly user: string;
  readonly upstream: string;
  readonly amount: bigint;
}

const MOST_ROWS = 10;

export function spent(database: DatabaseSync, question: SpentQuestion): Spent {
  const ask = askerOf(database, question);
  const counted = COUNTED[question.unit] ?? "0";
  const by = (scope: string) =>
    ask(
      `SELECT coalesce(${SCOPE_COLUMNS[scope]}, '') AS value, sum(is_last) AS requests, sum(images) AS images,
         sum(elapsed) AS elapsed, sum(amount) AS amount, sum(input_tokens) AS input_tokens,
         sum(output_tokens) AS output_tokens, sum(${counted}) AS counted
       FROM covered GROUP BY 1 ORDER BY counted DESC, value LIMIT ${MOST_ROWS}`,
    ).map(sumsRow);
  return {
    by: { model: by("model"), user: by("user"), upstream: by("upstream") },
    requests: ask(
      `SELECT request AS id, min(at) AS at, user, upstream, sum(${counted}) AS amount FROM covered
       WHERE request IS NOT NULL GROUP BY request HAVING amount <> 0
       ORDER BY amount DESC, at LIMIT ${MOST_ROWS}`,
    ).map((row) => ({
      id: String(row.id),
      at: instantUs(Number(row.at)),
      user: String(row.user ?? "unknown"),
      upstream: String(row.upstream ?? ""),
      amount: row.amount as bigint,
    })),
    kinds: ask(
      `SELECT ${OWN_KIND} AS own, sum(${counted}) AS amount, count(*) AS entries FROM covered
       WHERE request IS NULL OR kind = 'adjusted' GROUP BY own ORDER BY amount DESC`,
    ).map(({ own, amount, entries }) => ({
      kind: String(own),
      amount: amount as bigint,
      entries: Number(entries),
    })),
    idleDiscount: question.unit === "usd" ? discountOf(ask) : 0n,
    overrun: overrunOf(ask, question.unit, counted),
    unrefused: unrefusedOf(ask, question, counted),
    folded: foldedOf(database, ask, question, counted),
  };
}

function discountOf(ask: Ask): bigint {
  const rows = ask(
    `SELECT kind, price, sum(elapsed) AS elapsed, sum(amount) AS amount FROM covered
     WHERE request IS NULL AND machine IS NOT NULL GROUP BY kind, price`,
  );
  return idleDiscount(
    rows.map(({ kind, price, elapsed, amount }) => ({
      ...{ kind: String(kind), price: String(price) },
      ...{ elapsed: elapsed as bigint, amount: amount as bigint },
    })),
  );
}

/** Idle that was taken back, because a container had stopped before, is idle that there was not. */
const OWN_KIND = `CASE WHEN kind = 'adjusted' AND request IS NULL AND machine IS NOT NULL AND amount < 0
  THEN 'idle' ELSE kind END`;

type Ask = (sql: string, ...values: readonly SQLInputValue[]) => readonly Record<string, unknown>[];

/** `covered` stands for the entries of the balance in its period. */
function askerOf(database: DatabaseSync, question: SpentQuestion): Ask {
  const { sql, values } = coveredBy(question);
  const ofValue = question.value === undefined ? "" : `AND ${valueSql(question.per)} = ?`;
  const bound = [
    ...values,
    question.start,
    question.end,
    ...(question.value === undefined ? [] : [question.value]),
  ];
  const covered = `WITH covered AS (
    SELECT * FROM entries WHERE ${sql} AND at >= ? AND at < ? ${ofValue}) `;
  return (asked, ...more) => {
    const statement = database.prepare(covered + asked);
    statement.setReadBigInts(true);
    return statement.all(...bound, ...more);
  };
}

/**
 * In money: what they cost beyond their first hold, by time those that were extended. Of images and tokens no
 * entry says how many were held, so that it is all beyond the least; of seconds all of those extended.
 */
function overrunOf(ask: Ask, unit: string, counted: string): Spent["overrun"] {
  const first = unit === "usd" ? FIRST_HOLD : unit === "images" ? "1" : "0";
  const isExtended =
    "EXISTS (SELECT 1 FROM entries AS e WHERE e.request = r.request AND e.kind = 'extended')";
  const which = { usd: `NOT timed OR ${isExtended}`, images: "1", tokens: "1", requests: "0" }[unit];
  const [row] = ask(
    `SELECT coalesce(sum(over), 0) AS amount, count(*) AS requests FROM (
       SELECT taken - ${first} AS over FROM (
         SELECT request, sum(${counted}) AS taken, max(price LIKE '%/h') AS timed FROM covered
         WHERE request IS NOT NULL GROUP BY request) AS r
       WHERE ${which ?? `timed AND ${isExtended}`}
     ) WHERE over > 0`,
  );
  return { amount: (row?.amount ?? 0n) as bigint, requests: Number(row?.requests ?? 0) };
}

const FIRST_HOLD = `(SELECT max(amount) FROM entries AS e
  WHERE e.request = r.request AND e.kind = 'reserved')`;

function unrefusedOf(ask: Ask, { refusesSince }: SpentQuestion, counted: string): bigint {
  if (refusesSince === undefined) return 0n;
  const [row] = ask(
    `SELECT coalesce(sum(${counted}), 0) AS amount FROM covered WHERE at < ?
       OR EXISTS (SELECT 1 FROM entries AS e WHERE e.request = covered.request AND e.at < ?)`,
    ...[refusesSince, refusesSince],
  );
  return (row?.amount ?? 0n) as bigint;
}

function foldedOf(
  database: DatabaseSync,
  ask: Ask,
  { key, start }: SpentQuestion,
  counted: string,
): Spent["folded"] {
  const fold = database.prepare("SELECT at, seq FROM folds WHERE key = ?").get(key);
  if (fold === undefined || Number(fold.at) <= start) return undefined;
  const [row] = ask(
    `SELECT coalesce(sum(${counted}), 0) AS amount FROM covered WHERE seq <= ?`,
    fold.seq ?? 0,
  );
  return { at: instantUs(Number(fold.at)), amount: (row?.amount ?? 0n) as bigint };
}
