// Requests that were made, and what one would cost. A caller that may see only its own finds no others:
// theirs answer 404, not 403, so that ids cannot be probed.

import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import { z } from "zod";
import type { Decided } from "../policy/decision.ts";
import { Estimate, EstimateRequest } from "../sdk/estimate.ts";
import { Cancelled, RequestDetail, RequestPage, RequestsQuery } from "../sdk/requests.ts";
import type { EstimateAsked, House, RequestRecord } from "./house.ts";
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
import type { Admitted } from "./safety.ts";
import { breachWire, defined, detailWire, explanationWire, rowWire } from "./wire.ts";

const params = z.object({ id: z.string().min(1).max(128) });

export function addRequestRoutes(api: Api, { house, safety }: Room): void {
  const list = createRoute({
    method: "get",
    path: "/api/v1/requests",
    operationId: "listRequests",
    tags: ["requests"],
    security: mayNeedToken,
    summary: "Requests, newest first",
    middleware: reads(safety, "each"),
    request: { query: RequestsQuery },
    responses: { 200: ok(RequestPage, "One page of them."), ...problems },
  });
  api.openapi(list, async (c) => {
    const { limit, before, user, ...filters } = c.req.valid("query");
    const where = defined({ ...filters, user: c.var.admitted.onlyUser ?? user });
    const { rows, more } = await house.requests({ limit, before, where });
    const next = more ? (rows.at(-1)?.id ?? null) : null;
    return c.json({ items: rows.map(rowWire), next }, 200);
  });

  const one = createRoute({
    method: "get",
    path: "/api/v1/requests/{id}",
    operationId: "getRequest",
    tags: ["requests"],
    security: mayNeedToken,
    summary: "One request and why it was decided as it was",
    middleware: reads(safety, "each"),
    request: { params },
    responses: { 200: ok(RequestDetail, "The request with its explanation."), ...problems },
  });
  api.openapi(one, async (c) => {
    const record = await find(house, c.req.valid("param").id, c.var.admitted);
    return record === undefined
      ? noRequest(c)
      : c.json(detailWire(record, house.policy().policy.timezone), 200);
  });
}

export function addCancelRoute(api: Api, { house, safety }: Room): void {
  const cancel = createRoute({
    method: "post",
    path: "/api/v1/requests/{id}/cancel",
    operationId: "cancelRequest",
    tags: ["requests"],
    summary: "End a waiting or running request",
    security: needsToken,
    middleware: takesBody(safety, "cancel", "each"),
    request: { params },
    responses: { 200: ok(Cancelled, "It ends; the time used is charged."), ...problems },
  });
  api.openapi(cancel, async (c) => {
    const { id } = c.req.valid("param");
    const record = await find(house, id, c.var.admitted);
    if (record === undefined) return noRequest(c);
    // The record's own id: `id` may be the one that the client gave it.
    if (house.cancel(record.id)) return c.json({ id: record.id, cancelled: true as const }, 200);
    return refuse(c, 409, {
      code: "conflict",
      detail: `this request is not under way: it ended as ${record.outcome}`,
    });
  });
}

export function addEstimateRoute(api: Api, { house, safety }: Room): void {
  const estimate = createRoute({
    method: "post",
    path: "/api/v1/estimate",
    operationId: "estimate",
    tags: ["requests"],
    security: mayNeedToken,
    summary: "What a request would cost and whether budgets would let it through; holds nothing",
    middleware: takesBody(safety, "read", "each"),
    request: body(EstimateRequest),
    responses: { 200: ok(Estimate, "What would happen to it now."), ...problems },
  });
  api.openapi(estimate, async (c) => {
    const asked = askedOf(c.req.valid("json"), c.var.admitted.onlyUser);
    const answer = await house.estimate(asked);
    if (answer.kind !== "unknown_model") {
      return c.json({ ...estimateOf(asked.model, answer), timezone: house.policy().policy.timezone }, 200);
    }
    const detail = `there is no model of this name; the policy has: ${answer.models.join(", ") || "none"}`;
    return refuse(c, 404, { code: "not_found", detail });
  });
}

async function find(house: House, id: string, { onlyUser }: Admitted): Promise<RequestRecord | undefined> {
  const record = await house.request(id);
  return onlyUser === undefined || record?.labels.user === onlyUser ? record : undefined;
}

function noRequest(c: Context) {
  return refuse(c, 404, {
    code: "not_found",
    detail:
      "there is no request with this id, or with this X-Request-Id of a client; " +
      "GET /api/v1/requests lists them",
  });
}

function askedOf(request: z.output<typeof EstimateRequest>, onlyUser: string | undefined): EstimateAsked {
  const { workflow, session, task, node, project, tag } = request;
  return {
    model: request.model,
    images: request.images,
    width: request.width,
    height: request.height,
    steps: request.steps,
    maxTokens: request.max_tokens,
    provider: request.provider,
    gpuTier: request.gpu_tier,
    labels: { user: onlyUser ?? request.user ?? "unknown", workflow, session, task, node, project, tag },
  };
}

function reasonOf(decided: Decided): string | null {
  switch (decided.kind) {
    case "no_upstream":
    case "wait":
      return decided.reason;
    case "stopped":
      return `all spending is stopped by ${decided.stop.by}; to go on: budgetguard resume`;
    default:
      return null;
  }
}

function estimateOf(model: string, decided: Decided): Omit<Estimate, "timezone"> {
  const breach = decided.kind === "refuse" ? decided.breach : undefined;
  return {
    model,
    decision: decided.kind,
    reason: reasonOf(decided),
    warnings:
      decided.kind === "forward" ? decided.warnings.map(({ budget, text }) => ({ budget, text })) : [],
    breach: breach === undefined ? null : breachWire(breach),
    explanation: explanationWire(decided.explanation),
  };
}
