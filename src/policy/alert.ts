// Something that an operator is told once: what it is about, how bad it is, and in which words. It knows
// neither who is told nor how; every room may make one.

import type { Period } from "../metering/period.ts";
import type { Unit } from "../metering/quantity.ts";
import type { AlertEvent } from "./settings.ts";

export const SEVERITIES = ["warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What an alert's subject is the name of. */
export const TOPICS = ["budget", "rule", "spend", "container", "policy", "price", "ledger"] as const;
export type Topic = (typeof TOPICS)[number];

export interface Alert {
  readonly event: AlertEvent;
  readonly severity: Severity;
  readonly topic: Topic;
  /** A budget's id, a rule's key, an upstream's id. */
  readonly subject: string;
  /** Of a budget per user or the like: whose balance it is. Clients may have chosen it. */
  readonly value: string | undefined;
  /** Which of a budget's limits; undefined where it is about no budget. */
  readonly unit: Unit | undefined;
  /** In which it is told once. */
  readonly period: Period;
  /** What `period` is shown in. */
  readonly timezone: string;
  /** One sentence, without an end mark. */
  readonly text: string;
  /** What to do about it, where there is something to say. */
  readonly advice: string | undefined;
  /** Exact figures by name, the unit last: limit_usd, measured_percent. */
  readonly figures: Readonly<Record<string, string>>;
}

/** The same for two alerts of which only the first is told. */
export function onceKey({ event, topic, subject, value, unit, period }: Identity): string {
  return JSON.stringify([event, topic, subject, value ?? null, unit ?? null, period.start, period.end]);
}

type Identity = Pick<Alert, "event" | "topic" | "subject" | "value" | "unit" | "period">;
