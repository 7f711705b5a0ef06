// Client tokens: made here, shown once, kept only as a digest.

import { z } from "zod";
import { closed, instant } from "./scalars.ts";
import { ROLES } from "./vocabulary.ts";

export const TokenRequest = closed({
  id: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9._-]{0,39}$/,
      "must have 1 to 40 of a-z, 0-9 and . _ -, and begin with a letter or digit",
    ),
  role: z.enum(ROLES).default("use"),
}).meta({ id: "TokenRequest" });
export type TokenRequest = z.input<typeof TokenRequest>;

export const TokenCreated = z
  .object({
    id: z.string(),
    role: z.enum(ROLES),
    token: z.string().describe("Shown this once; the gateway keeps its SHA-256."),
    created_at: instant,
  })
  .meta({ id: "TokenCreated" });
export type TokenCreated = z.infer<typeof TokenCreated>;
