// A budget explained.

import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { formatUsd } from "../metering/money.ts";
import type { Quantity } from "../metering/quantity.ts";
import { formatNumber } from "../metering/quantity-text.ts";
import { formatInstant } from "../metering/time.ts";
import * as sdk from "../sdk/budgets.ts";
import type { Adjusted, AllocationHeld, BudgetAccount, BudgetExplained, Passing } from "./budget-account.ts";
import { refuse } from "./problem.ts";
import { type Api, mayNeedToken, ok, problems, type Room, reads } from "./route.ts";
import { budgetWire, definitionWire, instantOrNull, sumsWire } from "./wire.ts";

export function addBudgetRoutes(api: Api, { house, safety }: Room): void {
  const one = createRoute({
    method: "get",
    path: "/api/v1/budgets/{id}",
    operationId: "explainBudget",
    tags: ["budgets"],
    security: mayNeedToken,
    summary: "How a budget stands, where its money went, and what would pass now",
    middleware: reads(safety, "everybody"),
    request: { params: z.object({ id: z.string().min(1).max(128) }) },
    responses: { 200: ok(sdk.BudgetExplained, "The budget, explained."), ...problems },
  });
  api.openapi(one, async (c) => {
    const { policy } = house.policy();
    const { id } = c.req.valid("param");
    const budget = policy.budgets.find((each) => each.id === id);
    if (budget === undefined) {
      const known = policy.budgets.map((each) => each.id).join(", ") || "none";
      return refuse(c, 404, { code: "not_found", detail: `no budget has this id; the policy has: ${known}` });
    }
    const { accounts, passing, adjustments, edits, raises, allocations } = await house.explainBudget(budget);
    const explained: sdk.BudgetExplained = {
      timezone: policy.timezone,
      budget: definitionWire(budget),
      balances: house
        .status()
        .budgets.filter((state) => state.budget.id === id)
        .map(budgetWire),
      accounts: accounts.map(accountWire),
      passing: passing.map(passingWire),
      adjustments: adjustments.map(adjustmentWire),
      edits: edits.map(({ at, what, keys, by, reason }) => ({
        at: formatInstant(at),
        what,
        keys,
        by,
        reason,
      })),
      raises: raises.map(raiseWire),
      allocations: allocations.map(allocationWire),
    };
    return c.json(explained, 200);
  });
}

function accountWire(account: BudgetAccount): sdk.BudgetAccount {
  const { value, unit, by, requests, idleDiscount, over, containerOverdraft, causes } = account;
  const written = (amount: Quantity) => formatNumber(unit, amount);
  const rows = (dimension: keyof typeof by) =>
    by[dimension].map((row) => ({ value: row.value, ...sumsWire(row) }));
  return {
    value: value ?? null,
    unit,
    by_model: rows("model"),
    by_user: rows("user"),
    by_upstream: rows("upstream"),
    requests: requests.map((each) => ({ ...each, at: formatInstant(each.at), amount: written(each.amount) })),
    idle_discount: written(idleDiscount),
    over: written(over),
    container_overdraft: written(containerOverdraft),
    causes: causes.map(({ kind, most, of, at }) => ({
      cause: kind,
      at_most: written(most),
      count: of,
      at: instantOrNull(at),
    })),
  };
}

function adjustmentWire({ at, value, unit, amount, by, reason }: Adjusted): sdk.BudgetAdjustment {
  const written = { at: formatInstant(at), amount: formatNumber(unit, amount) };
  return { ...written, value: value ?? null, unit, by, reason };
}

function raiseWire(raise: BudgetExplained["raises"][number]): sdk.BudgetRaise {
  const { id, unit, amount, from, until, isInForce, by, reason } = raise;
  const written = {
    amount: formatNumber(unit, amount),
    from: formatInstant(from),
    until: formatInstant(until),
  };
  return { id, unit, ...written, in_force: isInForce, by, reason };
}

function allocationWire({ id, at, until, amount, by, reason }: AllocationHeld): sdk.BudgetAllocation {
  const written = { at: formatInstant(at), until: formatInstant(until), amount_usd: formatUsd(amount) };
  return { id, ...written, by, reason };
}

function passingWire({ estimate, needed, isChosen, ...rest }: Passing): sdk.BudgetPassing {
  return {
    ...rest,
    estimate_usd: formatUsd(estimate),
    needed: formatNumber(rest.unit, needed),
    chosen: isChosen,
  };
}
