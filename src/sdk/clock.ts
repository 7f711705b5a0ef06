// Ledger time beside the wall clock, and whether a jump of that is still in doubt.

import { z } from "zod";
import { closed, durationUs, instant } from "./scalars.ts";

export const ClockState = z
  .object({
    ledger_at: instant.describe("What budgets and entries go by."),
    wall_at: instant.describe("What the machine says."),
    in_doubt: z.boolean().describe("The machine's clock is far ahead, and not believed yet."),
    doubted_for_us: durationUs.nullable().describe("For how long it has stood there; null without a doubt."),
    believed_in_us: durationUs.nullable().describe("Until it is believed by itself, if it stands."),
    accepted: z.boolean().describe("It is believed, and adopted once no request is metered."),
  })
  .meta({ id: "ClockState" });
export type ClockState = z.infer<typeof ClockState>;

export const ClockAccept = closed({ accept: z.literal(true) }).meta({ id: "ClockAccept" });
