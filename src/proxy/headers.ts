// Which headers cross the gateway, in both directions: in the order and with the letters they came in. What
// belongs to one connection stays on it; a client's credentials and an upstream's cookies go no further.

import type { Auth } from "../policy/policy.ts";

/** Name, value, name, value: as Node and undici take and give them. */
export type FlatHeaders = string[];

export interface RequestHeaderRules {
  /** The upstream's own credentials, already read; undefined where it needs none. */
  readonly auth: { readonly by: Auth; readonly secret: string } | undefined;
  /** Sent where the client brought no X-Request-Id. */
  readonly requestId: string;
  /** For bodies that are streamed: undici cannot see their length. */
  readonly contentLength: number | undefined;
  /** Where the reply must be read to know what it costs, it may not be compressed. */
  readonly readsReply: boolean;
}

export function requestHeaders(raw: readonly string[], rules: RequestHeaderRules): FlatHeaders {
  const nominated = nominatedBy(raw);
  const ownAuth = rules.auth?.by.kind === "header" ? rules.auth.by.name.toLowerCase() : undefined;
  const headers: FlatHeaders = [];
  let hasRequestId = false;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const lower = name.toLowerCase();
    if (KEPT_FROM_UPSTREAM.has(lower) || PRIVATE_PREFIX.test(lower)) continue;
    if (nominated.has(lower) || lower === ownAuth) continue;
    if (rules.readsReply && lower === "accept-encoding") continue;
    hasRequestId ||= lower === "x-request-id";
    headers.push(name, raw[at + 1] ?? "");
  }
  if (!hasRequestId) headers.push("X-Request-Id", rules.requestId);
  if (rules.contentLength !== undefined) headers.push("Content-Length", String(rules.contentLength));
  if (rules.auth?.by.kind === "bearer") headers.push("Authorization", `Bearer ${rules.auth.secret}`);
  if (rules.auth?.by.kind === "header") headers.push(rules.auth.by.name, rules.auth.secret);
  return headers;
}

export interface ReplyHead {
  readonly headers: FlatHeaders;
  /** Bytes of the body; undefined where only its end tells. */
  readonly length: number | undefined;
}

export type AddedHeaders = readonly (readonly [name: string, value: string])[];

/** A 204 and a 101 say no length (RFC 9110 §8.6), whatever the upstream says. */
export function replyHead(raw: readonly string[], status: number, added: AddedHeaders): ReplyHead {
  const nominated = nominatedBy(raw);
  const headers: FlatHeaders = [];
  let length: number | undefined;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const lower = name.toLowerCase();
    if (KEPT_FROM_CLIENT.has(lower) || FOREIGN_PREFIX.test(lower) || nominated.has(lower)) continue;
    if (lower === "content-length") {
      if (status === 204 || status === 101) continue;
      length = Number(raw[at + 1]);
    }
    headers.push(name, raw[at + 1] ?? "");
  }
  for (const [name, value] of added) headers.push(name, value.replace(UNSPEAKABLE, "?"));
  return { headers, length };
}

/** Trailers pass the same gate as headers, and cannot say how the message is framed. */
export function replyTrailers(raw: readonly string[]): [string, string][] {
  const { headers } = replyHead(raw, 200, []);
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    if (name.toLowerCase() !== "content-length") pairs.push([name, headers[at + 1] ?? ""]);
  }
  return pairs;
}

/** undici gives Buffers; a header is bytes, one character each. */
export function latin1(raw: unknown): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((each) => (Buffer.isBuffer(each) ? each.toString("latin1") : String(each)));
}

/**
 * Whether `Connection` names a header that the gateway, or the framing, relies on: such a request wants one
 * side to see what the other does not.
 */
export function nominatesControl(raw: readonly string[]): boolean {
  for (const name of nominatedBy(raw)) {
    if (CONTROL.has(name) || name.startsWith("x-budgetguard-")) return true;
  }
  return false;
}

const CONTROL: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "x-api-key",
  "x-request-id",
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "origin",
  "sec-fetch-site",
]);

/** Of one connection only (RFC 9110 §7.6.1). */
const HOP_BY_HOP: readonly string[] = [
  "connection",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
];

const KEPT_FROM_UPSTREAM: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "host",
  "expect",
  "content-length",
  "authorization",
  "cookie",
  "cookie2",
  // The names under which other clouds' clients send their keys.
  "x-api-key",
  "api-key",
  "x-auth-token",
  "x-goog-api-key",
  "x-amz-security-token",
  "ocp-apim-subscription-key",
  // What some servers take for the method or the path: work would be had by a request that asks for none.
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
]);
const PRIVATE_PREFIX = /^(?:proxy-|x-budgetguard-)/;

/** `alt-svc` would lead the client past the gateway. */
const KEPT_FROM_CLIENT: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "set-cookie",
  "set-cookie2",
  "alt-svc",
  "strict-transport-security",
]);
/** What a header value cannot hold, or clients read in different ways. */
const UNSPEAKABLE = /[^\t -~]/g;
const FOREIGN_PREFIX = /^(?:proxy-|x-budgetguard-|access-control-)/;

function nominatedBy(raw: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.toLowerCase() !== "connection") continue;
    for (const name of (raw[at + 1] ?? "").split(",")) names.add(name.trim().toLowerCase());
  }
  return names;
}
