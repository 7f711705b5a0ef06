// What every route of the API has in common: how its replies and bodies are described, and what stands before
// it. The description is what types, validation, OpenAPI and the client come from.

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import type { z } from "zod";
import { Problem } from "../sdk/problem.ts";
import type { Right } from "../sdk/roles.ts";
import type { House } from "./house.ts";
import { type AdminEnv, jsonOnly, may, type Reach, type Safety, smallBody } from "./safety.ts";

export type Api = OpenAPIHono<AdminEnv>;

/** What a group of routes is given. */
export interface Room {
  readonly house: House;
  readonly safety: Safety;
}

export const problems = {
  default: {
    description: "Not this time: the detail says why and what to do.",
    content: { "application/problem+json": { schema: Problem } },
  },
} as const;

export function ok<S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } } as const;
}

export function body<S extends z.ZodType>(schema: S) {
  return { body: { required: true, content: { "application/json": { schema } } } } as const;
}

/** For routes that are asked with GET. */
export function reads(safety: Safety, reach: Reach): MiddlewareHandler<AdminEnv>[] {
  return [may(safety, "read", reach)];
}

/** For routes that carry a body: the right first, so that a stranger's body is not read. */
export function takesBody(safety: Safety, right: Right, reach: Reach): MiddlewareHandler<AdminEnv>[] {
  return [may(safety, right, reach), jsonOnly, smallBody];
}

/** A token opens these; without one they answer 401. */
export const needsToken = [{ bearer: [] }, { apiKey: [] }];

/** These too from another machine and behind a proxy; on the same machine nobody needs one. */
export const mayNeedToken = [...needsToken, {}];
