// The web pages that `origins` in the policy names: what a browser must be told before it lets one of them
// call and read. No other page is told anything, and none is ever told that every page may.

import type { IncomingMessage, ServerResponse } from "node:http";
import { listedOrigin } from "../policy/hosts.ts";

/** A reply to a listed page says so, whatever becomes of its request. */
export function greet(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  const page = listedOrigin(request.headers.origin, origins);
  if (page === undefined) return;
  response.setHeader("Access-Control-Allow-Origin", page);
  response.setHeader("Vary", "Origin");
}

/** Answers a browser that asks whether a listed page may send its request; false for all else. */
export function answersPreflight(request: IncomingMessage, response: ServerResponse): boolean {
  const { method, headers } = request;
  const isPreflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
  if (!isPreflight || !response.hasHeader("Access-Control-Allow-Origin")) return false;
  const asked = (headers["access-control-request-headers"] ?? "").toLowerCase().split(",");
  const granted = asked.map((name) => name.trim()).filter((name) => GRANTED.test(name));
  response.setHeader("Access-Control-Allow-Methods", METHODS);
  if (granted.length > 0) response.setHeader("Access-Control-Allow-Headers", granted.join(", "));
  response.writeHead(204);
  response.end();
  return true;
}

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
/** What names a client and its work; `x-stainless-` is what the OpenAI SDK says of itself. */
const GRANTED = /^(?:authorization|content-type|x-api-key|x-(?:budgetguard|stainless)-[a-z0-9-]+)$/;
