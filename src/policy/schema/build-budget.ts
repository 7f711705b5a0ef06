// Budgets of the policy, from their sound entries. Defaults are filled here.

import { type Quantity, quantityOf, type Unit } from "../../metering/quantity.ts";
import type { DurationUs } from "../../metering/time.ts";
import { HOUR, SECOND } from "../../metering/time.ts";
import type { Budget } from "../policy.ts";
import type { BudgetEntry } from "./budget.ts";
import { requestBudgetId } from "./check-names.ts";
import type { PolicyFile } from "./policy-file.ts";

type Defaults = PolicyFile["defaults"];

export function buildBudgets(file: PolicyFile): readonly Budget[] {
  const written = file.budgets.map((entry) => build(entry, file.defaults));
  const perRequest = [...file.models].flatMap(([id, model]) => {
    if (model.max_usd_per_request === undefined) return [];
    const entry: BudgetEntry = {
      id: requestBudgetId(id),
      description: `models.${id}.max_usd_per_request`,
      when: new Map([["model", [id]]]),
      limit_usd: model.max_usd_per_request,
      period: "per_task",
      on_limit: "block",
      otherwise: undefined,
    };
    return [build(entry, file.defaults)];
  });
  return [...written, ...perRequest];
}

const DEFAULT_WARN_AT = 0.75;
const DEFAULT_CRITICAL_AT = 0.9;
const DAY_LONG = (24 * HOUR) as DurationUs;

function build(entry: BudgetEntry, defaults: Defaults): Budget {
  const warnAt = entry.warn_at ?? Math.min(defaults?.warn_at ?? DEFAULT_WARN_AT, entry.critical_at ?? 1);
  return {
    id: entry.id,
    description: entry.description ?? "",
    when: entry.when ?? new Map(),
    per: entry.per,
    limits: limitsOf(entry),
    period: entry.period ?? defaults?.period ?? "daily",
    resetDay: entry.reset_day ?? 1,
    onLimit: entry.on_limit ?? defaults?.on_limit ?? "warn",
    then: entry.otherwise ?? "block",
    maxWait: entry.max_wait ?? DAY_LONG,
    warnAt,
    criticalAt: entry.critical_at ?? Math.max(defaults?.critical_at ?? DEFAULT_CRITICAL_AT, warnAt),
    priority: entry.priority ?? 5,
    overrun: entry.overrun ?? "finish",
    includeIdle: entry.include_idle ?? true,
    stopIdle: entry.stop_idle ?? false,
    shadow: entry.shadow ?? false,
    enabled: entry.enabled ?? true,
    from: entry.from,
    until: entry.until,
  };
}

function limitsOf(entry: BudgetEntry): ReadonlyMap<Unit, Quantity> {
  const limits = new Map<Unit, Quantity>();
  if (entry.limit_usd !== undefined) limits.set("usd", entry.limit_usd);
  if (entry.limit_requests !== undefined) limits.set("requests", quantityOf(entry.limit_requests));
  if (entry.limit_images !== undefined) limits.set("images", quantityOf(entry.limit_images));
  if (entry.limit_seconds !== undefined)
    limits.set("seconds", quantityOf(entry.limit_seconds * BigInt(SECOND)));
  if (entry.limit_tokens !== undefined) limits.set("tokens", quantityOf(entry.limit_tokens));
  return limits;
}
