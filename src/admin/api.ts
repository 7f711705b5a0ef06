// The admin API put together: safety first, then one group of routes for each resource, then the answers to
// what no route takes. The OpenAPI document is made from the same descriptions that validate.

import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { addAlertRoutes } from "./alert-routes.ts";
import { addBudgetRoutes } from "./budget-routes.ts";
import { addClockRoutes } from "./clock-routes.ts";
import { addContainerRoutes } from "./container-routes.ts";
import { addCredentialRoutes } from "./credential-routes.ts";
import { addMachineRoutes } from "./machine-routes.ts";
import type { Metrics } from "./metrics.ts";
import { addPolicyRoutes, addTokenRoutes } from "./policy-routes.ts";
import { addPriceRoutes } from "./price-routes.ts";
import { invalid, refuse } from "./problem.ts";
import { addCancelRoute, addEstimateRoute, addRequestRoutes } from "./request-routes.ts";
import { type Api, ok, problems, type Room } from "./route.ts";
import { type AdminEnv, knownHost, listedPages, sameOrigin, securityHeaders } from "./safety.ts";
import { addSpendRoutes } from "./spend-routes.ts";
import { addSpendingRoutes } from "./spending-routes.ts";
import { addHealthRoutes, addStatusRoutes } from "./status-routes.ts";

export interface ApiParts extends Room {
  readonly metrics: Metrics;
  readonly version: string;
  /** Told of what is a bug; the caller only learns that something went wrong. */
  readonly onBug: (error: unknown, where: string) => void;
}

export function createApi(parts: ApiParts): Api {
  const api: Api = new OpenAPIHono<AdminEnv>({
    defaultHook: (result, c) => (result.success ? undefined : invalid(c, result.target, result.error)),
  });
  api.use(securityHeaders(), knownHost(parts.safety), sameOrigin(parts.safety), listedPages(parts.safety));
  addStatusRoutes(api, parts);
  addSpendRoutes(api, parts);
  addBudgetRoutes(api, parts);
  addSpendingRoutes(api, parts);
  addClockRoutes(api, parts);
  addCredentialRoutes(api, parts);
  addAlertRoutes(api, parts);
  addRequestRoutes(api, parts);
  addContainerRoutes(api, parts);
  addMachineRoutes(api, parts);
  addCancelRoute(api, parts);
  addEstimateRoute(api, parts);
  addPriceRoutes(api, parts);
  addPolicyRoutes(api, parts);
  addTokenRoutes(api, parts);
  addHealthRoutes(api, parts, parts.metrics);
  addDocument(api, parts.version);
  const methodsOf = routeTable(api);
  api.notFound((c) => unknownPath(c, methodsOf(c.req.path)));
  api.onError((error, c) => failed(c, error, parts.onBug));
  return api;
}

function addDocument(api: Api, version: string): void {
  const route = createRoute({
    method: "get",
    path: "/api/openapi.json",
    operationId: "getOpenApi",
    tags: ["api"],
    summary: "This API, described in OpenAPI 3.1",
    responses: { 200: ok(z.any(), "The document."), ...problems },
  });
  const { registerComponent } = api.openAPIRegistry;
  registerComponent.call(api.openAPIRegistry, "securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
  });
  registerComponent.call(api.openAPIRegistry, "securitySchemes", "apiKey", {
    type: "apiKey",
    in: "header",
    name: "X-API-Key",
  });
  api.openapi(route, (c) => c.json(documentOf(api, version), 200));
}

function documentOf(api: Api, version: string) {
  return api.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "BudgetGuard Gateway",
      version,
      description:
        "What the gateway on this machine is doing, has done and would do. Amounts are decimal strings of " +
        "US dollars, exact to the nano-dollar. Reads need no token on the same machine; changes do.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
  });
}

/** Which methods a path takes; asked only for what no route took. */
function routeTable(api: Api): (path: string) => readonly string[] {
  const routes = api.openAPIRegistry.definitions.flatMap((one) => (one.type === "route" ? [one.route] : []));
  const patterns = routes.map(({ method, path }) => ({
    method: method.toUpperCase(),
    pattern: new RegExp(`^${path.replace(/[.]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]+")}$`),
  }));
  return (path) => {
    const methods = patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
    return methods.includes("GET") ? [...methods, "HEAD"] : methods;
  };
}

function unknownPath(c: Context, methods: readonly string[]) {
  if (methods.length === 0) {
    const detail = "there is nothing at this path; GET /api/openapi.json lists what there is";
    return refuse(c, 404, { code: "not_found", detail });
  }
  c.header("allow", methods.join(", "));
  return refuse(c, 405, { code: "method_not_allowed", detail: `this path takes ${methods.join(", ")}` });
}

function failed(c: Context, error: Error, onBug: ApiParts["onBug"]) {
  if (error instanceof HTTPException && error.status < 500) {
    return refuse(c, 400, { code: "bad_request", detail: error.message || "the request cannot be read" });
  }
  onBug(error, `${c.req.method} ${c.req.path}`);
  const detail = "this is a bug of the gateway; its log has the details";
  return refuse(c, 500, { code: "internal", detail });
}
