// The switch that stops all spending: whether it is on, who turned it and when, and how to turn it.

import { z } from "zod";
import { closed, instant } from "./scalars.ts";

export const SpendingState = z
  .object({
    stopped: z.boolean().describe("true: work that would cost money is refused, free work is served."),
    stopped_by: z.string().nullable().describe("Whose token stopped it; null while spending goes on."),
    stopped_at: instant.nullable(),
  })
  .meta({ id: "SpendingState" });
export type SpendingState = z.infer<typeof SpendingState>;

export const SpendingTurn = z
  .object({
    at: instant,
    by: z.string(),
    stopped: z.boolean().describe("false: spending was resumed."),
    cut: z.boolean().describe("Whether paid work that ran was ended as well."),
    containers: z.boolean().describe("Whether machines were to be turned off as well."),
  })
  .meta({ id: "SpendingTurn" });
export type SpendingTurn = z.infer<typeof SpendingTurn>;

export const SpendingHistory = SpendingState.extend({
  turns: z.array(SpendingTurn).describe("The last ones, newest first, as the ledger keeps them."),
}).meta({ id: "SpendingHistory" });
export type SpendingHistory = z.infer<typeof SpendingHistory>;

export const SpendingChange = closed({
  stopped: z.boolean().describe("true stops all spending, false resumes it."),
  cut: z.boolean().default(false).describe("Also end the paid work that runs; the time used is charged."),
  containers: z.boolean().default(false).describe("Also turn off the machines that cost money."),
})
  .refine(({ stopped, cut, containers }) => stopped || !(cut || containers), {
    error: "cut and containers go with stopped: true only",
  })
  .meta({ id: "SpendingChange" });
export type SpendingChange = z.input<typeof SpendingChange>;

export const SpendingChanged = SpendingState.extend({
  cut_requests: z.array(z.string()).describe("Requests that were told to end: each is charged its time."),
  stopped_machines: z.array(z.string()).describe("Machines that are being turned off."),
}).meta({ id: "SpendingChanged" });
export type SpendingChanged = z.infer<typeof SpendingChanged>;
