// Counts what happens, for Prometheus. Counting is a few additions, because it stands in every request's way;
// everything else waits until somebody scrapes.

import { add, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import type { DurationUs } from "../metering/time.ts";
import type { Outcome } from "../policy/admission.ts";
import type { Action } from "../policy/policy.ts";
import type { AlertEvent } from "../policy/settings.ts";
import {
  addCost,
  addCount,
  type CostKind,
  countDecision,
  isGeneration,
  noCounts,
  type SeriesLabels,
  seriesOf,
} from "./counts.ts";
import { EXPOSITION_TYPE, exposition, type Readings } from "./exposition.ts";
import { prime } from "./priming.ts";

/** One request that has ended, however it ended. */
export interface Observation extends Ended {
  /** From its arrival to its last byte. */
  readonly duration: DurationUs;
  /** The part of it that was the gateway's own; undefined where nothing was sent. */
  readonly overhead: DurationUs | undefined;
}

/** An entry of the ledger, once it is durable. */
export interface Posted extends SeriesLabels {
  readonly kind: CostKind;
  readonly amount: NanoUsd;
  readonly elapsed: DurationUs;
}

interface Ended {
  readonly model: string;
  /** undefined: no upstream was chosen. */
  readonly provider: string | undefined;
  readonly upstream: string | undefined;
  readonly outcome: Outcome;
  /** Relayed whole, with a 2xx. */
  readonly succeeded: boolean;
  /** Pictures that it made: 0 unless it succeeded. */
  readonly images: number;
  /** Of an LLM's prompt and answer, where its reply told them. */
  readonly tokens: { readonly input: number; readonly output: number };
}

/** What the ledger remembers at start, so that counters go on where they stopped. */
export interface Remembered {
  readonly requests: readonly (Ended & { readonly count: number })[];
  readonly posted: readonly Posted[];
  readonly decisions: readonly { readonly action: Action; readonly budget: string; readonly count: number }[];
}

export class Metrics {
  readonly contentType = EXPOSITION_TYPE;
  readonly #counts = noCounts();

  observe(event: Observation): void {
    this.#count(event, 1);
    seriesOf(this.#counts, labelsOf(event)).duration.observe(event.duration);
    if (event.overhead !== undefined) this.#counts.overhead.observe(event.overhead);
    if (event.succeeded) this.#counts.generations.latency.observe(event.duration);
  }

  /** Each entry that charges something, once. Amounts < 0 correct the ledger, not these counters. */
  posted({ kind, amount, elapsed, ...labels }: Posted): void {
    if (amount < 0n) return;
    const series = seriesOf(this.#counts, labels);
    addCost(series, kind, amount);
    if (kind === "idle") series.idle += elapsed;
    const { generations } = this.#counts;
    if (kind === "request") generations.cost = add(generations.cost, amount);
  }

  /** A budget's action took effect: it warned, refused and so on. */
  decision(action: Action, budget: string, count = 1): void {
    countDecision(this.#counts, action, budget, count);
  }

  commit(elapsed: DurationUs): void {
    this.#counts.commit.observe(elapsed);
  }

  ledgerError(): void {
    this.#counts.ledgerErrors += 1;
  }

  unmetered(): void {
    this.#counts.unmetered += 1;
  }

  alert(event: AlertEvent, count = 1): void {
    addCount(this.#counts.alerts.raised, event, count);
  }

  /** What became of telling a webhook of one. */
  delivery(ended: "delivered" | "failed"): void {
    addCount(this.#counts.alerts.deliveries, ended, 1);
  }

  /** Alerts that wait to be delivered, one for each webhook. */
  undelivered(count: number): void {
    this.#counts.alerts.undelivered = count;
  }

  /** Label values of one request that were too long. */
  cutLabels(count: number): void {
    this.#counts.cutLabels += count;
  }

  /** Called once, before the first request. */
  restore({ requests, posted, decisions }: Remembered): void {
    for (const row of requests) this.#count(row, row.count);
    for (const row of posted) this.posted(row);
    for (const row of decisions) this.decision(row.action, row.budget, row.count);
  }

  render(readings: Readings): Promise<string> {
    prime(this.#counts, readings.policy().policy);
    return exposition(this.#counts, readings);
  }

  #count(event: Ended, count: number): void {
    const series = seriesOf(this.#counts, labelsOf(event));
    addCount(series.outcomes, event.outcome, count);
    addCost(series, "request", ZERO_USD);
    series.tokens.input += event.tokens.input;
    series.tokens.output += event.tokens.output;
    const { generations } = this.#counts;
    generations.images += event.images;
    if (event.succeeded) addCount(generations.succeeded, series.labels.model, count);
    else if (isGeneration(event.outcome)) addCount(generations.failed, series.labels.model, count);
  }
}

function labelsOf({
  model,
  provider = "none",
  upstream = "none",
}: Pick<Ended, "model" | "provider" | "upstream">) {
  return { model, provider, upstream };
}
