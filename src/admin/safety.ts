// Who may come in, before anything is looked at: the exact names that the machine is called by, no page of
// another origin, a token where something is changed, JSON and not too much of it. It knows no resource.

import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { isAllowedHost, isAllowedOrigin, listedOrigin } from "../policy/hosts.ts";
import type { Role } from "../policy/policy.ts";
import { type CallerRole, type Permission, permission, type Right } from "../sdk/roles.ts";
import { isLoopback } from "./loopback.ts";
import { refuse } from "./problem.ts";

/** No body of the API is larger; a policy file may be as large (DESIGN §5). */
export const MAX_BODY = 256 * 1024;

export interface Safety {
  /** Ports that the admin surface listens on: they are part of what it may be called. */
  readonly ports: () => readonly number[];
  /** Further names and origins of the policy in force. */
  readonly allowed: () => { readonly hosts: readonly string[]; readonly origins: readonly string[] };
  /** Whose token this is; undefined for a token that nobody has. Must compare in constant time. */
  readonly authenticate: (token: string) => Caller | undefined;
  /** Where the operator finds the admin token: told to whoever lacks it. */
  readonly tokenPath: string;
  /**
   * Who may read without a token: callers at a loopback address, or, where a proxy makes everybody look like
   * one, nobody.
   */
  readonly anonymous: "loopback" | "nobody";
}

/** The connection that a request came by; without one, nothing is known of its sender. */
export interface Sender {
  readonly incoming?: {
    readonly url?: string | undefined;
    readonly socket: { readonly remoteAddress?: string | undefined };
  };
}

export interface Caller {
  readonly role: Role;
  /** The client's id: what `user` is in what it asked for. */
  readonly id: string;
}

/** Whose request this is, and whether it may see everybody's or only its own. */
export interface Admitted {
  readonly role: CallerRole;
  /** For the ledger's record of who turned what. */
  readonly by: string;
  /** Only this user's requests may be seen or touched; undefined: everybody's. */
  readonly onlyUser: string | undefined;
}

export interface AdminEnv {
  Bindings: Sender;
  Variables: { admitted: Admitted };
}

export const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};

export function securityHeaders(): MiddlewareHandler {
  return createMiddleware(async (c, next) => {
    await next();
    const isForListed = c.res.headers.has("access-control-allow-origin");
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!(isForListed && name === "cross-origin-resource-policy")) c.res.headers.set(name, value);
    }
  });
}

/** Against DNS rebinding: a page of another name that resolves to this machine still says its own name. */
export function knownHost(safety: Safety): MiddlewareHandler<AdminEnv> {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const allowed = { ports: safety.ports(), hosts: safety.allowed().hosts };
    const names = [c.req.header("host") ?? "", ...authorityOf(c.env.incoming?.url)];
    if (names.every((name) => isAllowedHost(name, allowed))) return next();
    const detail =
      "this Host name is not one of the gateway's; use localhost or 127.0.0.1 with its port, " +
      "or add the name to `hosts` in the policy";
    return refuse(c, 421, { code: "unknown_host", detail });
  });
}

