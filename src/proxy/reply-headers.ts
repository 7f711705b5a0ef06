// The X-BudgetGuard-* headers of a reply: who served it, for how much, and what the budgets had to say.

import { formatUsd } from "../metering/money.ts";
import { type DurationUs, SECOND } from "../metering/time.ts";
import type { Reservation } from "../policy/admission.ts";
import type { Forward } from "../policy/decision.ts";
import { degradedText } from "../policy/degrade.ts";
import type { AddedHeaders } from "./headers.ts";

export function replyHeaders(
  held: Pick<Reservation, "task">,
  { quote, warnings, degraded }: Forward,
  waited: DurationUs,
): AddedHeaders {
  const headers: [string, string][] = [
    ["X-BudgetGuard-Request", held.task.id],
    ["X-BudgetGuard-Upstream", quote.upstream.id],
    ["X-BudgetGuard-Provider", quote.upstream.provider],
    ["X-BudgetGuard-Estimate-USD", formatUsd(quote.amount)],
  ];
  if (warnings.length > 0)
    headers.push(["X-BudgetGuard-Warning", warnings.map(({ text }) => text).join("; ")]);
  if (degraded !== undefined)
    headers.push(["X-BudgetGuard-Degraded", `${degradedText(degraded)}, for budget ${degraded.budget}`]);
  if (waited > 0) headers.push(["X-BudgetGuard-Waited-Seconds", (waited / SECOND).toFixed(3)]);
  return headers;
}
