// A page of Prometheus text, written metric by metric through prom-client. It knows no metric's name.

import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { SECOND } from "../metering/time.ts";
import type { Distribution } from "./counts.ts";

export interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

export interface DistributionSample {
  readonly labels: Record<string, string>;
  readonly distribution: Distribution;
}

export type Page = ReturnType<typeof pageOf>;

/** Samples of one metric all have the same label names. */
export function pageOf(registry: Registry) {
  const registers = [registry];
  const namesOf = (samples: readonly { labels: Record<string, string> }[]) =>
    Object.keys(samples[0]?.labels ?? {});
  return {
    counter(name: string, help: string, samples: readonly Sample[]): void {
      const counter = new Counter({ name, help, labelNames: namesOf(samples), registers });
      // Without labels prom-client begins at 0; what has no sample is absent, not zero.
      if (samples.length === 0) counter.remove();
      for (const { labels, value } of samples) counter.inc(labels, value);
    },
    gauge(name: string, help: string, samples: readonly Sample[]): void {
      const gauge = new Gauge({ name, help, labelNames: namesOf(samples), registers });
      if (samples.length === 0) gauge.remove();
      for (const { labels, value } of samples) gauge.set(labels, value);
    },
    histogram(name: string, help: string, samples: readonly DistributionSample[]): void {
      new Counted(name, help, samples, registers);
    },
  };
}

/** prom-client's histogram can only be observed into; this one shows counts that were made elsewhere. */
class Counted extends Histogram<string> {
  readonly #shown: { readonly name: string; readonly help: string };
  readonly #samples: readonly DistributionSample[];

  constructor(name: string, help: string, samples: readonly DistributionSample[], registers: Registry[]) {
    super({ name, help, registers });
    this.#shown = { name, help };
    this.#samples = samples;
  }

  /** What the registry asks for. */
  async getForPromString() {
    const { name, help } = this.#shown;
    return {
      name,
      help,
      type: "histogram",
      aggregator: "sum",
      values: this.#samples.flatMap((one) => lines(name, one)),
    };
  }
}

function lines(name: string, { labels, distribution }: DistributionSample) {
  const { bounds, counts, sum, count } = distribution;
  let below = 0;
  const buckets = bounds.map((bound, place) => {
    below += counts[place] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: String(bound / SECOND) }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
    { metricName: `${name}_sum`, labels, value: sum / SECOND },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
