// Containers that the gateway watches: what they are doing, since when they cost, and the orders to them.

import { z } from "zod";
import { instant } from "./scalars.ts";

export const CONTAINER_STATES = [
  "unknown",
  "off",
  "starting",
  "ready",
  "draining",
  "stopping",
  "failed",
] as const;

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
    seen_at: instant.nullable().describe("When its provider last answered; null: never."),
    why: z.string().nullable().describe("Why it failed, or why nothing newer is known."),
  })
  .meta({ id: "ContainerStatus" });
export type ContainerStatus = z.infer<typeof ContainerStatus>;

export const ContainerList = z.object({ items: z.array(ContainerStatus) }).meta({ id: "ContainerList" });
export type ContainerList = z.infer<typeof ContainerList>;
