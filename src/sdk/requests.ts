// Requests that were made: the list, newest first, and one of them with everything that led to its decision.

import { z } from "zod";
import { Explanation } from "./decision.ts";
import { closed, durationUs, filter, instant, quantity, usd } from "./scalars.ts";
import { OUTCOMES, UNITS } from "./vocabulary.ts";

/** How a request ended, or that it has not. */
export const REQUEST_STATES = ["running", ...OUTCOMES] as const;

export const LONGEST_PAGE = 100;

export const RequestsQuery = closed({
  limit: z.coerce.number().int().min(1).max(LONGEST_PAGE).default(20),
  before: filter.optional().describe("The `next` of the page before: only older requests follow."),
  model: filter.optional(),
  upstream: filter.optional(),
  provider: filter.optional(),
  user: filter.optional(),
  workflow: filter.optional(),
  outcome: z.enum(REQUEST_STATES).optional(),
});
export type RequestsQuery = Omit<z.input<typeof RequestsQuery>, "limit"> & { limit?: number };

const labels = z.object({
  user: z.string(),
  workflow: z.string().nullable(),
  session: z.string().nullable(),
  task: z.string().nullable(),
  node: z.string().nullable(),
  project: z.string().nullable(),
  tag: z.string().nullable(),
});

const summary = {
  id: z.string(),
  client_request_id: z.string().nullable(),
  at: instant,
  ended_at: instant.nullable(),
  model: z.string(),
  upstream: z.string().nullable(),
  provider: z.string().nullable(),
  labels,
  outcome: z.enum(REQUEST_STATES),
  status: z.int().nullable().describe("What the upstream answered, if it did."),
  estimate_usd: usd.nullable(),
  hold_usd: usd.nullable(),
  charged_usd: usd.nullable().describe("What it cost; null while it runs."),
  elapsed_us: durationUs.nullable(),
};

export const RequestSummary = z.object(summary).meta({ id: "RequestSummary" });
export type RequestSummary = z.infer<typeof RequestSummary>;

export const RequestPage = z
  .object({
    items: z.array(RequestSummary),
    next: z.string().nullable().describe("Pass it as `before` for the next page; null on the last."),
  })
  .meta({ id: "RequestPage" });
export type RequestPage = z.infer<typeof RequestPage>;

export const BudgetAfter = z
  .object({
    budget: z.string(),
    unit: z.enum(UNITS),
    limit: quantity,
    settled: quantity,
    held: quantity,
    remaining: quantity,
    cut: z
      .boolean()
      .describe("Whether it ended the request: it had no money for more time, and its overrun is cut."),
  })
  .meta({ id: "BudgetAfter" });

export const RequestDetail = z
  .object({
    ...summary,
    timezone: z.string().describe("Of the policy in force: what its budgets turn in."),
    explanation: Explanation,
    waiting: z
      .union([
        z.object({
          position: z.int().describe("From 1, among those that wait for the same money or slots."),
          waited_us: durationUs,
        }),
        z.null(),
      ])
      .describe(
        "Where it stands now; null where it does not wait. What it waits for is the explanation's rule.",
      ),
    budgets_after: z.array(BudgetAfter).describe("Covering budgets once it ended; empty while it runs."),
  })
  .meta({ id: "RequestDetail" });
export type RequestDetail = z.infer<typeof RequestDetail>;

export const Cancelled = z.object({ id: z.string(), cancelled: z.literal(true) }).meta({ id: "Cancelled" });
export type Cancelled = z.infer<typeof Cancelled>;
