// What is in force now: status, mode, health, readiness, metrics.

import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { formatInstant } from "../metering/time.ts";
import { Health, ModeChange, ModeState, Readiness, Status } from "../sdk/status.ts";
import { clockWire } from "./clock-routes.ts";
import { credentialsWire } from "./credential-routes.ts";
import type { House } from "./house.ts";
import type { Metrics } from "./metrics.ts";
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
import { spendingWire } from "./spending-routes.ts";
import { budgetWire, definitionWire, modeWire, upstreamWire } from "./wire.ts";

export function addStatusRoutes(api: Api, { house, safety }: Room): void {
  const status = createRoute({
    method: "get",
    path: "/api/v1/status",
    operationId: "getStatus",
    tags: ["status"],
    security: mayNeedToken,
    summary: "What is in force now: mode, policy, budgets, upstreams",
    middleware: reads(safety, "everybody"),
    responses: { 200: ok(Status, "The state of the gateway."), ...problems },
  });
  api.openapi(status, (c) => c.json(statusOf(house), 200));

  const mode = createRoute({
    method: "get",
    path: "/api/v1/mode",
    operationId: "getMode",
    tags: ["mode"],
    security: mayNeedToken,
    summary: "The mode in force and the policy file's",
    middleware: reads(safety, "everybody"),
    responses: { 200: ok(ModeState, "The mode."), ...problems },
  });
  api.openapi(mode, (c) => c.json(modeWire(house.mode()), 200));

  const setMode = createRoute({
    method: "put",
    path: "/api/v1/mode",
    operationId: "setMode",
    tags: ["mode"],
    summary: "Switch the mode until the policy file's next changes",
    security: needsToken,
    middleware: takesBody(safety, "operate", "everybody"),
    request: body(ModeChange),
    responses: { 200: ok(ModeState, "The mode, now in force."), ...problems },
  });
  api.openapi(setMode, async (c) => c.json(modeWire(await house.setMode(c.req.valid("json").mode)), 200));
}

export function addHealthRoutes(api: Api, { house, safety }: Room, metrics: Metrics): void {
  const health = (path: "/healthz" | "/api/health", operationId: string) =>
    createRoute({
      method: "get",
      path,
      operationId,
      tags: ["health"],
      summary: "Whether the process answers",
      responses: { 200: ok(Health, "It does."), ...problems },
    });
  api.openapi(health("/healthz", "getHealth"), (c) => c.json(healthOf(house), 200));
  api.openapi(health("/api/health", "getApiHealth"), (c) => c.json(healthOf(house), 200));

  const readiness = createRoute({
    method: "get",
    path: "/readyz",
    operationId: "getReadiness",
    tags: ["health"],
    summary: "Whether requests are served",
    responses: {
      200: ok(Readiness, "They are."),
      503: ok(Readiness, "Not now; `why` says what is missing."),
      ...problems,
    },
  });
  api.openapi(readiness, (c) => {
    const ready = house.ready();
    return ready.ready
      ? c.json({ ready: true, why: null }, 200)
      : c.json({ ready: false, why: ready.why }, 503);
  });

  const scrape = createRoute({
    method: "get",
    path: "/metrics",
    operationId: "getMetrics",
    tags: ["metrics"],
    security: mayNeedToken,
    summary: "Prometheus metrics",
    middleware: reads(safety, "everybody"),
    responses: {
      200: {
        description: "Text exposition format 0.0.4.",
        content: { "text/plain": { schema: z.string() } },
      },
      ...problems,
    },
  });
  api.openapi(scrape, async (c) =>
    c.text(await metrics.render(house), 200, { "content-type": metrics.contentType }),
  );
}

function healthOf(house: House): Health {
  const { version, at, startedAt } = house.status();
  return { status: "ok", version, uptime_us: Math.max(0, at - startedAt) };
}

function statusOf(house: House): Status {
  const status = house.status();
  const ready = house.ready();
  const { path, policy, loadedAt, problems } = house.policy();
  return {
    version: status.version,
    at: formatInstant(status.at),
    started_at: formatInstant(status.startedAt),
    ready: ready.ready,
    not_ready_because: ready.ready ? null : ready.why,
    mode: modeWire(house.mode()),
    spending: spendingWire(house.stopped()),
    clock: clockWire(house.clock()),
    credentials: credentialsWire(house.credentials()),
    policy: {
      path,
      digest: policy.digest,
      timezone: policy.timezone,
      loaded_at: formatInstant(loadedAt),
      valid: problems.length === 0,
      problems: problems.length,
      folding: status.isFolding,
    },
    listeners: status.listeners.map((each) => ({ ...each, model: each.model ?? null })),
    in_flight: status.inFlight,
    waiting: status.waiting,
    budgets: status.budgets.map(budgetWire),
    budget_definitions: policy.budgets.map(definitionWire),
    upstreams: status.upstreams.map(upstreamWire),
  };
}
