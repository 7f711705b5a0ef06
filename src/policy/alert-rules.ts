// What is watched besides the budgets, from sums of the ledger: an image's price, how many requests succeed,
// where the month is heading, an hour that costs far more than usual. Each is told once in its period.

import { formatUsd, type NanoUsd, nanoUsd } from "../metering/money.ts";
import { daysBegun, formatLocal, type Period } from "../metering/period.ts";
import { HOUR, type Instant, later } from "../metering/time.ts";
import type { Alert } from "./alert.ts";
import { anomalyOf, type HourSpend } from "./anomaly.ts";
import type { Alerts } from "./settings.ts";

export interface SpendHistory {
  readonly at: Instant;
  readonly timezone: string;
  readonly day: DaySums;
  /** The calendar month, with all that it cost so far. */
  readonly month: { readonly period: Period; readonly spent: NanoUsd };
  /** UTC hours, the running one last; those without spend may be absent. */
  readonly hours: readonly HourSpend[];
}

export interface DaySums {
  readonly period: Period;
  readonly images: number;
  /** What requests to models that made images have cost, those that failed included. */
  readonly imageMoney: NanoUsd;
  readonly succeeded: number;
  /** That upstreams failed or answered with an error; not those that a client or a budget ended. */
  readonly failed: number;
}

/** Fewer requests or images than this make no average worth telling. */
export const LEAST_SAMPLES = 10;

export function ruleAlerts(rules: Alerts["rules"] | undefined, history: SpendHistory): readonly Alert[] {
  return [
    imagePrice(rules?.maxPerImage, history),
    successRate(rules?.minSuccessPercent, history),
    monthForecast(rules?.projectedMonth, history),
    ...hourlySpend(history),
  ].filter((alert) => alert !== undefined);
}

function imagePrice(most: NanoUsd | undefined, { day, timezone }: SpendHistory): Alert | undefined {
  const { images, imageMoney, period } = day;
  if (most === undefined || images < LEAST_SAMPLES || imageMoney <= most * BigInt(images)) return undefined;
  const average = formatUsd(nanoUsd(imageMoney / BigInt(images)));
  return {
    ...ofRule("max_usd_per_image", period, timezone),
    text: `images cost ${average} USD on average today, more than the ${formatUsd(most)} USD of the rule`,
    advice: "try fewer steps, a smaller GPU or shorter prompts",
    figures: { limit_usd: formatUsd(most), measured_usd: average, images: String(images) },
  };
}

function successRate(least: number | undefined, { day, timezone }: SpendHistory): Alert | undefined {
  const { succeeded, failed, period } = day;
  const all = succeeded + failed;
  if (least === undefined || all < LEAST_SAMPLES || succeeded * 100 >= least * all) return undefined;
  const percent = ((succeeded * 100) / all).toFixed(1);
  return {
    ...ofRule("min_success_percent", period, timezone),
    text: `${percent} % of today's ${all} requests succeeded, fewer than the ${least} % of the rule`,
    advice: "look at budgetguard status and at the log: which upstream fails, and with what",
    figures: { limit_percent: String(least), measured_percent: percent, requests: String(all) },
  };
}

/** Month to date x days of the month / days begun: real days, not 30. */
function monthForecast(most: NanoUsd | undefined, history: SpendHistory): Alert | undefined {
  const { month, timezone, at } = history;
  if (most === undefined) return undefined;
  const { begun, all } = daysBegun(month.period, timezone, at);
  const projected = nanoUsd((month.spent * BigInt(all)) / BigInt(begun));
  if (projected <= most) return undefined;
  const soFar = `${formatUsd(month.spent)} USD in ${begun} of ${all} days`;
  return {
    ...ofRule("projected_month_usd", month.period, timezone),
    text: `this month is heading for ${formatUsd(projected)} USD: the rule allows ${formatUsd(most)} USD`,
    advice: `so far it has cost ${soFar}: budgetguard usage monthly --by model says what for`,
    figures: {
      limit_usd: formatUsd(most),
      projected_usd: formatUsd(projected),
      spent_usd: formatUsd(month.spent),
    },
  };
}

/** The running hour too: it can only become dearer. */
function hourlySpend({ hours, at, timezone }: SpendHistory): readonly Alert[] {
  const first = at - (at % HOUR) - HOUR;
  return hours
    .filter(({ start }) => start >= first)
    .flatMap((hour): Alert[] => {
      const found = anomalyOf(hour, hours);
      if (found === undefined) return [];
      const spent = formatUsd(hour.amount);
      const usual = formatUsd(found.usual);
      const when = `the hour from ${formatLocal(hour.start, timezone)}`;
      return [
        {
          event: "anomaly",
          severity: "warning",
          topic: "spend",
          subject: "hourly",
          value: undefined,
          unit: undefined,
          period: { start: hour.start, end: later(hour.start, HOUR) },
          timezone,
          text: `${when} has cost ${spent} USD, and an hour with work usually costs ${usual} USD`,
          advice: "budgetguard usage --by user, or --by workflow, says what for",
          figures: {
            spent_usd: spent,
            usual_usd: usual,
            z_score: found.score.toFixed(1),
            compared_hours: String(found.hours),
          },
        },
      ];
    });
}

function ofRule(rule: string, period: Period, timezone: string) {
  return {
    event: "warning",
    severity: "warning",
    topic: "rule",
    subject: rule,
    value: undefined,
    unit: undefined,
    period,
    timezone,
  } as const;
}
