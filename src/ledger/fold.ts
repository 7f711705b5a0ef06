// Answers what a budget would have counted: a sum over the entries of its period that match its `when`.

import type { DatabaseSync } from "node:sqlite";
import { NOTHING, type Quantity, type Unit } from "../metering/quantity.ts";
import type { BalanceChange } from "./book.ts";
import { SCOPE_COLUMNS } from "./sqlite-schema.ts";
import type { FoldQuestion } from "./store.ts";

const CHARGED = "kind IN ('settled', 'startup', 'idle', 'minimum', 'gap', 'adjusted')";
/** As ledger/rows.ts counts one entry. */
const COUNTED = {
  usd: "amount",
  requests: "is_last",
  images: "images",
  seconds: "iif(kind = 'settled', elapsed, 0)",
  tokens: "input_tokens + output_tokens",
} as const satisfies Record<Unit, string>;
/**
 * Start-up that a request waited for is the request's; without one it is the container's, as idle is. So is
 * a correction that names a machine and no request.
 */
const NO_CONTAINER_MONEY = "(request IS NOT NULL OR (kind = 'adjusted' AND machine IS NULL))";

/** What container money carries: a balance per any other scope never receives it (MONEY §2). */
const CONTAINER_SCOPES = new Set(["provider", "upstream", "machine", "gpu_tier"]);

/** Forgets what a ground had settled before it was given up; what open requests hold there stays. */
export function unsettle(database: DatabaseSync, { key }: FoldQuestion): void {
  const ofGround = [key, key.length + 1, `${key}=`];
  const where = "(account = ? OR substr(account, 1, ?) = ?)";
  database.prepare(`DELETE FROM balances WHERE held = 0 AND ${where}`).run(...ofGround);
  database.prepare(`UPDATE balances SET settled = 0 WHERE ${where}`).run(...ofGround);
}

/** Says since when it counts, for whoever recounts it (verify.ts) or explains it. */
export function noteFold(database: DatabaseSync, { key, since }: FoldQuestion): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO folds SELECT ?,
         coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'high_water'), 0), ?,
         (SELECT coalesce(max(seq), 0) FROM entries)`,
    )
    .run(key, since);
}

/** `isOwn`: of a request that named no task, whose balance is never written (held.ts). */
export interface Folded {
  readonly change: BalanceChange;
  readonly isOwn: boolean;
}

/** Nobody will look again at the balance of a request that named no task, once that has ended. */
const STILL_ASKED_FOR = "own = 0 OR value IN (SELECT json_extract(held, '$.request') FROM reservations)";

/** One balance, or one per value of `per`. Throws on a scope that is no column: a bug. */
export function foldEntries(database: DatabaseSync, question: FoldQuestion): readonly Folded[] {
  const where = ["at >= ?", CHARGED];
  const isOfRequests = question.per !== undefined && !CONTAINER_SCOPES.has(question.per);
  if (question.requestsOnly || isOfRequests) where.push(NO_CONTAINER_MONEY);
  const values: (string | number)[] = [question.since];
  for (const [scope, allowed] of question.when) {
    where.push(`${columnOf(scope)} IN (${allowed.map(() => "?").join(", ")})`);
    values.push(...allowed);
  }
  const { key, per, start, end } = question;
  const value = question.per === undefined ? "''" : valueOfPer(question.per);
  const statement = database.prepare(
    `SELECT ${value} AS value, sum(${COUNTED[question.unit]}) AS settled,
       min(coalesce(task = request, 0)) AS own FROM entries
      WHERE ${where.join(" AND ")} GROUP BY 1 HAVING ${per === "task" ? STILL_ASKED_FOR : "1"}`,
  );
  statement.setReadBigInts(true);
  return statement.all(...values).map((row) => {
    const account = per === undefined ? key : `${key}=${row.value}`;
    const change = { account, start, end, settled: (row.settled ?? 0n) as Quantity, held: NOTHING };
    return { change, isOwn: per === "task" && row.own === 1n };
  });
}

/** As policy/match.ts names the balance of a request that does not say. */
function valueOfPer(per: string): string {
  if (per === "session") return "json_array(user, session)";
  return `coalesce(${columnOf(per)}, 'unknown')`;
}

function columnOf(scope: string): string {
  const column = SCOPE_COLUMNS[scope];
  if (column === undefined) throw new Error(`no column of entries holds the scope ${scope}`);
  return column;
}
