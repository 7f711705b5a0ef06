// The policy in force, and the answer to "would this text be a good one".

import { z } from "zod";
import { closed, instant } from "./scalars.ts";

export const PolicyNote = z
  .object({
    line: z.int().describe("Counts from 1; 0 where the file as a whole is meant."),
    column: z.int(),
    path: z.string().describe("budgets[2].on_limit"),
    text: z.string().describe("What is wrong or surprising, and what is allowed."),
  })
  .meta({ id: "PolicyNote" });
export type PolicyNote = z.infer<typeof PolicyNote>;

export const PolicyInForce = z
  .object({
    path: z.string(),
    digest: z.string().describe("SHA-256 of the text, hex."),
    loaded_at: instant,
    text: z.string().describe("The YAML in force; the file on disk may be newer and have problems."),
    valid: z.boolean().describe("Whether the file on disk, as last read, is the policy in force."),
    problems: z.array(PolicyNote),
    notes: z.array(PolicyNote),
  })
  .meta({ id: "PolicyInForce" });
export type PolicyInForce = z.infer<typeof PolicyInForce>;

export const PolicyText = closed({ text: z.string() }).meta({ id: "PolicyText" });
export type PolicyText = z.infer<typeof PolicyText>;

export const PolicyCheck = z
  .object({ valid: z.boolean(), problems: z.array(PolicyNote), notes: z.array(PolicyNote) })
  .meta({ id: "PolicyCheck" });
export type PolicyCheck = z.infer<typeof PolicyCheck>;
