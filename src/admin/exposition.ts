// The counts and the state of the house as Prometheus text. Everything is made anew at each scrape, with a
// registry of its own; money and time are divided here, once, from exact integers.

import { Registry } from "prom-client";
import type { PriceSource } from "../metering/price.ts";
import { between, type Instant, instantUs, SECOND } from "../metering/time.ts";
import { writeBudgets } from "./budget-gauges.ts";
import { writeContainers } from "./container-gauges.ts";
import type { Counts } from "./counts.ts";
import { dollars } from "./dollars.ts";
import type { House } from "./house.ts";
import { type Page, pageOf, type Sample } from "./page.ts";

/** What a scrape reads from the house. */
export type Readings = Pick<
  House,
  "status" | "policy" | "estimateErrors" | "stopped" | "containers" | "leaseImbalance"
>;

export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

export function exposition(counts: Counts, readings: Readings): Promise<string> {
  const registry = new Registry();
  const page = pageOf(registry);
  writeRequests(page, counts);
  writeTokens(page, counts);
  writeEstimates(page, readings);
  writeGenerations(page, counts);
  writeBudgets(page, counts, readings);
  writeContainers(page, counts, readings);
  writeAlerts(page, counts);
  writePolicy(page, readings);
  writeHouse(page, counts, readings);
  return registry.metrics();
}

const alone = (value: number): readonly Sample[] => [{ labels: {}, value }];

function writeRequests(page: Page, { series, overhead }: Counts): void {
  const all = [...series.values()];
  page.counter(
    "budgetguard_requests_total",
    "Requests that ended, by model, upstream and how they ended (relayed, failed, aborted, truncated, cut, " +
      "refused, no_upstream, unsent, unknown). upstream is none where none was chosen.",
    all.flatMap(({ labels, outcomes }) =>
      [...outcomes].map(([outcome, value]) => ({ labels: { ...labels, outcome }, value })),
    ),
  );
  page.histogram(
    "budgetguard_request_duration_seconds",
    "Time from a request's arrival at the gateway to the last byte of its reply, since the gateway started.",
    all
      .filter(({ duration }) => duration.count > 0)
      .map(({ labels, duration }) => ({ labels: { ...labels }, distribution: duration })),
  );
  page.histogram(
    "budgetguard_overhead_seconds",
    "The part of a request's time that the gateway itself took: deciding, holding money, relaying. " +
      "Since the gateway started.",
    [{ labels: {}, distribution: overhead }],
  );
  page.counter(
    "budgetguard_cost_usd_total",
    "Money spent in US dollars, exact to the nano-dollar, by model, upstream and what it was for: " +
      "kind=request is work, the others are containers' own. Corrections downwards are in the ledger only: " +
      "a counter cannot fall.",
    all.flatMap(({ labels, costs }) =>
      [...costs].map(([kind, amount]) => ({ labels: { ...labels, kind }, value: dollars(amount) })),
    ),
  );
}

function writeTokens(page: Page, { series }: Counts): void {
  const all = [...series.values()].filter(({ labels }) => labels.upstream !== "none");
  page.counter(
    "budgetguard_tokens_total",
    "Tokens of prompts (kind=input) and answers (kind=output), as the usage in LLMs' replies counts them; " +
      "what none is told of counts as it was held.",
    all.flatMap(({ labels, tokens }) =>
      (["input", "output"] as const).map((kind) => ({ labels: { ...labels, kind }, value: tokens[kind] })),
    ),
  );
}

function writeEstimates(page: Page, readings: Readings): void {
  page.gauge(
    "budgetguard_estimate_error_ratio",
    "How far expected times were off, as a share of the time that requests took, over the newest requests " +
      "of the last 7 days: 0.25 is off by a quarter. Absent for models of which no request has ended well.",
    [...readings.estimateErrors()].map(([model, value]) => ({ labels: { model }, value })),
  );
}

function writeGenerations(page: Page, { generations }: Counts): void {
  const { succeeded, failed, latency, cost, images } = generations;
  const byModel = (counts: ReadonlyMap<string, number>, status: string) =>
    [...counts].map(([model, value]) => ({ labels: { status, model }, value }));
  page.counter(
    "generation_total",
    "Generations by status (succeeded, failed) and model; requests refused before they were sent are none.",
    [...byModel(succeeded, "succeeded"), ...byModel(failed, "failed")],
  );
  page.histogram(
    "generation_latency_seconds",
    "Time of generations that succeeded, since the gateway started.",
    [{ labels: {}, distribution: latency }],
  );
  page.counter(
    "generation_cost_usd_total",
    "What all generations have cost in US dollars.",
    alone(dollars(cost)),
  );
  page.gauge(
    "generation_cost_usd_per_image",
    "What all generations have cost in US dollars, divided by the pictures made; absent before the first.",
    images === 0 ? [] : alone(dollars(cost) / images),
  );
}

