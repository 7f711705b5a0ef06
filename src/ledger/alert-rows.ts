// Alerts in the ledger: written with whatever else is, found again by page, by id, and by what a restart
// must know of them. Once told is told for good: `once` is unique in the table.

import type { DatabaseSync } from "node:sqlite";
import { type Instant, instantUs } from "../metering/time.ts";
import { type Alert, onceKey } from "../policy/alert.ts";
import type { Raised } from "../policy/alert-message.ts";
import type { Value } from "./packing.ts";

/** Of one alert at one webhook. */
export type Delivery = "pending" | "delivered" | "failed";

export interface AlertRow extends Raised {
  /** Counts its changes: an older version never overwrites a later one. */
  readonly version: number;
  /** By the webhook's name, which never is its address. */
  readonly deliveries: Readonly<Record<string, Delivery>>;
}

export interface StoredAlert extends AlertRow {
  readonly acknowledged: { readonly at: Instant; readonly by: string } | undefined;
}

/** What a restart goes on from. */
export interface AlertMemory {
  /** Keys of what was told in periods that are not over, oldest first. */
  readonly told: readonly { readonly once: string; readonly end: Instant }[];
  /** Not delivered everywhere, and young enough to be worth it, oldest first. */
  readonly pending: readonly AlertRow[];
  /** How many there ever were. */
  readonly counts: readonly { readonly event: Alert["event"]; readonly count: number }[];
}

export interface AlertsQuestion {
  readonly limit: number;
  /** The id of the alert that the page before ended with; an unknown one finds nothing. */
  readonly before: string | undefined;
  readonly where: {
    readonly event?: string;
    readonly severity?: string;
    readonly topic?: string;
    readonly subject?: string;
    readonly acknowledged?: boolean;
  };
}

/** The columns of an alert's row, in the order of its values. */
export const ALERT_COLUMNS = [
  ...["id", "once", "version", "at", "event", "severity", "topic", "subject", "value", "unit"],
  ...["period_start", "period_end", "timezone", "text", "advice", "figures", "deliveries"],
];

export function packAlert(row: AlertRow): readonly Value[] {
  return [
    ...[row.id, onceKey(row), row.version, row.at, row.event, row.severity, row.topic, row.subject],
    ...[
      row.value ?? null,
      row.unit ?? null,
      row.period.start,
      row.period.end,
      row.timezone,
      row.text,
      row.advice ?? null,
    ],
    ...[JSON.stringify(row.figures), JSON.stringify(row.deliveries)],
  ];
}

/** Newest first, one more than `limit` when older ones follow. */
export function alerts(database: DatabaseSync, asked: AlertsQuestion): readonly StoredAlert[] {
  const where = ["seq < coalesce((SELECT seq FROM alerts WHERE id = ?), ?)"];
  const values: (string | number)[] = [
    asked.before ?? "",
    asked.before === undefined ? Number.MAX_SAFE_INTEGER : 0,
  ];
  const { acknowledged, ...columns } = asked.where;
  for (const [column, wanted] of Object.entries(columns)) {
    where.push(`${column} = ?`);
    values.push(wanted);
  }
  if (acknowledged !== undefined) where.push(`acknowledged_at IS ${acknowledged ? "NOT " : ""}NULL`);
  return database
    .prepare(`SELECT * FROM alerts WHERE ${where.join(" AND ")} ORDER BY seq DESC LIMIT ?`)
    .all(...values, asked.limit + 1)
    .map(alertOf);
}

export function alert(database: DatabaseSync, id: string): StoredAlert | undefined {
  const row = database.prepare("SELECT * FROM alerts WHERE id = ?").get(id);
  return row === undefined ? undefined : alertOf(row);
}

/** Sessions and tasks never turn: of what was told about them, the newest are remembered. */
const MOST_REMEMBERED = 100_000;

export function alertMemory(database: DatabaseSync, at: Instant, since: Instant): AlertMemory {
  const newest = "SELECT seq, once, period_end FROM alerts WHERE period_end > ? ORDER BY seq DESC LIMIT ?";
  return {
    told: database
      .prepare(`SELECT once, period_end FROM (${newest}) ORDER BY seq`)
      .all(at, MOST_REMEMBERED)
      .map((row) => ({ once: String(row.once), end: instantUs(Number(row.period_end)) })),
    pending: database
      .prepare("SELECT * FROM alerts WHERE at >= ? AND deliveries LIKE '%\"pending\"%' ORDER BY seq")
      .all(since)
      .map(alertOf),
    counts: database
      .prepare("SELECT event, count(*) AS count FROM alerts GROUP BY event")
      .all()
      .map((row) => ({ event: String(row.event) as Alert["event"], count: Number(row.count) })),
  };
}

function alertOf(row: Record<string, unknown>): StoredAlert {
  const text = (value: unknown) => (value === null ? undefined : String(value));
  const { acknowledged_at: at, acknowledged_by: by } = row;
  return {
    id: String(row.id),
    version: Number(row.version),
    at: instantUs(Number(row.at)),
    event: String(row.event) as Alert["event"],
    severity: String(row.severity) as Alert["severity"],
    topic: String(row.topic) as Alert["topic"],
    subject: String(row.subject),
    value: text(row.value),
    unit: text(row.unit) as Alert["unit"],
    period: { start: instantUs(Number(row.period_start)), end: instantUs(Number(row.period_end)) },
    timezone: String(row.timezone),
    text: String(row.text),
    advice: text(row.advice),
    figures: JSON.parse(String(row.figures)),
    deliveries: JSON.parse(String(row.deliveries)),
    acknowledged: at === null ? undefined : { at: instantUs(Number(at)), by: String(by) },
  };
}
