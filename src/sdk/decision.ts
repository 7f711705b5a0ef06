// The explanation of a decision, as `requests/{id}` and `estimate` show it: who could have served, at what
// price and from which source, what each budget said, and which rule chose.

import { z } from "zod";
import { count, durationUs, instant, quantity, usd } from "./scalars.ts";
import { ACTIONS, MODES, UNITS } from "./vocabulary.ts";

export const BudgetBefore = z
  .object({
    budget: z.string(),
    action: z.enum(ACTIONS),
    unit: z.enum(UNITS).describe("What it counts, and what the four numbers are of."),
    limit: quantity,
    settled: quantity,
    held: quantity,
    needed: quantity.describe("What this request asks of the budget."),
    fits: z.boolean(),
    shadow: z.boolean(),
    resets_at: instant.nullable(),
  })
  .meta({ id: "BudgetBefore" });

export const CandidateQuote = z
  .object({
    upstream: z.string(),
    model: z.string().nullable().describe("The fallback model that it would serve; null for the one asked."),
    provider: z.string(),
    estimate_usd: usd,
    hold_usd: usd.describe("What is set aside before the request is sent."),
    rank_usd: usd.describe("What candidates are compared by."),
    start_up: z
      .object({ time_us: durationUs, usd, minimum_usd: usd })
      .nullable()
      .describe(
        "Of one to be started first: what that adds to the rank, and what its machine bills at least.",
      ),
    success: z
      .object({ requests: count, successes: count })
      .nullable()
      .describe("Where failures are frequent: the rank is divided by this share."),
    marginal_usd: usd
      .nullable()
      .describe("What the studio's own bill grows by if it runs there; null in records of earlier versions."),
    time_us: durationUs.describe("How long it is expected to take."),
    time_source: z
      .string()
      .nullable()
      .describe("Where that time comes from; null in records of earlier versions."),
    in_flight: count,
    price: z.string().describe("The price and where the figure comes from."),
    left_out: z
      .string()
      .nullable()
      .describe("Why it was not chosen; null for the chosen one and those ranked after it."),
    budgets: z.array(BudgetBefore),
  })
  .meta({ id: "CandidateQuote" });
export type CandidateQuote = z.infer<typeof CandidateQuote>;

export const Alternative = z
  .object({ upstream: z.string(), provider: z.string(), estimate_usd: usd })
  .meta({ id: "Alternative" });
export type Alternative = z.infer<typeof Alternative>;

const Place = z
  .object({ model: z.string(), upstream: z.string(), gpu_tier: z.string().nullable() })
  .meta({ id: "Place" });

export const Degraded = z
  .object({ budget: z.string().describe("Whose on_limit: degrade it was."), from: Place, to: Place })
  .meta({ id: "Degraded" });
export type Degraded = z.infer<typeof Degraded>;

export const Explanation = z
  .object({
    at: instant,
    mode: z.enum(MODES),
    policy_digest: z.string(),
    rule: z.string().describe("One sentence: the rule that fired."),
    chosen: z.string().nullable(),
    candidates: z.array(CandidateQuote).describe("In rank order, those that were left out last."),
    alternatives: z
      .array(Alternative)
      .describe("What budgets would have let through, whatever the mode says."),
    degraded: z.union([Degraded, z.null()]).describe("What a budget changed; null where none did."),
  })
  .meta({ id: "Explanation" });
export type Explanation = z.infer<typeof Explanation>;

export const Breach = z
  .object({
    budget: z.string(),
    action: z.enum(ACTIONS),
    unit: z.enum(UNITS),
    limit: quantity,
    settled: quantity,
    held: quantity,
    needed: quantity,
    resets_at: instant.nullable(),
    timezone: z.string(),
  })
  .meta({ id: "Breach" });
export type Breach = z.infer<typeof Breach>;
