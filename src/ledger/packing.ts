// A write as rows of plain SQL values, made on the main thread: arrays of values cross to the writing
// thread several times faster than objects with names, and the thread binds them as they are. It knows the
// columns of the tables and nothing of what their values mean.

import type { LeaseState } from "../metering/lease-state.ts";
import { quarterHourOf } from "../metering/time.ts";
import type { Facts } from "../policy/match.ts";
import { packAlert } from "./alert-rows.ts";
import { leaseKey } from "./container.ts";
import type { BudgetAction, ContainerRow, DecisionRow, EndingRow, Entry, Write } from "./store.ts";
import { budgetsText, containerText, explanationText, heldText } from "./stored.ts";

export type Value = string | number | bigint | null;

/** As labelValues says them. */
const LABELS = ["user", "workflow", "session", "task", "node", "project", "tag"] as const;

/** The columns of an entry's row, in the order of its values. */
export const ENTRY_COLUMNS = [
  "at",
  "wall",
  "kind",
  "request",
  "client_request_id",
  "provider",
  "upstream",
  "machine",
  "model",
  "tier",
  ...LABELS,
  "amount",
  "elapsed",
  "images",
  "input_tokens",
  "output_tokens",
  "outcome",
  "is_last",
  "price",
  "price_source",
] as const;

/** The columns of a decision's row, in the order of its values. */
export const DECISION_COLUMNS = [
  "request",
  "at",
  "client_request_id",
  "provider",
  "upstream",
  "model",
  "tier",
  ...LABELS,
  "estimate",
  "hold",
  "explanation",
  "outcome",
  "work",
  "expected",
  "tries",
] as const;

export interface Packed {
  readonly at: number;
  readonly entries: readonly (readonly Value[])[];
  /** account, start, end, settled, held: of each change. */
  readonly balances: readonly Value[];
  /** id, version, JSON: of each hold. */
  readonly hold: readonly Value[];
  readonly rehold: readonly Value[];
  readonly unhold: readonly string[];
  /** key, at, JSON, is_over, idle, startup: of each container's lease. */
  readonly containers: readonly (readonly Value[])[];
  /** Whether all leases in use went with it. */
  readonly isBeat: boolean;
  readonly decision: PackedDecision | undefined;
  readonly ending: PackedEnding | undefined;
  /** In the order of ALERT_COLUMNS. */
  readonly alerts: readonly (readonly Value[])[];
}

/** What a crowd of writes says again and again, once: who shares which lease since when, and the leases. */
export interface PackedShares {
  /** id, JSON: of each join. */
  readonly joins: readonly Value[];
  /** machine, at, JSON: of each lease. */
  readonly leases: readonly Value[];
}

export interface PackedDecision {
  readonly row: readonly Value[];
  readonly bucket: number;
  readonly actions: readonly BudgetAction[];
}

export interface PackedEnding {
  /** outcome, status, charged, elapsed, ended_at, after, request, ended_at again. */
  readonly row: readonly Value[];
  readonly bucket: number;
  readonly actions: readonly BudgetAction[];
}

export function pack(write: Write): Packed {
  return {
    at: write.at,
    entries: write.entries?.map((entry) => entryRow(entry, write.wall)) ?? [],
    balances:
      write.balances?.flatMap(({ account, start, end, settled, held }) => [
        ...[account, start, end, settled, held],
      ]) ?? [],
    hold: write.hold?.flatMap((row) => [row.id, row.version, heldText(row)]) ?? [],
    rehold: write.rehold?.flatMap((row) => [row.id, row.version, heldText(row)]) ?? [],
    unhold: write.unhold ?? [],
    containers: write.containers?.map(containerRow) ?? [],
    isBeat: write.leases !== undefined,
    decision: write.decision === undefined ? undefined : packDecision(write.decision),
    ending: write.ending === undefined ? undefined : packEnding(write.ending),
    alerts: write.alerts?.map(packAlert) ?? [],
  };
}

/** Of writes in their order: a request joins once, and of a lease its latest state counts. */
export function packShares(writes: readonly Pick<Write, "joins" | "leases">[]): PackedShares {
  const joins = new Map(writes.flatMap((write) => write.joins ?? []).map(({ id, join }) => [id, join]));
  const leases = new Map<string, LeaseState>();
  for (const { machine, state } of writes.flatMap((write) => write.leases ?? [])) {
    if (state.t >= (leases.get(machine)?.t ?? state.t)) leases.set(machine, state);
  }
  return {
    joins: [...joins].flatMap(([id, join]) => [id, JSON.stringify(join)]),
    leases: [...leases].flatMap(([machine, state]) => [machine, state.t, JSON.stringify(state)]),
  };
}

function containerRow(row: ContainerRow): Value[] {
  const { about, state, isOver, idlePosted, startupPosted } = row;
  return [leaseKey(about), state.t, containerText(row), isOver ? 1 : 0, idlePosted, startupPosted];
}

/** In the order of ENTRY_COLUMNS. */
function entryRow(entry: Entry, wall: number): Value[] {
  const { facts } = entry;
  return [
    entry.at,
    wall,
    entry.kind,
    entry.request ?? null,
    entry.clientRequestId ?? null,
    facts.provider ?? null,
    facts.upstream ?? null,
    facts.machine ?? null,
    facts.model ?? null,
    facts.gpu_tier ?? null,
    ...labelValues(facts),
    entry.amount,
    entry.elapsed,
    entry.images,
    entry.tokens.input,
    entry.tokens.output,
    entry.outcome ?? null,
    entry.isLast ? 1 : 0,
    entry.price,
    entry.priceSource,
  ];
}

/** In the order of DECISION_COLUMNS. */
function packDecision(row: DecisionRow): PackedDecision {
  const { facts } = row;
  const values = [
    row.request,
    row.at,
    row.clientRequestId ?? null,
    facts.provider ?? null,
    facts.upstream ?? null,
    facts.model ?? null,
    facts.gpu_tier ?? null,
    ...labelValues(facts),
    row.estimate,
    row.hold,
    explanationText(row.explanation),
    row.outcome ?? null,
    row.work ?? null,
    row.expected ?? null,
    row.tries ? 1 : 0,
  ];
  return { row: values, bucket: quarterHourOf(row.at), actions: row.actions };
}

function packEnding(row: EndingRow): PackedEnding {
  const { outcome, status, charged, elapsed, endedAt, after, request } = row;
  const values = [outcome, status ?? null, charged, elapsed, endedAt, budgetsText(after), request, endedAt];
  return { row: values, bucket: quarterHourOf(endedAt), actions: row.actions };
}

function labelValues({ user, workflow, session, task, node, project, tag }: Facts): Value[] {
  return [
    user ?? null,
    workflow ?? null,
    session ?? null,
    task ?? null,
    node ?? null,
    project ?? null,
    tag ?? null,
  ];
}
