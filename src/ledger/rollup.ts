// Sums by quarter-hour, kept in the same transaction as the entries they count, so that a page over a
// month reads hundreds of rows and not millions. Retention drops entries, never these.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { DAY, type Instant } from "../metering/time.ts";
import type { Outcome } from "../policy/admission.ts";
import type { BudgetAction, DecisionRow, Entry } from "./store.ts";

/** Distinct workflows counted apart in one UTC day; further ones are counted as "other". */
const WORKFLOWS_A_DAY = 1000;

const ADD = `INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (bucket, dimension, value) DO UPDATE SET
  requests = requests + excluded.requests, images = images + excluded.images,
  elapsed = elapsed + excluded.elapsed, amount = amount + excluded.amount`;

export class RollupWriter {
  readonly #add: StatementSync;
  readonly #known: StatementSync;
  #day = -1;
  #workflows = new Set<string>();

  constructor(database: DatabaseSync) {
    this.#add = database.prepare(ADD);
    this.#known = database.prepare(
      "SELECT DISTINCT value FROM rollups WHERE dimension = 'workflow' AND bucket >= ? AND bucket < ?",
    );
  }

  count(bucket: Instant, entry: Entry): void {
    const { facts } = entry;
    if (entry.kind === "released") {
      if (entry.isLast) this.#ended(bucket, facts.model, "unsent");
      return;
    }
    const add = (dimension: string, value: string) =>
      this.#add.run(
        bucket,
        dimension,
        value,
        entry.isLast ? 1 : 0,
        entry.images,
        entry.elapsed,
        entry.amount,
      );
    add("total", "");
    // Where nobody said, "" has the money: the rows of a dimension add up to the total.
    for (const scope of ["provider", "model", "user", "upstream"] as const) add(scope, facts[scope] ?? "");
    add("workflow", facts.workflow === undefined ? "" : this.#capped(bucket, facts.workflow));
    add("series", seriesOf(entry));
  }

  /** Decisions leave no entry when nothing is held; their counts go on over restarts all the same. */
  decided(bucket: Instant, row: DecisionRow): void {
    this.acted(bucket, row.actions);
    if (row.outcome !== undefined) this.#ended(bucket, row.facts.model, row.outcome);
  }

  acted(bucket: Instant, actions: readonly BudgetAction[]): void {
    for (const { action, budget } of actions) {
      this.#add.run(bucket, "decision", JSON.stringify([action, budget]), 1, 0, 0, 0);
    }
  }

  /** Of a request that reached no upstream: a counter counts it, no sum does. */
  #ended(bucket: Instant, model: string | undefined, outcome: Outcome): void {
    const series = JSON.stringify([model ?? "", "", "", "decided", outcome, 0]);
    this.#add.run(bucket, "series", series, 1, 0, 0, 0);
  }

  #capped(bucket: Instant, workflow: string): string {
    const day = bucket - (bucket % DAY);
    if (day !== this.#day) {
      this.#day = day;
      this.#workflows = new Set(this.#known.all(day, day + DAY).map((row) => String(row.value)));
    }
    if (this.#workflows.has(workflow)) return workflow;
    if (this.#workflows.size >= WORKFLOWS_A_DAY) return "other";
    this.#workflows.add(workflow);
    return workflow;
  }
}

/** What the counters of /metrics are restored from: model, provider, upstream, kind, outcome, success. */
function seriesOf(entry: Entry): string {
  const { model, provider, upstream } = entry.facts;
  return JSON.stringify([
    model ?? "",
    provider ?? "",
    upstream ?? "",
    entry.kind,
    entry.outcome ?? "",
    entry.images > 0 ? 1 : 0,
  ]);
}
