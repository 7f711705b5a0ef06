// What was spent. A caller that may see only its own is answered with its own, whatever it asks for.

import { createRoute } from "@hono/zod-openapi";
import { formatInstant } from "../metering/time.ts";
import { Spend, SpendQuery, Usage, UsageQuery } from "../sdk/spend.ts";
import type { SpendAsked, SpendFound } from "./house.ts";
import { type Api, mayNeedToken, ok, problems, type Room, reads } from "./route.ts";
import { defined, sumsWire } from "./wire.ts";

export function addSpendRoutes(api: Api, { house, safety }: Room): void {
  const spend = createRoute({
    method: "get",
    path: "/api/v1/spend",
    operationId: "getSpend",
    tags: ["spend"],
    security: mayNeedToken,
    summary: "Spend of the current period, by one dimension",
    middleware: reads(safety, "each"),
    request: { query: SpendQuery },
    responses: { 200: ok(Spend, "The sums."), ...problems },
  });
  api.openapi(spend, async (c) => {
    const { period, by } = c.req.valid("query");
    const asked: SpendAsked = { period, by, where: defined({ user: c.var.admitted.onlyUser }) };
    const found = await house.spend(asked);
    const rows = found.rows.map((row) => ({ value: row.value, ...sumsWire(row) }));
    return c.json({ ...windowOf(asked, found), by, total: sumsWire(found.total), rows }, 200);
  });

  const usage = createRoute({
    method: "get",
    path: "/api/v1/usage",
    operationId: "getUsage",
    tags: ["spend"],
    security: mayNeedToken,
    summary: "One total of the current period, filtered",
    middleware: reads(safety, "each"),
    request: { query: UsageQuery },
    responses: { 200: ok(Usage, "The total."), ...problems },
  });
  api.openapi(usage, async (c) => {
    const { period, provider, model, user } = c.req.valid("query");
    const whose = c.var.admitted.onlyUser ?? user;
    const asked: SpendAsked = { period, by: "total", where: defined({ provider, model, user: whose }) };
    const found = await house.spend(asked);
    const filters = { provider: provider ?? null, model: model ?? null, user: whose ?? null };
    return c.json({ ...windowOf(asked, found), ...filters, ...sumsWire(found.total) }, 200);
  });
}

function windowOf(asked: SpendAsked, { period, timezone }: SpendFound) {
  const { start, end } = period;
  return { period: asked.period, starts_at: formatInstant(start), ends_at: formatInstant(end), timezone };
}
