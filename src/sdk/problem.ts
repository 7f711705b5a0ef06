// The one shape of every error of the admin API: problem+json (RFC 9457) with a code for programs and a
// sentence for people that says what to do.

import { z } from "zod";

export const PROBLEM_CODES = [
  "bad_request",
  "invalid",
  "token_required",
  "unknown_token",
  "not_allowed",
  "foreign_origin",
  "unknown_host",
  "not_found",
  "method_not_allowed",
  "conflict",
  "too_large",
  "not_json",
  "ledger_unavailable",
  "credentials_missing",
  "internal",
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export const Problem = z
  .object({
    type: z.literal("about:blank"),
    title: z.string().describe("The status in words."),
    status: z.int().min(400).max(599),
    detail: z.string().describe("What is wrong and what to do, one sentence or two."),
    code: z.enum(PROBLEM_CODES),
    errors: z
      .array(z.object({ path: z.string(), text: z.string() }))
      .optional()
      .describe("One for each part of the request that is not right."),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof Problem>;
