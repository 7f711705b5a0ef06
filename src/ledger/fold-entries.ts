// What a budget would have counted, as a sum over the entries that match its `when`: all of those that are
// there. Which of them that is to be, and whether sums say the same sooner, is fold.ts's.

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

/** `isOwn`: of a request that named no task, whose balance is never written (held.ts). */
export interface Folded {
  readonly change: BalanceChange;
  readonly isOwn: boolean;
}

/** Nobody will look again at the balance of a request that named no task, once that has ended. */
const STILL_ASKED_FOR = "own = 0 OR value IN (SELECT json_extract(held, '$.request') FROM reservations)";

/** One balance, or one per value of `per`. Throws on a scope that is no column: a bug. */
export function foldEntries(database: DatabaseSync, question: FoldQuestion): readonly Folded[] {
  const { value, counted, where, values } = coverageOf(question);
  const statement = database.prepare(
    `SELECT ${value} AS value, sum(${counted}) AS settled,
       min(coalesce(task = request, 0)) AS own FROM entries
      WHERE at >= ? AND ${where} GROUP BY 1
      HAVING settled <> 0 AND ${question.per === "task" ? STILL_ASKED_FOR : "1"}`,
  );
  statement.setReadBigInts(true);
  return statement.all(question.since, ...values).map((row) => foldedRow(question, row));
}

export function foldedRow({ key, per, start, end }: FoldQuestion, row: Record<string, unknown>): Folded {
  const account = per === undefined ? key : `${key}=${row.value}`;
  const change = { account, start, end, settled: row.settled as Quantity, held: NOTHING };
  return { change, isOwn: per === "task" && row.own === 1n };
}

/** The entries that it counts, as SQL: whenever they are, what they add, and whose they are. */
export interface Coverage {
  readonly where: string;
  readonly values: readonly string[];
  readonly counted: string;
  readonly value: string;
}

export function coverageOf(question: FoldQuestion): Coverage {
  const { unit, per, when } = question;
  const where = [CHARGED];
  if (isOfRequests(question)) where.push(NO_CONTAINER_MONEY);
  const values: string[] = [];
  for (const [scope, allowed] of when) {
    where.push(`${columnOf(scope)} IN (${allowed.map(() => "?").join(", ")})`);
    values.push(...allowed);
  }
  const value = per === undefined ? "''" : valueOfPer(per);
  return { where: where.join(" AND "), values, counted: COUNTED[unit], value };
}

/** Whether it leaves out container money. */
export function isOfRequests({ requestsOnly, per }: FoldQuestion): boolean {
  return requestsOnly || (per !== undefined && !CONTAINER_SCOPES.has(per));
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
