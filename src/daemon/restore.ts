// What the counters of /metrics go on from after a restart: the ledger's own sums, by series.

import type { Remembered } from "../admin/metrics.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import { EPOCH, FOREVER } from "../metering/time.ts";
import { OUTCOMES } from "../policy/admission.ts";
import { ACTIONS } from "../policy/policy.ts";
import { costKindOf } from "./posted.ts";

export async function remembered(reader: LedgerReader): Promise<Remembered> {
  const all = { from: EPOCH, to: FOREVER, where: {} };
  const [series, decided] = await Promise.all([
    reader.sums({ ...all, by: "series" }),
    reader.sums({ ...all, by: "decision" }),
  ]);
  const requests: Remembered["requests"][number][] = [];
  const posted: Remembered["posted"][number][] = [];
  for (const row of series) {
    const [model = "", provider, upstream, kind = "", outcome, success] = JSON.parse(row.value) as string[];
    const labels = { model: model || "none", provider: provider || "none", upstream: upstream || "none" };
    const cost = costKindOf(kind);
    if (cost !== undefined) posted.push({ ...labels, kind: cost, amount: row.amount, elapsed: row.elapsed });
    const known = OUTCOMES.find((one) => one === outcome);
    // A part of a request that another part counts.
    if (row.requests === 0 || known === undefined) continue;
    requests.push({
      model,
      provider: provider || undefined,
      upstream: upstream || undefined,
      outcome: known,
      succeeded: Number(success) === 1,
      images: row.images,
      tokens: row.tokens,
      count: row.requests,
    });
  }
  return { requests, posted, decisions: decided.flatMap(decisionOf) };
}

function decisionOf(row: {
  readonly value: string;
  readonly requests: number;
}): Remembered["decisions"][number][] {
  const [action, budget] = JSON.parse(row.value) as string[];
  const known = ACTIONS.find((one) => one === action);
  return known === undefined || budget === undefined ? [] : [{ action: known, budget, count: row.requests }];
}
