// What was spent in a period, by one dimension or filtered to one total.

import { z } from "zod";
import { closed, count, durationUs, filter, instant, usd } from "./scalars.ts";

/** The current period of each kind; "today" is "daily". */
export const SPEND_PERIODS = ["today", "hourly", "daily", "weekly", "monthly", "yearly"] as const;
export type SpendPeriod = (typeof SPEND_PERIODS)[number];

export const DIMENSIONS = ["total", "provider", "model", "user", "workflow", "upstream", "tag"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

const period = z.enum(SPEND_PERIODS).default("today");

export const SpendQuery = closed({ period, by: z.enum(DIMENSIONS).default("total") });
export type SpendQuery = z.input<typeof SpendQuery>;

export const UsageQuery = closed({
  period,
  provider: filter.optional(),
  model: filter.optional(),
  user: filter.optional(),
});
export type UsageQuery = z.input<typeof UsageQuery>;

export const sums = {
  requests: count,
  images: count,
  elapsed_us: durationUs.describe("Time that upstreams worked."),
  input_tokens: count.describe("Of prompts, where an LLM's reply told its usage."),
  output_tokens: count.describe("Of answers, where an LLM's reply told its usage."),
  amount_usd: usd,
};

const window = {
  period: z.enum(SPEND_PERIODS),
  starts_at: instant,
  ends_at: instant.describe("Not part of the period."),
  timezone: z.string(),
};

export const SpendRow = z
  .object({ value: z.string().describe('What the row is about: "alice"; "" where nobody said.'), ...sums })
  .meta({ id: "SpendRow" });
export type SpendRow = z.infer<typeof SpendRow>;

export const Spend = z
  .object({ ...window, by: z.enum(DIMENSIONS), total: z.object(sums), rows: z.array(SpendRow) })
  .meta({ id: "Spend" });
export type Spend = z.infer<typeof Spend>;

export const Usage = z
  .object({
    ...window,
    provider: z.string().nullable(),
    model: z.string().nullable(),
    user: z.string().nullable(),
    ...sums,
  })
  .meta({ id: "Usage" });
export type Usage = z.infer<typeof Usage>;
