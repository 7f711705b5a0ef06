// The ledger as lines, one object a line, for finance and for whoever does not believe a sum: JSON Lines or
// CSV (DESIGN §8). Adjustments of one budget stand among the entries: they are no money spent, so that a sum
// of amounts passes over them. Streams: ten million entries need no more memory than ten.

import type { DatabaseSync } from "node:sqlite";
import { formatUsd, nanoUsd } from "../metering/money.ts";
import { formatNumber } from "../metering/quantity-text.ts";
import { formatInstant, instantUs } from "../metering/time.ts";
import { type Adjustment, allAdjustments } from "./adjustments.ts";
import { idleDiscount } from "./idle-discount.ts";

export const EXPORT_FORMATS = ["jsonl", "csv"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

const COLUMNS = [
  "seq",
  "at",
  "kind",
  "request",
  "client_request_id",
  "upstream",
  "provider",
  "model",
  "tier",
  "user",
  "workflow",
  "amount_usd",
  "elapsed_us",
  "outcome",
  "price",
  "price_source",
  "input_tokens",
  "output_tokens",
  "idle_discount_usd",
  "budget",
  "value",
  "unit",
  "adjustment",
  "author",
  "reason",
] as const;

type Line = Record<(typeof COLUMNS)[number], string | number | null>;

/** Lines without their line ends; CSV begins with its header. */
export function* exportLines(database: DatabaseSync, format: ExportFormat): Iterable<string> {
  if (format === "csv") yield COLUMNS.join(",");
  const written = (line: Line) =>
    format === "csv" ? COLUMNS.map((column) => csvCell(line[column])).join(",") : JSON.stringify(line);
  const statement = database.prepare("SELECT * FROM entries ORDER BY seq");
  statement.setReadBigInts(true);
  const adjustments = allAdjustments(database);
  let next = adjustments.next();
  for (const row of statement.iterate()) {
    for (; !next.done && next.value.at <= Number(row.at); next = adjustments.next())
      yield written(adjustmentLine(next.value));
    yield written(lineOf(row));
  }
  for (; !next.done; next = adjustments.next()) yield written(adjustmentLine(next.value));
}

/** `adjustment` is in the unit itself: what the budget has settled counts that much more, or less. */
function adjustmentLine(one: Adjustment): Line {
  const { at, kind, budget, value = null, unit, amount, by, reason } = one;
  const own = { budget, value, unit, adjustment: formatNumber(unit, amount), author: by, reason };
  return { ...EMPTY, at: formatInstant(at), kind, ...own };
}

const EMPTY = Object.fromEntries(COLUMNS.map((column) => [column, null])) as Line;

function lineOf(row: Record<string, unknown>): Line {
  const text = (value: unknown) => (value === null ? null : String(value));
  return {
    seq: Number(row.seq),
    at: formatInstant(instantUs(Number(row.at))),
    kind: text(row.kind),
    request: text(row.request),
    client_request_id: text(row.client_request_id),
    upstream: text(row.upstream),
    provider: text(row.provider),
    model: text(row.model),
    tier: text(row.tier),
    user: text(row.user),
    workflow: text(row.workflow),
    amount_usd: formatUsd(nanoUsd(row.amount as bigint)),
    elapsed_us: Number(row.elapsed),
    outcome: text(row.outcome),
    price: text(row.price),
    price_source: text(row.price_source),
    // A ledger that no newer version has opened yet has none.
    input_tokens: Number(row.input_tokens ?? 0),
    output_tokens: Number(row.output_tokens ?? 0),
    idle_discount_usd: discountText(row),
    ...NOT_ADJUSTED,
  };
}

/** Of container money that could have one. */
function discountText({ request, machine, kind, price, elapsed, amount }: Record<string, unknown>) {
  if (request !== null || machine === null || !["idle", "gap", "adjusted"].includes(String(kind)))
    return null;
  const posted = { kind: String(kind), price: String(price) };
  const discount = idleDiscount([{ ...posted, elapsed: elapsed as bigint, amount: amount as bigint }]);
  return formatUsd(nanoUsd(discount));
}

const NOT_ADJUSTED = {
  ...{ budget: null, value: null, unit: null, adjustment: null, author: null, reason: null },
};

/** RFC 4180; a cell that a spreadsheet would run as a formula is made text, a negative amount is none. */
function csvCell(value: string | number | null): string {
  if (value === null) return "";
  const isFormula = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && !/^-\d+\.\d+$/.test(value);
  const text = isFormula ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
