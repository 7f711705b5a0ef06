// Models: what clients ask for, and which upstreams may serve it.

import type { z } from "zod";
import { DAY } from "../../metering/time.ts";
import { count, usd } from "./amounts.ts";
import { list, mapping } from "./collections.ts";
import { duration } from "./measures.ts";
import { id } from "./words.ts";

export const model = mapping({
  port: count(1, 65_535)
    .optional()
    .describe("Loopback port on which the gateway is this model's NIM: what a ComfyUI node is pointed at."),
  upstreams: list(id()).describe("Who may serve it; among equals the first wins."),
  manual: id().optional().describe("The upstream that serves it in mode: manual. Default: the first."),
  estimate: duration("positive", [], DAY)
    .optional()
    .describe("How long one request takes, until that is learned; at most 24h."),
  fallback_model: id()
    .optional()
    .describe("A model of the same API that on_limit: degrade may go to when nothing else fits."),
  max_usd_per_request: usd()
    .optional()
    .describe(
      "Refused is what would be held at more: short for a per_task budget with on_limit: block. " +
        "Work that runs longer than expected may cost more.",
    ),
});
export type ModelEntry = z.output<typeof model>;
