// What operators were told, and their word that they have seen it.

import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { FOREVER, formatInstant } from "../metering/time.ts";
import * as sdk from "../sdk/alerts.ts";
import type { AlertRecord } from "./house.ts";
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
import { defined } from "./wire.ts";

const params = z.object({ id: z.string().min(1).max(128) });

export function addAlertRoutes(api: Api, { house, safety }: Room): void {
  const list = createRoute({
    method: "get",
    path: "/api/v1/alerts",
    operationId: "listAlerts",
    tags: ["alerts"],
    security: mayNeedToken,
    summary: "Alerts, newest first",
    middleware: reads(safety, "everybody"),
    request: { query: sdk.AlertsQuery },
    responses: { 200: ok(sdk.AlertPage, "One page of them."), ...problems },
  });
  api.openapi(list, async (c) => {
    const { limit, before, acknowledged, ...filters } = c.req.valid("query");
    const isSeen = acknowledged === undefined ? undefined : acknowledged === "true";
    const where = defined({ ...filters, acknowledged: isSeen });
    const { rows, more } = await house.alerts({ limit, before, where });
    return c.json({ items: rows.map(alertWire), next: more ? (rows.at(-1)?.id ?? null) : null }, 200);
  });

  const acknowledge = createRoute({
    method: "post",
    path: "/api/v1/alerts/{id}/acknowledge",
    operationId: "acknowledgeAlert",
    tags: ["alerts"],
    summary: "Say that an alert was seen; who says it first stays",
    security: needsToken,
    middleware: takesBody(safety, "operate", "everybody"),
    request: { params, ...body(sdk.AlertAcknowledge) },
    responses: { 200: ok(sdk.Alert, "The alert, acknowledged."), ...problems },
  });
  api.openapi(acknowledge, async (c) => {
    const found = await house.acknowledgeAlert(c.req.valid("param").id, c.var.admitted.by);
    if (found !== undefined) return c.json(alertWire(found), 200);
    const detail = "there is no alert with this id; GET /api/v1/alerts lists them";
    return refuse(c, 404, { code: "not_found", detail });
  });
}

function alertWire(alert: AlertRecord): sdk.Alert {
  const { start, end } = alert.period;
  const { acknowledged } = alert;
  return {
    id: alert.id,
    at: formatInstant(alert.at),
    event: alert.event,
    severity: alert.severity,
    topic: alert.topic,
    subject: alert.subject,
    value: alert.value ?? null,
    unit: alert.unit ?? null,
    text: alert.text,
    advice: alert.advice ?? null,
    figures: { ...alert.figures },
    period: {
      starts_at: start === 0 ? null : formatInstant(start),
      ends_at: end === FOREVER ? null : formatInstant(end),
      timezone: alert.timezone,
    },
    deliveries: Object.entries(alert.deliveries).map(([webhook, state]) => ({ webhook, state })),
    acknowledged:
      acknowledged === undefined ? null : { at: formatInstant(acknowledged.at), by: acknowledged.by },
  };
}
