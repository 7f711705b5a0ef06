// What is in force right now: readiness, mode, balances of budgets, upstreams. Nothing here is history.

import { z } from "zod";
import { ClockState } from "./clock.ts";
import { CredentialsStatus } from "./credentials.ts";
import { closed, count, durationUs, instant, quantity } from "./scalars.ts";
import { SpendingState } from "./spending.ts";
import { ACTIONS, MODES, PERIODS, UNITS } from "./vocabulary.ts";

export const LEVELS = ["ok", "warning", "critical", "spent"] as const;

export const BudgetStatus = z
  .object({
    id: z.string(),
    description: z.string(),
    per: z
      .string()
      .nullable()
      .describe("What the budget is counted per, if it is: user, workflow and so on."),
    value: z.string().nullable().describe("Of a budget per user: the user whose balance this is."),
    action: z.enum(ACTIONS).describe("What happens at the limit."),
    period: z.enum(PERIODS),
    starts_at: instant.nullable(),
    resets_at: instant.nullable().describe("null where the period never turns."),
    unit: z.enum(UNITS).describe("What it counts, and what the four numbers are of."),
    limit: quantity,
    settled: quantity.describe("What work that has ended has taken in this period."),
    held: quantity.describe("What is set aside for work under way."),
    remaining: quantity.describe(
      "limit - settled - held; negative when something that cannot be refused went past it.",
    ),
    level: z.enum(LEVELS),
    missed_before: instant
      .nullable()
      .describe(
        "Entries of before then were gone when the budget was new, and it misses some; null: it has all.",
      ),
    enforcing: z.boolean().describe("Whether it can refuse work."),
    shadow: z.boolean(),
  })
  .meta({ id: "BudgetStatus" });
export type BudgetStatus = z.infer<typeof BudgetStatus>;

const words = z.array(z.string());

export const BudgetDefinition = z
  .object({
    id: z.string(),
    description: z.string(),
    per: z.string().nullable().describe("What it is counted per, if it is: user, workflow and so on."),
    when: z.record(z.string(), words).describe("What it covers: each key with the values that match."),
    action: z.enum(ACTIONS).describe("What happens at the limit."),
    period: z.enum(PERIODS),
    limits: z.array(z.object({ unit: z.enum(UNITS), limit: quantity })).describe("At least one."),
    enabled: z.boolean(),
    shadow: z.boolean(),
    enforcing: z.boolean().describe("Whether it can refuse work."),
  })
  .meta({ id: "BudgetDefinition" });
export type BudgetDefinition = z.infer<typeof BudgetDefinition>;

export const UPSTREAM_STATES = ["unknown", "up", "ejected"] as const;

export const UpstreamStatus = z
  .object({
    id: z.string(),
    provider: z.string(),
    models: z.array(z.string()),
    price: z.string().describe("The price and where the figure comes from."),
    state: z
      .enum(UPSTREAM_STATES)
      .describe("ejected: it failed several times in a row and is left out; unknown: not heard of yet."),
    in_flight: count.describe("Requests that run there."),
    concurrency: count.nullable().describe("How many may; null where there is no bound."),
    waiting: count.describe("Requests that wait for it."),
    ejected_until: instant
      .nullable()
      .describe("When it is tried again; null where it is not ejected, or is being tried."),
    hindrance: z
      .string()
      .nullable()
      .describe('Why it cannot take a request now, going on from "it is"; null where it can.'),
  })
  .meta({ id: "UpstreamStatus" });
export type UpstreamStatus = z.infer<typeof UpstreamStatus>;

export const ModeState = z
  .object({
    mode: z.enum(MODES).describe("The mode in force."),
    policy_mode: z
      .enum(MODES)
      .describe("The mode of the policy file; a switch wins until the file's mode changes."),
    switched_at: instant.nullable().describe("When it was switched; null while the file's mode is in force."),
  })
  .meta({ id: "ModeState" });
export type ModeState = z.infer<typeof ModeState>;

export const ModeChange = closed({ mode: z.enum(MODES) }).meta({ id: "ModeChange" });
export type ModeChange = z.infer<typeof ModeChange>;

export const Status = z
  .object({
    version: z.string(),
    at: instant,
    started_at: instant,
    ready: z.boolean(),
    not_ready_because: z.string().nullable(),
    mode: ModeState,
    spending: SpendingState,
    clock: ClockState,
    credentials: CredentialsStatus,
    policy: z.object({
      path: z.string(),
      digest: z.string().describe("SHA-256 of the policy in force, hex."),
      timezone: z.string().describe("What budgets turn in: an IANA name."),
      loaded_at: instant,
      valid: z
        .boolean()
        .describe("false: the file on disk has problems and the last good policy stays in force."),
      problems: count,
      folding: z
        .boolean()
        .describe("A new one's balances are being counted; this one's limits stay in force until then."),
    }),
    listeners: z.array(
      z.object({
        address: z.string(),
        scheme: z.enum(["http", "https"]),
        model: z.string().nullable().describe("null: the gateway's own address."),
      }),
    ),
    in_flight: count.describe("Requests under way."),
    waiting: count.describe("Of those, how many wait for a slot of an upstream or for money."),
    budgets: z.array(BudgetStatus).describe("Balances: of a budget per user one for each user."),
    budget_definitions: z
      .array(BudgetDefinition)
      .describe("Every budget of the policy, whether anything is counted of it yet or not."),
    upstreams: z.array(UpstreamStatus),
  })
  .meta({ id: "Status" });
export type Status = z.infer<typeof Status>;

export const Health = z
  .object({ status: z.literal("ok"), version: z.string(), uptime_us: durationUs })
  .meta({ id: "Health" });
export type Health = z.infer<typeof Health>;

export const Readiness = z
  .object({ ready: z.boolean(), why: z.string().nullable().describe("What is missing; null when ready.") })
  .meta({ id: "Readiness" });
export type Readiness = z.infer<typeof Readiness>;
