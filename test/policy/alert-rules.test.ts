// The rules of `alerts`, and what is an odd hour.

import test from "ava";
import { nanoUsd } from "../../src/metering/money.ts";
import { periodOf } from "../../src/metering/period.ts";
import { DAY, HOUR, type Instant, instantUs, later } from "../../src/metering/time.ts";
import { LEAST_SAMPLES, ruleAlerts, type SpendHistory } from "../../src/policy/alert-rules.ts";
import { LEAST_HOURS } from "../../src/policy/anomaly.ts";
import type { Alerts } from "../../src/policy/settings.ts";
import { randomOf } from "../support/busy-ledger.ts";
import { TEN, usd } from "../support/policies.ts";

const NO_RULES = { maxPerImage: undefined, minSuccessPercent: undefined, projectedMonth: undefined };

interface Given {
  readonly rules?: Partial<Alerts["rules"]>;
  readonly day?: Partial<SpendHistory["day"]>;
  readonly at?: Instant;
  readonly spent?: string;
  readonly hours?: SpendHistory["hours"];
}

function alertsOf({ rules = {}, day = {}, at = TEN, spent = "0", hours = [] }: Given) {
  const history: SpendHistory = {
    at,
    timezone: "UTC",
    day: {
      period: periodOf("daily", "UTC", 1, at),
      ...{ images: 0, imageMoney: usd("0"), succeeded: 0, failed: 0, ...day },
    },
    month: { period: periodOf("monthly", "UTC", 1, at), spent: usd(spent) },
    hours,
  };
  return ruleAlerts({ ...NO_RULES, ...rules }, history);
}

const subjects = (given: Given) => alertsOf(given).map(({ subject }) => subject);

test("C19: an image that costs a nano-dollar more than the rule on average is told, with the advice", (t) => {
  const rules = { maxPerImage: usd("0.002") };
  t.deepEqual(subjects({ rules, day: { images: 10, imageMoney: usd("0.02") } }), []);
  const [alert] = alertsOf({ rules, day: { images: 10, imageMoney: usd("0.020000001") } });
  t.like(alert, {
    subject: "max_usd_per_image",
    advice: "try fewer steps, a smaller GPU or shorter prompts",
  });
  t.deepEqual(subjects({ rules, day: { images: LEAST_SAMPLES - 1, imageMoney: usd("9") } }), []);
});

test("one failure too many is told, a rate that is met exactly is not", (t) => {
  const rules = { minSuccessPercent: 95 };
  t.deepEqual(subjects({ rules, day: { succeeded: 95, failed: 5 } }), []);
  const [alert] = alertsOf({ rules, day: { succeeded: 94, failed: 6 } });
  t.is(alert?.text, "94.0 % of today's 100 requests succeeded, fewer than the 95 % of the rule");
  t.deepEqual(subjects({ rules, day: { succeeded: 0, failed: LEAST_SAMPLES - 1 } }), []);
});

test("the month's forecast goes by its real days", (t) => {
  const rules = { projectedMonth: usd("50") };
  const on = (day: string, spent: string) => {
    const at = instantUs(Date.parse(`${day}T12:00:00Z`) * 1000);
    return alertsOf({ rules, at, spent })[0]?.figures.projected_usd;
  };
  t.is(on("2026-11-15", "25.00"), undefined, "30 days: exactly 50");
  t.is(on("2026-11-15", "25.01"), "50.02");
  t.is(on("2026-12-15", "25.00"), "51.666666666", "31 days");
  t.is(on("2026-02-14", "25.00"), undefined, "28 days: exactly 50");
  t.is(on("2028-02-14", "25.00"), "51.785714285", "29 days");
  t.is(on("2026-12-01", "1.61"), undefined);
  t.is(on("2026-12-01", "1.62"), "50.22");
});

function hoursOf(amounts: readonly string[], last: string) {
  const now = TEN as number;
  const start = now - (now % HOUR);
  const before = amounts.map((amount, index) => ({
    start: (start - (index + 2) * HOUR) as Instant,
    amount: usd(amount),
  }));
  return [...before, { start: start as Instant, amount: usd(last) }];
}

test("an hour far dearer than usual is told; a dear one among varied hours is not", (t) => {
  const usual = Array.from({ length: 48 }, (_, index) => `${1 + (index % 5) / 10}`);
  t.deepEqual(subjects({ hours: hoursOf(usual, "1.60") }), []);
  const [alert] = alertsOf({ hours: hoursOf(usual, "9.00") });
  t.like(alert, { event: "anomaly", subject: "hourly", figures: { spent_usd: "9.00", usual_usd: "1.20" } });
  const wild = Array.from({ length: 48 }, (_, index) => `${1 + (index % 9)}`);
  t.deepEqual(subjects({ hours: hoursOf(wild, "9.00") }), []);
});

test("a few wild hours of the past do not blunt it", (t) => {
  const usual = Array.from({ length: 48 }, (_, index) =>
    index % 16 === 0 ? "90" : `${1 + (index % 5) / 10}`,
  );
  t.is(subjects({ hours: hoursOf(usual, "9.00") }).length, 1);
});

test("with too little history, or hours that all cost the same, a cent more is no anomaly", (t) => {
  const few = Array.from({ length: LEAST_HOURS - 1 }, () => "1.00");
  t.deepEqual(subjects({ hours: hoursOf(few, "100.00") }), []);
  const same = Array.from({ length: LEAST_HOURS }, () => "1.00");
  t.deepEqual(subjects({ hours: hoursOf(same, "1.01") }), []);
  t.is(subjects({ hours: hoursOf(same, "3.00") }).length, 1);
});

test("idle nights are not what working hours are compared with", (t) => {
  const nights = Array.from({ length: 200 }, () => "0");
  const work = Array.from({ length: 30 }, () => "1.00");
  t.deepEqual(subjects({ hours: hoursOf([...nights, ...work], "1.10") }), []);
});

test("hours that vary by chance are next to never odd", (t) => {
  const random = randomOf(11);
  let odd = 0;
  for (let day = 0; day < 300; day += 1) {
    const hour = () => (1 + random() + random() + random()).toFixed(3);
    odd += alertsOf({ hours: hoursOf(Array.from({ length: 100 }, hour), hour()) }).length;
  }
  t.true(odd <= 3, `${odd} of 300`);
});

test("a rule is told once in its period: the month's next day says the same thing", (t) => {
  const rules = { projectedMonth: usd("1") };
  const [today] = alertsOf({ rules, spent: "40" });
  const [tomorrow] = alertsOf({ rules, spent: "41", at: later(TEN, DAY) });
  t.deepEqual(today?.period, tomorrow?.period);
  t.is(nanoUsd(0n), usd("0"));
});
