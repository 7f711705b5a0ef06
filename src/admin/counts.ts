// What has been counted since the ledger began: plain sums that cost next to nothing to add to. How they are
// written for Prometheus is exposition.ts's affair.

import { add, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import type { DurationUs } from "../metering/time.ts";
import type { Outcome } from "../policy/admission.ts";
import type { Action } from "../policy/policy.ts";
import { ALERT_EVENTS, type AlertEvent } from "../policy/settings.ts";

/** What money was for. Requests have "request"; the others are a container's own. */
export const COST_KINDS = ["request", "startup", "idle", "minimum", "gap", "adjustment"] as const;
export type CostKind = (typeof COST_KINDS)[number];

/** All values come from the policy file, never from a client. */
export interface SeriesLabels {
  readonly model: string;
  readonly provider: string;
  readonly upstream: string;
}

/** Everything that is counted for one model on one upstream. */
export interface Series {
  readonly labels: SeriesLabels;
  readonly outcomes: Map<Outcome, number>;
  readonly costs: Map<CostKind, NanoUsd>;
  /** For how long a container was up, paid for and unused, in microseconds. */
  idle: number;
  readonly tokens: { input: number; output: number };
  readonly duration: Distribution;
}

/** The origin's generation metrics: pictures and answers made, without what was refused before it began. */
export interface Generations {
  /** By model. */
  readonly succeeded: Map<string, number>;
  readonly failed: Map<string, number>;
  readonly latency: Distribution;
  cost: NanoUsd;
  images: number;
}

export interface DecisionCount {
  readonly action: Action;
  readonly budget: string;
  count: number;
}

export interface Counts {
  readonly series: Map<string, Series>;
  readonly decisions: Map<string, DecisionCount>;
  readonly overhead: Distribution;
  readonly commit: Distribution;
  readonly generations: Generations;
  ledgerErrors: number;
  unmetered: number;
  cutLabels: number;
  readonly alerts: AlertCounts;
}

export interface AlertCounts {
  /** By event, since the ledger began. */
  readonly raised: Map<AlertEvent, number>;
  /** Since the gateway started. */
  readonly deliveries: Map<"delivered" | "failed", number>;
  undelivered: number;
}

/** A policy that is rewritten for months must not fill the memory: further combinations count as "other". */
const MAX_SERIES = 5_000;
const OTHER = { model: "other", provider: "other", upstream: "other" };

const second = (count: number) => Math.round(count * 1_000_000);
const WORK_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 20, 30, 45, 60, 120, 300, 600, 1800].map(second);
const QUICK_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1].map(
  second,
);
/** The origin's own buckets. */
const GENERATION_BOUNDS = [2, 4, 8, 12, 20, 30, 45, 60, 120, 300].map(second);

/** How often something took how long, in whole microseconds, so that the sum is exact. */
export class Distribution {
  /** Upper bounds in microseconds, ascending. */
  readonly bounds: readonly number[];
  /** One more than bounds: what is above the last. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(elapsed: DurationUs): void {
    let place = 0;
    while (place < this.bounds.length && elapsed > (this.bounds[place] ?? 0)) place += 1;
    this.counts[place] = (this.counts[place] ?? 0) + 1;
    this.sum += elapsed;
    this.count += 1;
  }
}

export function noCounts(): Counts {
  return {
    series: new Map(),
    decisions: new Map(),
    overhead: new Distribution(QUICK_BOUNDS),
    commit: new Distribution(QUICK_BOUNDS),
    generations: {
      succeeded: new Map(),
      failed: new Map(),
      latency: new Distribution(GENERATION_BOUNDS),
      cost: ZERO_USD,
      images: 0,
    },
    ledgerErrors: 0,
    unmetered: 0,
    cutLabels: 0,
    // From 0, so that the first of each is an increase.
    alerts: {
      raised: new Map(ALERT_EVENTS.map((event) => [event, 0])),
      deliveries: new Map([
        ["delivered", 0],
        ["failed", 0],
      ]),
      undelivered: 0,
    },
  };
}

export function seriesOf(counts: Counts, labels: SeriesLabels): Series {
  const key = `${labels.model}\n${labels.provider}\n${labels.upstream}`;
  const known = counts.series.get(key);
  if (known !== undefined) return known;
  if (counts.series.size >= MAX_SERIES && labels !== OTHER) return seriesOf(counts, OTHER);
  const made: Series = {
    labels,
    outcomes: new Map(),
    costs: new Map(),
    idle: 0,
    tokens: { input: 0, output: 0 },
    duration: new Distribution(WORK_BOUNDS),
  };
  counts.series.set(key, made);
  return made;
}

/** Outcomes of requests of which no byte was sent: they are no generation, good or bad. */
const UNSENT: ReadonlySet<Outcome> = new Set(["refused", "no_upstream", "unsent"]);

export function isGeneration(outcome: Outcome): boolean {
  return !UNSENT.has(outcome);
}

export function countDecision({ decisions }: Counts, action: Action, budget: string, count: number): void {
  const key = `${action}\n${budget}`;
  const known = decisions.get(key);
  if (known === undefined) decisions.set(key, { action, budget, count });
  else known.count += count;
}

export function addCount<K>(to: Map<K, number>, key: K, count: number): void {
  to.set(key, (to.get(key) ?? 0) + count);
}

export function addCost(series: Series, kind: CostKind, amount: NanoUsd): void {
  series.costs.set(kind, add(series.costs.get(kind) ?? ZERO_USD, amount));
}
