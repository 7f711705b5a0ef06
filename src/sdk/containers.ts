// Containers that the gateway watches: what they are doing, since when they cost, and the orders to them.

import { z } from "zod";
import { durationUs, instant } from "./scalars.ts";

export const CONTAINER_STATES = [
  "unknown",
  "off",
  "starting",
  "ready",
  "draining",
  "stopping",
  "failed",
] as const;

export const MACHINE_STATES = ["unknown", "off", "starting", "ready", "stopping", "failed"] as const;

export const MachineStatus = z
  .object({
    name: z.string(),
    state: z.enum(MACHINE_STATES).describe("ready: a container on it has served."),
    instances: z
      .array(z.object({ id: z.string(), since: instant, stopping: z.boolean() }))
      .describe("What bills, each for itself, since its provider's own start."),
    wanted: z.int().nullable().describe("How many its provider is told to run; null: it has not answered."),
    needed_by: z.array(z.string()).describe("Who keeps it up: it is turned off only when nobody does."),
    seen_at: instant.nullable(),
    why: z.string().nullable().describe("Why it failed, or why nothing newer is known."),
    scaled_by_others: z.string().nullable().describe("Who else may change its size, and what to do."),
  })
  .meta({ id: "MachineStatus" });
export type MachineStatus = z.infer<typeof MachineStatus>;

export const ContainerStatus = z
  .object({
    upstream: z.string(),
    provider: z.string(),
    state: z
      .enum(CONTAINER_STATES)
      .describe("As its provider last said; unknown: it has not answered since the gateway started."),
    live_since: instant.nullable().describe("By its provider's clock: since when it costs; null while off."),
    url: z.string().nullable().describe("Where its provider says that it can be reached."),
    price: z.string(),
    idle_usd_per_hour: z.string().describe("What it costs while up and unused."),
    in_flight: z.int(),
    waiting: z.int().describe("Requests that wait: for it to start, for a slot of it, or for money."),
    start_up_us: durationUs.describe("How long a start takes, expected."),
    starts_seen: z.int().describe("Starts that was learned from; 0: it is the policy's startup_estimate."),
    busy_share: z
      .number()
      .nullable()
      .describe("How much of its time requests ran there, since it serves or since the gateway started."),
    idle_since: instant.nullable().describe("Since when it is up and nobody uses it; null: somebody does."),
    stops_at: instant.nullable().describe("When it is stopped if nobody comes (stop_after_idle)."),
    note: z.string().nullable().describe("What its idle time costs against starting it again."),
    seen_at: instant.nullable().describe("When its provider last answered; null: never."),
    why: z.string().nullable().describe("Why it failed, or why nothing newer is known."),
    idle_warning: z
      .string()
      .nullable()
      .describe("Where its idle price is below what the price list knows: by what factor."),
    machine: MachineStatus.nullable().describe(
      "What it runs on and bills with; null: it is its own machine.",
    ),
  })
  .meta({ id: "ContainerStatus" });
export type ContainerStatus = z.infer<typeof ContainerStatus>;

export const ContainerList = z.object({ items: z.array(ContainerStatus) }).meta({ id: "ContainerList" });
export type ContainerList = z.infer<typeof ContainerList>;
