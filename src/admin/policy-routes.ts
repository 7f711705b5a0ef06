// The policy in force, a check of a text that is not, and client tokens.

import { createRoute } from "@hono/zod-openapi";
import { formatInstant } from "../metering/time.ts";
import { PolicyCheck, PolicyInForce, PolicyText } from "../sdk/policy.ts";
import { TokenCreated, TokenRequest } from "../sdk/tokens.ts";
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
import { noteWire } from "./wire.ts";

export function addPolicyRoutes(api: Api, { house, safety }: Room): void {
  const policy = createRoute({
    method: "get",
    path: "/api/v1/policy",
    operationId: "getPolicy",
    tags: ["policy"],
    security: mayNeedToken,
    summary: "The policy in force, its notes, and the problems of the file on disk",
    middleware: reads(safety, "everybody"),
    responses: { 200: ok(PolicyInForce, "The policy."), ...problems },
  });
  api.openapi(policy, (c) => {
    const state = house.policy();
    const inForce: PolicyInForce = {
      path: state.path,
      digest: state.policy.digest,
      loaded_at: formatInstant(state.loadedAt),
      text: state.text,
      valid: state.problems.length === 0,
      problems: state.problems.map(noteWire),
      notes: state.policy.notes.map(noteWire),
    };
    return c.json(inForce, 200);
  });

  const check = createRoute({
    method: "post",
    path: "/api/v1/policy/check",
    operationId: "checkPolicy",
    tags: ["policy"],
    security: mayNeedToken,
    summary: "All problems of a policy text; changes nothing",
    middleware: takesBody(safety, "read", "each"),
    request: body(PolicyText),
    responses: { 200: ok(PolicyCheck, "What was found: a text with problems answers 200 too."), ...problems },
  });
  api.openapi(check, async (c) => {
    const found = await house.check(c.req.valid("json").text);
    const wrong = found.problems.map(noteWire);
    return c.json({ valid: wrong.length === 0, problems: wrong, notes: found.notes.map(noteWire) }, 200);
  });
}

export function addTokenRoutes(api: Api, { house, safety }: Room): void {
  const create = createRoute({
    method: "post",
    path: "/api/v1/tokens",
    operationId: "createToken",
    tags: ["tokens"],
    summary: "Make a client token; it is shown this once",
    security: needsToken,
    middleware: takesBody(safety, "administer", "everybody"),
    request: body(TokenRequest),
    responses: { 201: ok(TokenCreated, "The token."), ...problems },
  });
  api.openapi(create, async (c) => {
    const { id, role } = c.req.valid("json");
    const made = await house.createToken(id, role);
    if (made.kind === "created") {
      return c.json({ id, role, token: made.token, created_at: formatInstant(made.at) }, 201);
    }
    const detail = `a client ${id} exists already, in the policy or by an earlier token; choose another id`;
    return refuse(c, 409, { code: "conflict", detail });
  });
}
