// What a request would cost and whether budgets would let it through, without holding or sending anything.

import { z } from "zod";
import { Breach, Explanation } from "./decision.ts";
import { closed, filter } from "./scalars.ts";

const label = filter.optional();

/** As bounds of plausible work; the proxy itself never limits what a NIM is asked for. */
const pixels = z.int().min(1).max(65_536).optional();

export const EstimateRequest = closed({
  model: filter,
  width: pixels,
  height: pixels,
  steps: z.int().min(1).max(10_000).optional(),
  images: z.int().min(1).max(10_000).default(1),
  max_tokens: z.int().min(1).max(10_000_000).optional(),
  provider: label.describe("Only in manual mode."),
  gpu_tier: label.describe("Only in manual mode."),
  user: label,
  workflow: label,
  session: label,
  task: label,
  node: label,
  project: label,
  tag: label,
}).meta({ id: "EstimateRequest" });
export type EstimateRequest = z.input<typeof EstimateRequest>;

export const Estimate = z
  .object({
    model: z.string(),
    timezone: z.string().describe("Of the policy in force: what its budgets turn in."),
    decision: z
      .enum(["forward", "refuse", "no_upstream", "wait", "stopped"])
      .describe(
        "What would happen to it now; wait: every upstream that fits is at its limit; stopped: it would " +
          "cost money, and all spending is stopped.",
      ),
    reason: z.string().nullable().describe("Why there is no upstream, or what it would wait for."),
    warnings: z.array(z.object({ budget: z.string(), text: z.string() })),
    breach: z.union([Breach, z.null()]).describe("The budget that would refuse it."),
    explanation: Explanation,
  })
  .meta({ id: "Estimate" });
export type Estimate = z.infer<typeof Estimate>;
