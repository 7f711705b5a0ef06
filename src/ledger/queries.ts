// Questions to the ledger: sums, requests, one request's record, the export. Read-only, synchronous; the
// daemon asks them in a thread of their own (reader.ts), the CLI where it stands.

import type { DatabaseSync } from "node:sqlite";
import { type NanoUsd, nanoUsd } from "../metering/money.ts";
import { type DurationUs, durationUs, HOUR, type Instant, instantUs } from "../metering/time.ts";
import type { TokenCount } from "../policy/admission.ts";
import type { HourSpend } from "../policy/anomaly.ts";
import type { BudgetExplanation, Explanation } from "../policy/decision.ts";
import { SCOPE_COLUMNS } from "./sqlite-schema.ts";
import { budgetsOf, explanationOf } from "./stored.ts";

/** What the charge of a request or a container is posted as. */
const CHARGED = "('settled', 'startup', 'idle', 'minimum', 'gap', 'adjusted')";

export interface Sums {
  readonly requests: number;
  readonly images: number;
  readonly elapsed: DurationUs;
  readonly amount: NanoUsd;
  readonly tokens: TokenCount;
}

export interface SumsRow extends Sums {
  readonly value: string;
}

export interface SumsQuestion {
  readonly from: Instant;
  readonly to: Instant;
  /** "total", or a scope. */
  readonly by: string;
  /** Only entries that match all of these; empty reads the rollups. */
  readonly where: Readonly<Record<string, string | undefined>>;
}

export function sums(database: DatabaseSync, question: SumsQuestion): readonly SumsRow[] {
  const filters = Object.entries(question.where).filter(([, value]) => value !== undefined);
  return filters.length === 0 ? rolledUp(database, question) : counted(database, question, filters);
}

/** The dimensions that are rolled up; any other is counted from the entries. */
const ROLLED_UP = new Set([
  "total",
  "provider",
  "model",
  "user",
  "workflow",
  "project",
  "upstream",
  "series",
  "decision",
]);

function rolledUp(database: DatabaseSync, question: SumsQuestion): readonly SumsRow[] {
  if (!ROLLED_UP.has(question.by)) return counted(database, question, []);
  const statement = database.prepare(
    `SELECT value, sum(requests) AS requests, sum(images) AS images, sum(elapsed) AS elapsed,
       sum(amount) AS amount, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
     FROM rollups WHERE dimension = ? AND bucket >= ? AND bucket < ?
     GROUP BY value ORDER BY amount DESC, value`,
  );
  statement.setReadBigInts(true);
  return statement.all(question.by, question.from, question.to).map(sumsRow);
}

function counted(
  database: DatabaseSync,
  question: SumsQuestion,
  filters: readonly (readonly [string, string | undefined])[],
): readonly SumsRow[] {
  const value = question.by === "total" ? "''" : `coalesce(${columnOf(question.by)}, '')`;
  const where = [`kind IN ${CHARGED}`, "at >= ?", "at < ?"];
  const values: (string | number)[] = [question.from, question.to];
  for (const [scope, wanted] of filters) {
    where.push(`${columnOf(scope)} = ?`);
    values.push(wanted ?? "");
  }
  const statement = database.prepare(
    `SELECT ${value} AS value, sum(is_last) AS requests, sum(images) AS images, sum(elapsed) AS elapsed,
       sum(amount) AS amount, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
     FROM entries WHERE ${where.join(" AND ")} GROUP BY 1 ORDER BY amount DESC, value`,
  );
  statement.setReadBigInts(true);
  return statement.all(...values).map(sumsRow);
}

export function sumsRow(row: Record<string, unknown>): SumsRow {
  return {
    value: String(row.value),
    requests: Number(row.requests ?? 0),
    images: Number(row.images ?? 0),
    elapsed: durationUs(Number(row.elapsed ?? 0)),
    amount: nanoUsd((row.amount as bigint | null) ?? 0n),
    tokens: { input: Number(row.input_tokens ?? 0), output: Number(row.output_tokens ?? 0) },
  };
}

/** By UTC hour, oldest first; rollups of entries are kept for ever. */
export function hours(database: DatabaseSync, from: Instant, to: Instant): readonly HourSpend[] {
  const statement = database.prepare(
    `SELECT bucket - bucket % ${HOUR} AS start, sum(amount) AS amount FROM rollups
     WHERE dimension = 'total' AND bucket >= ? AND bucket < ? GROUP BY 1 ORDER BY 1`,
  );
  statement.setReadBigInts(true);
  return statement.all(from, to).map((row) => ({
    start: instantUs(Number(row.start)),
    amount: nanoUsd((row.amount as bigint | null) ?? 0n),
  }));
}

