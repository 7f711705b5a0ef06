// The ledger's rows as the admin surface asks for them. Shapes only; nothing is decided or summed here.

import type { RequestRecord, RequestRow, RequestState } from "../admin/house.ts";
import type { FullRecord, RecordRow } from "../ledger/queries.ts";
import { OUTCOMES } from "../policy/admission.ts";

export function requestRow(row: RecordRow): RequestRow {
  const { facts } = row;
  return {
    id: row.id,
    clientRequestId: row.clientRequestId,
    at: row.at,
    endedAt: row.endedAt,
    model: facts.model ?? "",
    upstream: facts.upstream,
    provider: facts.provider,
    labels: {
      user: facts.user ?? "unknown",
      workflow: facts.workflow,
      session: facts.session,
      task: facts.task === row.id ? undefined : facts.task,
      node: facts.node,
      project: facts.project,
      tag: facts.tag,
    },
    outcome: stateOf(row.outcome),
    status: row.status,
    estimate: row.estimate,
    hold: row.hold,
    charged: row.charged,
    elapsed: row.elapsed,
  };
}

export function requestRecord(record: FullRecord, waiting: RequestRecord["waiting"]): RequestRecord {
  return { ...requestRow(record), explanation: record.explanation, waiting, after: record.after };
}

function stateOf(outcome: string | undefined): RequestState {
  return OUTCOMES.find((known) => known === outcome) ?? "running";
}
