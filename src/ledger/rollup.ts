// Sums by quarter-hour and by UTC day, kept in the same transaction as the entries they count, so that a page
// over a month, or a new budget of a year, reads hundreds of rows and not millions. Retention drops entries,
// never these. Many requests move the same few sums: they are gathered, and written by `flush`.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { DAY, type Instant, quarterHourOf } from "../metering/time.ts";
import { MOST_VALUES_A_DAY, ROLLED_NAMES, ROLLED_PLACES } from "../policy/rolled-up.ts";
import { SUMMED } from "./day-sums.ts";
import { DECISION_COLUMNS, ENTRY_COLUMNS, type PackedDecision, type Value } from "./packing.ts";
import type { BudgetAction } from "./store.ts";

const SET = SUMMED.map((name) => `${name} = ${name} + excluded.${name}`).join(", ");
const PLACES = SUMMED.map(() => "?").join(", ");
const ADD = `INSERT INTO rollups (bucket, dimension, value, ${SUMMED.join(", ")}) VALUES (?, ?, ?, ${PLACES})
  ON CONFLICT (bucket, dimension, value) DO UPDATE SET ${SET}`;
const ADD_TO_DAY = `INSERT INTO days (day, dimension, value, ${SUMMED.join(", ")}) VALUES (?, ?, ?, ${PLACES})
  ON CONFLICT (dimension, day, value) DO UPDATE SET ${SET}`;
/** What counters and alerts ask of the last hours alone. */
const WITHOUT_DAYS: ReadonlySet<string> = new Set(["series", "decision"]);

interface Sum {
  readonly bucket: number;
  readonly dimension: string;
  readonly value: string;
  requests: number;
  images: number;
  elapsed: number;
  amount: bigint;
  inputTokens: number;
  outputTokens: number;
  /** Of `elapsed`, what is a request's own time: what a limit in seconds counts. */
  busy: number;
  /** Of `amount`, what is container money: what `include_idle: false` leaves out. */
  container: bigint;
}

type Counted = Omit<Sum, "bucket" | "dimension" | "value">;

const ONE_REQUEST: Counted = {
  ...{ requests: 1, images: 0, elapsed: 0, amount: 0n },
  ...{ inputTokens: 0, outputTokens: 0, busy: 0, container: 0n },
};

export class RollupWriter {
  readonly #write: StatementSync;
  readonly #writeDay: StatementSync;
  readonly #known: StatementSync;
  readonly #sums = new Map<string, Sum>();
  #day = -1;
  readonly #named = new Map<string, Set<string>>();

  constructor(database: DatabaseSync) {
    this.#write = database.prepare(ADD);
    this.#writeDay = database.prepare(ADD_TO_DAY);
    this.#known = database.prepare("SELECT value FROM days WHERE dimension = ? AND day = ?");
  }

  /** `row` in the order of ENTRY_COLUMNS. */
  count(row: readonly Value[]): void {
    const kind = row[AT.kind];
    if (kind === "reserved" || kind === "extended") return;
    const bucket = quarterHourOf(Number(row[AT.at]) as Instant);
    const isLast = row[AT.is_last] === 1;
    if (kind === "released") {
      if (isLast) this.#ended(bucket, textOf(row[AT.model]), "unsent");
      return;
    }
    const images = Number(row[AT.images]);
    const elapsed = Number(row[AT.elapsed]);
    const amount = BigInt(row[AT.amount] ?? 0);
    const isOfRequests = row[AT.request] !== null || (kind === "adjusted" && row[AT.machine] === null);
    const counted: Counted = {
      ...{ requests: isLast ? 1 : 0, images, elapsed, amount },
      inputTokens: Number(row[AT.input_tokens]),
      outputTokens: Number(row[AT.output_tokens]),
      busy: kind === "settled" ? elapsed : 0,
      container: isOfRequests ? 0n : amount,
    };
    this.#add(bucket, "total", "", counted);
    // Where nobody said, "" has the money: the rows of a dimension add up to the total.
    for (const scope of ROLLED_PLACES) this.#add(bucket, scope, textOf(row[AT[scope]]), counted);
    for (const scope of ROLLED_NAMES) {
      const value = textOf(row[AT[scope]]);
      this.#add(bucket, scope, value === "" ? "" : this.#capped(bucket, scope, value), counted);
    }
    // A series is of one kind: it says already what these two tell apart.
    this.#add(bucket, "series", seriesOf(row), { ...counted, busy: 0, container: 0n });
  }

