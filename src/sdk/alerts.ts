// What an operator was told once: budgets at a threshold, rules that are broken, an odd hour. Who was told,
// and who has seen to it.

import { z } from "zod";
import { closed, filter, instant } from "./scalars.ts";
import { ALERT_EVENTS, ALERT_SEVERITIES, ALERT_TOPICS, UNITS } from "./vocabulary.ts";

const LONGEST_PAGE = 100;

export const AlertsQuery = closed({
  limit: z.coerce.number().int().min(1).max(LONGEST_PAGE).default(20),
  before: filter.optional().describe("The `next` of the page before: only older alerts follow."),
  event: z.enum(ALERT_EVENTS).optional(),
  severity: z.enum(ALERT_SEVERITIES).optional(),
  topic: z.enum(ALERT_TOPICS).optional(),
  subject: filter.optional().describe("A budget's id, a rule's key, an upstream's id."),
  acknowledged: z.enum(["true", "false"]).optional(),
});
export type AlertsQuery = Omit<z.input<typeof AlertsQuery>, "limit"> & { limit?: number };

export const Alert = z
  .object({
    id: z.string(),
    at: instant,
    event: z.enum(ALERT_EVENTS),
    severity: z.enum(ALERT_SEVERITIES),
    topic: z.enum(ALERT_TOPICS).describe("What `subject` is the name of."),
    subject: z.string(),
    value: z.string().nullable().describe("Of a budget per user or the like: whose balance it is."),
    unit: z.enum(UNITS).nullable().describe("Which of a budget's limits."),
    text: z.string(),
    advice: z.string().nullable().describe("What to do about it."),
    figures: z.record(z.string(), z.string()).describe("Exact decimals by name, the unit last: limit_usd."),
    period: z
      .object({
        starts_at: instant.nullable(),
        ends_at: instant.nullable().describe("null: it never turns."),
        timezone: z.string(),
      })
      .describe("In which it is told once."),
    deliveries: z
      .array(z.object({ webhook: z.string(), state: z.enum(["pending", "delivered", "failed"]) }))
      .describe("By where a webhook's address is read from; the address is secret."),
    acknowledged: z.object({ at: instant, by: z.string() }).nullable(),
  })
  .meta({ id: "Alert" });
export type Alert = z.infer<typeof Alert>;

export const AlertPage = z
  .object({
    items: z.array(Alert),
    next: z.string().nullable().describe("Pass it as `before` for the next page; null on the last."),
  })
  .meta({ id: "AlertPage" });
export type AlertPage = z.infer<typeof AlertPage>;

export const AlertAcknowledge = closed({}).meta({ id: "AlertAcknowledge" });
