// What the counters of /metrics go on from after a restart: the ledger's own sums, by series.

import type { Remembered } from "../admin/metrics.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import { EPOCH, FOREVER } from "../metering/time.ts";
import { OUTCOMES } from "../policy/admission.ts";
import { ACTIONS } from "../policy/policy.ts";

const KINDS = {
  startup: "startup",
  idle: "idle",
  minimum: "minimum",
  gap: "gap",
  adjusted: "adjustment",
} as const;

export async function remembered(reader: LedgerReader): Promise<Remembered> {
  const all = { from: EPOCH, to: FOREVER, where: {} };
  const [series, decided] = await Promise.all([
    reader.sums({ ...all, by: "series" }),
    reader.sums({ ...all, by: "decision" }),
  ]);
  const requests: Remembered["requests"][number][] = [];
  const charges: Remembered["charges"][number][] = [];
  for (const row of series) {
    // A part of a request that another part counts.
    if (row.requests === 0 && row.amount === 0n) continue;
    const [model = "", provider, upstream, kind = "", outcome, success] = JSON.parse(row.value) as string[];
    const labels = { model, provider: provider || "none", upstream: upstream || "none" };
    const known = OUTCOMES.find((one) => one === outcome);
    if (kind in KINDS)
      charges.push({ ...labels, kind: KINDS[kind as keyof typeof KINDS], amount: row.amount });
    // Of a tunnel, posted by slice: how it ended its last entry says.
    else if (kind === "settled" && outcome === "")
      charges.push({ ...labels, kind: "request", amount: row.amount });
    else if (known !== undefined) {
      requests.push({
        model,
        provider: provider || undefined,
        upstream: upstream || undefined,
        outcome: known,
        succeeded: Number(success) === 1,
        images: row.images,
        tokens: row.tokens,
        count: row.requests,
        charged: row.amount,
      });
    }
  }
  return { requests, charges, decisions: decided.flatMap(decisionOf) };
}

function decisionOf(row: {
  readonly value: string;
  readonly requests: number;
}): Remembered["decisions"][number][] {
  const [action, budget] = JSON.parse(row.value) as string[];
  const known = ACTIONS.find((one) => one === action);
  return known === undefined || budget === undefined ? [] : [{ action: known, budget, count: row.requests }];
}
