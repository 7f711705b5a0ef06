// The machines that bill: what runs on each, since when each lease is charged, and what it has cost.

import { z } from "zod";
import { CONTAINER_STATES, MACHINE_STATES } from "./containers.ts";
import { instant } from "./scalars.ts";

export const MachineLease = z
  .object({
    id: z.string().describe("What its provider calls it."),
    since: instant.describe("By its provider's clock."),
    cost_usd: z.string().describe("Requests, start-up, idle and gaps, up to the last second."),
    watched: z.boolean().describe("false: its provider has not said since a restart that it lives."),
  })
  .meta({ id: "MachineLease" });

export const Machine = z
  .object({
    name: z.string().describe("Of the policy's machines; else the upstream that is its own machine."),
    provider: z.string(),
    state: z.enum(MACHINE_STATES),
    price: z.string(),
    idle_usd_per_hour: z.string().describe("What it costs while up and unused."),
    idle_warning: z.string().nullable(),
    runs: z
      .array(z.object({ upstream: z.string(), state: z.enum(CONTAINER_STATES), in_flight: z.int() }))
      .describe("The containers on it, and the requests that run there."),
    needed_by: z.array(z.string()).describe("Who keeps it up."),
    leases: z.array(MachineLease).describe("What is charged now; several where it has several instances."),
  })
  .meta({ id: "Machine" });
export type Machine = z.infer<typeof Machine>;

export const MachineList = z.object({ items: z.array(Machine) }).meta({ id: "MachineList" });
export type MachineList = z.infer<typeof MachineList>;