/** Of a target that names whom it is for (http://host/path): that counts for more than the Host header. */
function authorityOf(target = "/"): string[] {
  return target.startsWith("/") ? [] : [/^https?:\/\/([^/?#]*)/i.exec(target)?.[1] ?? ""];
}

/** Against pages of other origins. Programs send neither header; browsers cannot leave out both. */
export function sameOrigin(safety: Safety): MiddlewareHandler {
  return createMiddleware(async (c, next) => {
    const origin = c.req.header("origin");
    const site = c.req.header("sec-fetch-site");
    const { hosts, origins } = safety.allowed();
    const isKnown =
      origin === undefined
        ? site === undefined || site === "same-origin" || site === "none"
        : isAllowedOrigin(origin, { ports: safety.ports(), hosts, origins });
    if (isKnown) return next();
    const detail =
      "pages of other origins may not use this API; add the origin to `origins` in the policy to allow it";
    return refuse(c, 403, { code: "foreign_origin", detail });
  });
}

const ALLOWED_METHODS = "GET, HEAD, POST, PUT";

/** What a browser must be told before a page that the policy lists can call and read; no other is told. */
export function listedPages(safety: Safety): MiddlewareHandler {
  return createMiddleware(async (c, next) => {
    const page = listedOrigin(c.req.header("origin"), safety.allowed().origins);
    if (page === undefined) return next();
    if (c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined) {
      c.res = c.body(null, 204, {
        "access-control-allow-methods": ALLOWED_METHODS,
        "access-control-allow-headers": "authorization, content-type",
      });
    } else await next();
    c.res.headers.set("access-control-allow-origin", page);
    c.res.headers.append("vary", "Origin");
    return undefined;
  });
}

/** What a route can show: everybody's things only, or to each caller its own. */
export type Reach = "everybody" | "each";

/** Lets through whoever has the right, and notes whose things they may touch. */
export function may(safety: Safety, right: Right, reach: Reach): MiddlewareHandler<AdminEnv> {
  return createMiddleware<AdminEnv>(async (c, next) => {
    const token = tokenOf(c);
    const caller = token === undefined ? undefined : safety.authenticate(token);
    if (token !== undefined && caller === undefined) return unauthorized(c, "unknown_token", safety);
    if (caller === undefined && !mayBeAnonymous(c, safety)) return unauthorized(c, "token_required", safety);
    const role = caller?.role ?? "anonymous";
    const granted = permission(role, right);
    if (granted === "none" && role === "anonymous") return unauthorized(c, "token_required", safety);
    if (granted === "none" || (granted === "own" && reach === "everybody")) {
      const detail = `a token of the role ${role} may not do this; ask for one with another role`;
      return refuse(c, 403, { code: "not_allowed", detail });
    }
    c.set("admitted", admitted(role, granted, caller));
    return next();
  });
}

function admitted(role: CallerRole, granted: Permission, caller: Caller | undefined): Admitted {
  return {
    role,
    by: caller?.id ?? "anonymous",
    onlyUser: granted === "own" ? (caller?.id ?? "unknown") : undefined,
  };
}

function mayBeAnonymous(c: Context<AdminEnv>, { anonymous }: Safety): boolean {
  return anonymous === "loopback" && isLoopback(c.env.incoming?.socket.remoteAddress);
}

/** An empty credential is none. */
function tokenOf(c: Context): string | undefined {
  const authorization = c.req.header("authorization")?.trim() ?? "";
  const [, bearer] = /^bearer(?: +(\S+))?$/i.exec(authorization) ?? [authorization, authorization];
  return bearer || c.req.header("x-api-key")?.trim() || undefined;
}

function unauthorized(c: Context<AdminEnv>, code: "unknown_token" | "token_required", safety: Safety) {
  c.header("www-authenticate", 'Bearer realm="budgetguard"');
  const what = code === "unknown_token" ? "nobody has this token" : "this needs a token";
  const how = "send `Authorization: Bearer TOKEN` or `X-API-Key: TOKEN`";
  // Where things lie on this machine is no other machine's business.
  const where = mayBeAnonymous(c, safety) ? `; the admin token is in ${safety.tokenPath}` : "";
  const detail = `${what}: ${how}${where}`;
  return refuse(c, 401, { code, detail });
}

/** A form or a plain-text POST is what a page can send without asking; nothing here takes one. */
export const jsonOnly: MiddlewareHandler = createMiddleware(async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  if (/^application\/json *(?:;|$)/i.test(type)) return next();
  const detail =
    "send JSON, with the header `content-type: application/json`; an empty object where nothing is to say";
  return refuse(c, 415, { code: "not_json", detail });
});

export const smallBody: MiddlewareHandler = bodyLimit({
  maxSize: MAX_BODY,
  onError: (c) => refuse(c, 413, { code: "too_large", detail: `the body may have ${MAX_BODY} bytes` }),
});
