// Counts for /metrics each entry that charges something, once the ledger has made it durable: what the
// counters say is what a restart finds in the ledger.

import type { CostKind } from "../admin/counts.ts";
import type { Metrics } from "../admin/metrics.ts";
import type { Store, Write } from "../ledger/store.ts";

const COST_KINDS: Readonly<Record<string, CostKind>> = {
  settled: "request",
  startup: "startup",
  idle: "idle",
  minimum: "minimum",
  gap: "gap",
  adjusted: "adjustment",
};

/** Undefined for entries that only hold or give back. */
export function costKindOf(entry: string): CostKind | undefined {
  return COST_KINDS[entry];
}

export function counted(store: Store, metrics: Pick<Metrics, "posted">): Store {
  return {
    write: async (write, when) => {
      await store.write(write, when);
      count(write, metrics);
    },
    fold: (questions) => store.fold(questions),
    forgiven: (questions) => store.forgiven(questions),
    track: (keys) => store.track(keys),
  };
}

function count({ entries = [] }: Write, metrics: Pick<Metrics, "posted">): void {
  for (const { kind, facts, amount, elapsed } of entries) {
    const cost = costKindOf(kind);
    if (cost === undefined) continue;
    const { model = "none", provider = "none", upstream = "none" } = facts;
    metrics.posted({ kind: cost, model, provider, upstream, amount, elapsed });
  }
}
