// Which entries a budget covers, as SQL: for questions about what was counted (spent.ts, verify.ts). What
// counts when a budget is made is fold.ts's own; these check and explain it.

import type { SQLInputValue } from "node:sqlite";
import { SCOPE_COLUMNS } from "./sqlite-schema.ts";

/** How one entry counts, by unit. */
export const COUNTED: Readonly<Record<string, string>> = {
  usd: "amount",
  requests: "is_last",
  images: "images",
  seconds: "CASE kind WHEN 'settled' THEN elapsed ELSE 0 END",
  tokens: "input_tokens + output_tokens",
};

export interface Covering {
  readonly when: readonly (readonly [scope: string, values: readonly string[]])[];
  readonly per: string | undefined;
  /** Container money does not count. */
  readonly requestsOnly: boolean;
}

export interface Where {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

const CHARGED = "kind IN ('settled', 'startup', 'idle', 'minimum', 'gap', 'adjusted')";
/** What a container's own money knows; a balance per anything else never receives it. */
const OF_CONTAINERS: readonly string[] = ["provider", "upstream", "machine", "gpu_tier"];

export function coveredBy({ when, per, requestsOnly }: Covering): Where {
  const where = [CHARGED];
  const values: SQLInputValue[] = [];
  const isOfRequests = per !== undefined && !OF_CONTAINERS.includes(per);
  if (requestsOnly || isOfRequests)
    where.push("(request IS NOT NULL OR (kind = 'adjusted' AND machine IS NULL))");
  for (const [scope, allowed] of when) {
    where.push(`${SCOPE_COLUMNS[scope]} IN (SELECT value FROM json_each(?))`);
    values.push(JSON.stringify(allowed));
  }
  return { sql: where.join(" AND "), values };
}

/** The value of `per` of an entry; "" where there is none. */
export function valueSql(per: string | undefined): string {
  if (per === undefined) return "''";
  if (per === "session") return "json_array(user, session)";
  return `ifnull(${SCOPE_COLUMNS[per]}, 'unknown')`;
}