function writeAlerts(page: Page, { alerts }: Counts): void {
  page.counter(
    "budgetguard_alerts_total",
    "Alerts that were raised, by event; each budget and threshold once in its period.",
    [...alerts.raised].map(([event, value]) => ({ labels: { event }, value })),
  );
  page.counter(
    "budgetguard_alert_deliveries_total",
    "Alerts told to a webhook (outcome=delivered) or given up (failed), since the gateway started.",
    [...alerts.deliveries].map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  page.gauge(
    "budgetguard_alerts_undelivered",
    "Alerts that webhooks are still to be told, one for each webhook.",
    alone(alerts.undelivered),
  );
}

function writePolicy(page: Page, readings: Readings): void {
  const { policy, loadedAt, problems } = readings.policy();
  page.gauge(
    "budgetguard_policy_valid",
    "1 if the policy file on disk is in force; 0 if it has problems and the last good one stays in force.",
    alone(problems.length === 0 ? 1 : 0),
  );
  page.gauge(
    "budgetguard_policy_loaded_timestamp_seconds",
    "When the policy in force was loaded, in Unix seconds.",
    alone(unixSeconds(loadedAt)),
  );
  const { at } = readings.status();
  const ages = [...policy.upstreams.values()].flatMap(({ id, price }) => {
    const from = listedAt(price.source);
    const age = from === undefined ? [] : [Math.max(0, between(from, at))];
    return age.map((us) => ({ labels: { upstream: id }, value: us / SECOND }));
  });
  page.gauge(
    "budgetguard_price_age_seconds",
    "How old the list price is that an upstream is charged by; absent for prices that the policy states.",
    ages,
  );
}

/** The start of the day (UTC) that a list price is of; undefined where the policy or nobody states a day. */
function listedAt(source: PriceSource): Instant | undefined {
  if (source.kind !== "rate_card" && source.kind !== "live") return undefined;
  const day = Date.parse(source.asOf);
  return Number.isNaN(day) ? undefined : instantUs(day * 1000);
}

function writeHouse(page: Page, counts: Counts, readings: Readings): void {
  const { commit, ledgerErrors, unmetered, cutLabels } = counts;
  const { inFlight, waiting, upstreams, version } = readings.status();
  page.gauge(
    "budgetguard_inflight_requests",
    "Requests under way, those that wait included.",
    alone(inFlight),
  );
  page.gauge(
    "budgetguard_spending_stopped",
    "1 while all spending is stopped and paid work is refused, else 0.",
    alone(readings.stopped() === undefined ? 0 : 1),
  );
  page.gauge("budgetguard_waiting_requests", "Requests that wait for a slot of an upstream.", alone(waiting));
  page.gauge(
    "budgetguard_upstream_ejected",
    "1 while the upstream is left out because it failed several times in a row, else 0.",
    upstreams.map(({ id, state }) => ({ labels: { upstream: id }, value: state === "ejected" ? 1 : 0 })),
  );
  page.histogram(
    "budgetguard_ledger_commit_seconds",
    "How long the ledger took to make a group of entries durable, since the gateway started.",
    [{ labels: {}, distribution: commit }],
  );
  page.counter(
    "budgetguard_ledger_errors_total",
    "Writes to the ledger that failed since the gateway started.",
    alone(ledgerErrors),
  );
  page.counter(
    "budgetguard_unmetered_requests_total",
    "Requests relayed on paths that are passed through without being metered, since the gateway started.",
    alone(unmetered),
  );
  page.counter(
    "budgetguard_cut_labels_total",
    "Label values of clients that were longer than 128 characters and cut, since the gateway started.",
    alone(cutLabels),
  );
  const build = { version, node: process.versions.node };
  page.gauge("budgetguard_build_info", "Always 1; its labels say which version runs on which Node.", [
    { labels: build, value: 1 },
  ]);
}

function unixSeconds(at: Instant): number {
  return at / SECOND;
}
