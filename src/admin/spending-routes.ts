// The switch that stops all spending, and who turned it when.

import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import { formatInstant } from "../metering/time.ts";
import type { SpendingStop } from "../policy/spending.ts";
import { SpendingChange, SpendingChanged, SpendingHistory, type SpendingState } from "../sdk/spending.ts";
import { refuse } from "./problem.ts";
import {
  type Api,
  body,
  mayNeedToken,
  needsToken,
  ok,
  problems,
  type Room,
  reads,
  takesBody,
} from "./route.ts";

/** Enough to see who did what last; the ledger has them all. */
const TURNS = 20;

export function addSpendingRoutes(api: Api, { house, safety }: Room): void {
  const get = createRoute({
    method: "get",
    path: "/api/v1/spending",
    operationId: "getSpending",
    tags: ["spending"],
    security: mayNeedToken,
    summary: "Whether all spending is stopped, and who turned the switch when",
    middleware: reads(safety, "everybody"),
    responses: { 200: ok(SpendingHistory, "The switch and its last turns."), ...problems },
  });
  api.openapi(get, async (c) => {
    const turns = await house.spendingTurns(TURNS);
    const wire = turns.map((turn) => ({ ...turn, at: formatInstant(turn.at) }));
    return c.json({ ...spendingWire(house.stopped()), turns: wire }, 200);
  });

  const change = createRoute({
    method: "post",
    path: "/api/v1/spending",
    operationId: "changeSpending",
    tags: ["spending"],
    summary: "Stop all spending, or resume it",
    security: needsToken,
    middleware: takesBody(safety, "administer", "everybody"),
    request: body(SpendingChange),
    responses: { 200: ok(SpendingChanged, "The switch as it is now; it is durable."), ...problems },
  });
  api.openapi(change, async (c) => {
    const { stopped, cut, containers } = c.req.valid("json");
    const { by } = c.var.admitted;
    const done = stopped ? await house.stopSpending({ by, cut, containers }) : await house.resumeSpending(by);
    if (done.unwritten !== undefined) return unwritten(c, stopped, done.unwritten);
    const lists = { cut_requests: [...done.cut], stopped_machines: [...done.machines] };
    return c.json({ ...spendingWire(house.stopped()), ...lists }, 200);
  });
}

function unwritten(c: Context, stopped: boolean, why: string) {
  const state = stopped
    ? "spending is stopped now, but a restart would not know of it"
    : "spending is still stopped";
  return refuse(c, 503, {
    code: "ledger_unavailable",
    detail: `${state}: ${why}; free the disk and say it again`,
  });
}

export function spendingWire(stop: SpendingStop | undefined): SpendingState {
  return {
    stopped: stop !== undefined,
    stopped_by: stop?.by ?? null,
    stopped_at: stop === undefined ? null : formatInstant(stop.at),
  };
}
