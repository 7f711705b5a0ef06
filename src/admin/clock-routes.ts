// Ledger time, and an operator's word that the wall clock is right.

import { createRoute } from "@hono/zod-openapi";
import { formatInstant } from "../metering/time.ts";
import * as sdk from "../sdk/clock.ts";
import type { ClockState } from "./house.ts";
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

export function addClockRoutes(api: Api, { house, safety }: Room): void {
  const get = createRoute({
    method: "get",
    path: "/api/v1/clock",
    operationId: "getClock",
    tags: ["clock"],
    security: mayNeedToken,
    summary: "Ledger time, the wall clock, and whether a jump of that is in doubt",
    middleware: reads(safety, "everybody"),
    responses: { 200: ok(sdk.ClockState, "The clocks."), ...problems },
  });
  api.openapi(get, (c) => c.json(clockWire(house.clock()), 200));

  const accept = createRoute({
    method: "post",
    path: "/api/v1/clock",
    operationId: "acceptClock",
    tags: ["clock"],
    summary: "Adopt the wall clock as it stands",
    security: needsToken,
    middleware: takesBody(safety, "administer", "everybody"),
    request: body(sdk.ClockAccept),
    responses: {
      200: ok(sdk.ClockState, "The clocks now; without a doubt nothing has changed."),
      ...problems,
    },
  });
  api.openapi(accept, async (c) => c.json(clockWire(await house.acceptClock(c.var.admitted.by)), 200));
}

export function clockWire({ at, wall, doubt }: ClockState): sdk.ClockState {
  return {
    ledger_at: formatInstant(at),
    wall_at: formatInstant(wall),
    in_doubt: doubt !== undefined,
    doubted_for_us: doubt === undefined ? null : Math.round(doubt.stood),
    believed_in_us: doubt === undefined ? null : Math.round(doubt.left),
    accepted: doubt?.isAccepted ?? false,
  };
}
