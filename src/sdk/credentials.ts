// Whether TechOps have installed credentials on this machine, and whether they can be true. The credentials
// themselves never leave the gateway's memory.

import { z } from "zod";
import { instant } from "./scalars.ts";
import { CREDENTIAL_OWNERS, CREDENTIAL_STATUSES } from "./vocabulary.ts";

/** valid: its cloud takes it; invalid: it refuses it; unknown: it could not be asked. */
const RESULTS = ["valid", "invalid", "unknown"] as const;
export type CredentialResult = (typeof RESULTS)[number];

export const CredentialsQuery = z.object({
  check: z
    .literal("live")
    .optional()
    .describe("Ask AWS, Azure and Google first whether they take them; each at most once a minute."),
});

export const CredentialsStatus = z
  .object({
    banner: z
      .object({ text: z.string(), level: z.enum(["green", "yellow"]) })
      .describe("The line that artists know from BudgetGuard's panel; green where one provider's are found."),
    file: z.string().nullable().describe("Where they are read from; null while the policy has no techops."),
    read_at: instant.nullable().describe("When the file was last read."),
    providers: z.array(
      z.object({
        provider: z.enum(CREDENTIAL_OWNERS),
        status: z
          .enum(CREDENTIAL_STATUSES)
          .describe("found: complete and plausible; invalid: they cannot be used; test: TechOps' test data."),
        why: z.string().nullable().describe("What is wrong and what to do."),
        checked: z
          .object({ at: instant, result: z.enum(RESULTS), why: z.string().nullable() })
          .nullable()
          .describe("What its cloud said of it, and when; null while nobody asked."),
      }),
    ),
    notes: z.array(z.string()).describe("What is odd about the file."),
  })
  .meta({ id: "CredentialsStatus" });
export type CredentialsStatus = z.infer<typeof CredentialsStatus>;