  /** Decisions leave no entry when nothing is held; their counts go on over restarts all the same. */
  decided({ row, bucket, actions }: PackedDecision): void {
    this.acted(bucket, actions);
    const outcome = row[OUTCOME];
    if (typeof outcome === "string") this.#ended(bucket, textOf(row[MODEL]), outcome);
  }

  acted(bucket: number, actions: readonly BudgetAction[]): void {
    for (const { action, budget } of actions) {
      this.#add(bucket, "decision", JSON.stringify([action, budget]), ONE_REQUEST);
    }
  }

  flush(): void {
    for (const { bucket, dimension, value, ...sum } of this.#sums.values()) {
      const { requests, images, elapsed, amount, inputTokens, outputTokens, busy, container } = sum;
      const counted = [requests, images, elapsed, amount, inputTokens, outputTokens, busy, container];
      this.#write.run(bucket, dimension, value, ...counted);
      if (!WITHOUT_DAYS.has(dimension)) this.#writeDay.run(dayOf(bucket), dimension, value, ...counted);
    }
    this.#sums.clear();
  }

  /** Of a transaction that was rolled back: also which names it had seen. */
  forget(): void {
    this.#sums.clear();
    this.#day = -1;
  }

  /** Of a request that reached no upstream: a counter counts it, no sum does. */
  #ended(bucket: number, model: string, outcome: string): void {
    this.#add(bucket, "series", JSON.stringify([model, "", "", "decided", outcome, 0]), ONE_REQUEST);
  }

  #add(bucket: number, dimension: string, value: string, counted: Counted): void {
    const key = `${bucket}|${dimension}|${value}`;
    const sum = this.#sums.get(key);
    if (sum === undefined) this.#sums.set(key, { bucket, dimension, value, ...counted });
    else {
      sum.requests += counted.requests;
      sum.images += counted.images;
      sum.elapsed += counted.elapsed;
      sum.amount += counted.amount;
      sum.inputTokens += counted.inputTokens;
      sum.outputTokens += counted.outputTokens;
      sum.busy += counted.busy;
      sum.container += counted.container;
    }
  }

  #capped(bucket: number, dimension: string, value: string): string {
    const day = dayOf(bucket);
    if (day !== this.#day) {
      this.#day = day;
      this.#named.clear();
    }
    const named = this.#named.get(dimension) ?? this.#namedOn(day, dimension);
    if (named.has(value)) return value;
    if (named.size >= MOST_VALUES_A_DAY) return "other";
    named.add(value);
    return value;
  }

  #namedOn(day: number, dimension: string): Set<string> {
    const written = this.#known.all(dimension, day).map((row) => String(row.value));
    const unwritten = [...this.#sums.values()].filter((sum) => sum.dimension === dimension);
    const named = new Set([...written, ...unwritten.map(({ value }) => value)]);
    this.#named.set(dimension, named);
    return named;
  }
}

const AT = Object.fromEntries(ENTRY_COLUMNS.map((name, at) => [name, at])) as Record<
  (typeof ENTRY_COLUMNS)[number],
  number
>;
const MODEL = DECISION_COLUMNS.indexOf("model");
const OUTCOME = DECISION_COLUMNS.indexOf("outcome");

function dayOf(bucket: number): number {
  return bucket - (bucket % DAY);
}

function textOf(value: Value | undefined): string {
  return typeof value === "string" ? value : "";
}

/** What the counters of /metrics are restored from: model, provider, upstream, kind, outcome, success. */
function seriesOf(row: readonly Value[]): string {
  const of = (name: keyof typeof AT) => textOf(row[AT[name]]);
  const isMade = Number(row[AT.images]) > 0 ? 1 : 0;
  return JSON.stringify([of("model"), of("provider"), of("upstream"), of("kind"), of("outcome"), isMade]);
}