export interface RecordsQuestion {
  readonly limit: number;
  readonly before: string | undefined;
  /** By column of `decisions`; outcome "running" finds those that have none. */
  readonly where: Readonly<Record<string, string | undefined>>;
}

export interface RecordRow {
  readonly id: string;
  readonly clientRequestId: string | undefined;
  readonly at: Instant;
  readonly endedAt: Instant | undefined;
  readonly facts: Readonly<Record<string, string | undefined>>;
  readonly outcome: string | undefined;
  readonly status: number | undefined;
  readonly estimate: NanoUsd;
  readonly hold: NanoUsd;
  readonly charged: NanoUsd | undefined;
  readonly elapsed: DurationUs | undefined;
}

export interface FullRecord extends RecordRow {
  readonly explanation: Explanation;
  readonly after: readonly BudgetExplanation[];
}

/** Newest first, one more than `limit` when older ones follow. */
export function records(database: DatabaseSync, question: RecordsQuestion): readonly RecordRow[] {
  const where = ["seq < coalesce((SELECT seq FROM decisions WHERE request = ?), ?)"];
  const values: (string | number)[] = [
    question.before ?? "",
    question.before === undefined ? Number.MAX_SAFE_INTEGER : 0,
  ];
  for (const [column, wanted] of Object.entries(question.where)) {
    if (wanted === undefined) continue;
    if (column === "outcome" && wanted === "running") where.push("outcome IS NULL");
    else {
      where.push(`${column === "outcome" ? "outcome" : columnOf(column)} = ?`);
      values.push(wanted);
    }
  }
  const statement = database.prepare(
    `SELECT * FROM decisions WHERE ${where.join(" AND ")} ORDER BY seq DESC LIMIT ?`,
  );
  statement.setReadBigInts(true);
  return statement.all(...values, question.limit + 1).map(recordRow);
}

/** By our id or, where no such request is, the newest with that client request id. */
export function record(database: DatabaseSync, id: string): FullRecord | undefined {
  const row = decision(database, "request = ?", id) ?? decision(database, "client_request_id = ?", id);
  if (row === undefined) return undefined;
  return {
    ...recordRow(row),
    explanation: explanationOf(String(row.explanation)),
    after: row.after === null ? [] : budgetsOf(String(row.after)),
  };
}

function decision(database: DatabaseSync, where: string, id: string) {
  const statement = database.prepare(`SELECT * FROM decisions WHERE ${where} ORDER BY seq DESC LIMIT 1`);
  statement.setReadBigInts(true);
  return statement.get(id);
}

function recordRow(row: Record<string, unknown>): RecordRow {
  const text = (value: unknown) => (value === null || value === undefined ? undefined : String(value));
  const number = (value: unknown) => (value === null || value === undefined ? undefined : Number(value));
  const ended = number(row.ended_at);
  const elapsed = number(row.elapsed);
  return {
    id: String(row.request),
    clientRequestId: text(row.client_request_id),
    at: instantUs(Number(row.at)),
    endedAt: ended === undefined ? undefined : instantUs(ended),
    facts: Object.fromEntries(
      Object.entries(SCOPE_COLUMNS).map(([scope, column]) => [scope, text(row[column])]),
    ),
    outcome: text(row.outcome),
    status: number(row.status),
    estimate: nanoUsd(row.estimate as bigint),
    hold: nanoUsd(row.hold as bigint),
    charged: row.charged === null ? undefined : nanoUsd(row.charged as bigint),
    elapsed: elapsed === undefined ? undefined : durationUs(elapsed),
  };
}

/** How often and by whom a switch was turned. */
export interface TurnRow {
  readonly at: Instant;
  readonly value: string;
  readonly by: string;
}

/** Newest first. */
export function turns(database: DatabaseSync, name: string, limit: number): readonly TurnRow[] {
  return database
    .prepare("SELECT at, value, author FROM turns WHERE name = ? ORDER BY seq DESC LIMIT ?")
    .all(name, limit)
    .map(({ at, value, author }) => ({
      at: instantUs(Number(at)),
      value: String(value),
      by: String(author),
    }));
}

function columnOf(scope: string): string {
  const column = SCOPE_COLUMNS[scope];
  if (column === undefined) throw new Error(`the ledger has no column for ${scope}`);
  return column;
}
