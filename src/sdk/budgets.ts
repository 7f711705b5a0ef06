// One budget explained: how it stands, where its money went, why it is over its limit where it is, and what
// would pass now.

import { z } from "zod";
import { count, instant, quantity, usd } from "./scalars.ts";
import { sums } from "./spend.ts";
import { BudgetDefinition, BudgetStatus } from "./status.ts";
import { UNITS } from "./vocabulary.ts";

/** What can take a budget over its limit, because nothing can refuse it. */
export const CAUSES = [
  "idle",
  "startup",
  "minimum",
  "gap",
  "adjustment",
  "limit_lowered",
  "reload",
  "finish_overrun",
  "late_count",
  "not_enforced",
] as const;

const SpentRow = z
  .object({ value: z.string().describe('"" where nobody said.'), ...sums })
  .meta({ id: "SpentRow" });
export type SpentRow = z.infer<typeof SpentRow>;

export const BudgetCause = z
  .object({
    cause: z.enum(CAUSES),
    at_most: quantity.describe("The most that it can have added."),
    count: count.describe("Of entries, requests or changes."),
    at: instant.nullable().describe("When, where it was one moment."),
  })
  .meta({ id: "BudgetCause" });
export type BudgetCause = z.infer<typeof BudgetCause>;

export const BudgetAccount = z
  .object({
    value: z.string().nullable().describe("Of a budget per user: the user whose balance this is."),
    unit: z.enum(UNITS).describe("Of what it counts: the amounts of requests, over and causes."),
    by_model: z.array(SpentRow),
    by_user: z.array(SpentRow),
    by_upstream: z.array(SpentRow),
    requests: z
      .array(
        z.object({ id: z.string(), at: instant, user: z.string(), upstream: z.string(), amount: quantity }),
      )
      .describe("Those that took most of it in its period."),
    idle_discount: quantity.describe(
      "What unused containers would have cost more at their machines' price; below 0 where idle is dearer.",
    ),
    over: quantity.describe("How far settled and held are over the limit; 0 where they are not."),
    container_overdraft: quantity.describe(
      "Of over, the most that containers can have added beside requests: no overrun holds it back.",
    ),
    causes: z.array(BudgetCause).describe("Where it is over: what cannot be refused and can have done it."),
  })
  .meta({ id: "BudgetAccount" });
export type BudgetAccount = z.infer<typeof BudgetAccount>;

export const BudgetPassing = z
  .object({
    model: z.string(),
    upstream: z.string(),
    estimate_usd: usd,
    unit: z.enum(UNITS),
    needed: quantity.describe("What one request there asks of this budget."),
    fits: z.boolean().describe("Whether this budget has it."),
    chosen: z.boolean().describe("Whether all budgets and the mode would choose it now."),
    decision: z.string().describe("What would be decided of a request for the model."),
  })
  .meta({ id: "BudgetPassing" });
export type BudgetPassing = z.infer<typeof BudgetPassing>;

const byHand = { by: z.string(), reason: z.string() };

export const BudgetAdjustment = z
  .object({
    at: instant,
    value: z.string().nullable().describe("Of a budget per user: the user whose balance it is."),
    unit: z.enum(UNITS),
    amount: quantity.describe("Below 0: that much of what was settled counts no more for this budget."),
    ...byHand,
  })
  .meta({ id: "BudgetAdjustment" });
export type BudgetAdjustment = z.infer<typeof BudgetAdjustment>;

export const BudgetEdited = z
  .object({
    at: instant,
    what: z.enum(["set", "create", "remove"]),
    keys: z.string().describe('Keys and values as they were said, in JSON; "" where it was removed.'),
    ...byHand,
  })
  .meta({ id: "BudgetEdited" });
export type BudgetEdited = z.infer<typeof BudgetEdited>;

export const BudgetRaise = z
  .object({
    ...{ id: z.string(), unit: z.enum(UNITS), amount: quantity, from: instant },
    until: instant.describe("When it ends, or has ended."),
    in_force: z.boolean(),
    ...byHand,
  })
  .meta({ id: "BudgetRaise" });
export type BudgetRaise = z.infer<typeof BudgetRaise>;

export const BudgetAllocation = z
  .object({
    ...{ id: z.string(), at: instant, amount_usd: usd },
    until: instant.describe("When it is given back, if nobody ends it before."),
    ...byHand,
  })
  .meta({ id: "BudgetAllocation" });
export type BudgetAllocation = z.infer<typeof BudgetAllocation>;

export const BudgetExplained = z
  .object({
    timezone: z.string(),
    budget: BudgetDefinition,
    balances: z.array(BudgetStatus),
    accounts: z.array(BudgetAccount).describe("Of a budget per user: those that are used most."),
    passing: z.array(BudgetPassing).describe("What would pass now, asked as whoever the budget is about."),
    adjustments: z.array(BudgetAdjustment).describe("Resets of this period, newest first."),
    edits: z.array(BudgetEdited).describe("Of its keys in the policy file, newest first."),
    raises: z.array(BudgetRaise).describe("In force, or ended in this period."),
    allocations: z.array(BudgetAllocation).describe("Set aside by hand, and part of what is held."),
  })
  .meta({ id: "BudgetExplained" });
export type BudgetExplained = z.infer<typeof BudgetExplained>;
