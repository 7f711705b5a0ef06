// The schema by which editors complete and check policy.yaml, made of the one that reads it. It refuses
// nothing that the parser accepts; the parser refuses more.

import { z } from "zod";
import { policyFile } from "./policy-file.ts";

interface Json {
  description?: string;
  type?: string | string[];
  default?: unknown;
  properties?: Record<string, Json>;
  additionalProperties?: boolean | Json;
  items?: Json;
}

/** Draft 7, the one that YAML editors read best. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...rest } = z.toJSONSchema(policyFile, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
  });
  const title = "BudgetGuard Gateway policy";
  const whole = { $schema, title, ...rest, required: ["version"] };
  fillDefaults(whole as Json);
  // `budgets:` and nothing after it is an absent section.
  for (const section of Object.values((whole as Json).properties ?? {})) {
    if (section.type === "object" || section.type === "array") section.type = [section.type, "null"];
  }
  return whole;
}

/** From the descriptions, so that the two cannot say different things. */
function fillDefaults(schema: Json): void {
  const written = /\bDefault: (\S+)\.$/.exec(schema.description ?? "")?.[1];
  const value = written === undefined || written.startsWith("defaults.") ? undefined : plain(written);
  const isSingle = schema.type !== "object" && schema.type !== "array";
  if (value !== undefined && isSingle) schema.default = value;
  for (const inner of Object.values(schema.properties ?? {})) fillDefaults(inner);
  if (typeof schema.additionalProperties === "object") fillDefaults(schema.additionalProperties);
  if (schema.items) fillDefaults(schema.items);
}

function plain(written: string): unknown {
  if (written === "true" || written === "false") return written === "true";
  return /^\d+(\.\d+)?$/.test(written) ? Number(written) : written;
}
