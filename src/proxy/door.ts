// What is looked at before anything else: whether this may be a request to this gateway at all. What ends
// here has cost nothing and reached nobody. It knows no policy but names, origins and sizes.

import { isAllowedHost, isAllowedOrigin } from "../policy/hosts.ts";
import { nominatesControl } from "./headers.ts";
import type { Unserved } from "./reply.ts";
import { hasPassedHere } from "./via.ts";

export interface DoorRules {
  /** What a Host may name: the ports that are listened on, and further names of the policy. */
  readonly ports: readonly number[];
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  /** Bytes of one body. */
  readonly body: number;
}

/** Of an IncomingMessage. */
export interface DoorHead {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

type Refusal = Extract<Unserved, { kind: "problem" }>;

export type Checked = { readonly kind: "welcome"; readonly path: string } | Refusal;

export function checkDoor(head: DoorHead, rules: DoorRules): Checked {
  const values = (name: string) => valuesOf(head.rawHeaders, name);
  if (!VERSIONS.includes(head.httpVersion))
    return refuse(400, "bad_version", "this gateway speaks HTTP/1.1 and HTTP/1.0");
  if (!METHODS.includes(head.method ?? ""))
    return refuse(405, "method_not_allowed", "this method is not served");
  const hosts = values("host");
  if (hosts.length > 1) return refuse(400, "duplicate_host", "a request has one Host header");
  const codings = values("transfer-encoding");
  if (codings.length > 1 || codings.some((coding) => coding.toLowerCase() !== "chunked")) {
    return refuse(400, "bad_transfer_encoding", "the only transfer coding is chunked");
  }
  if (codings.length > 0 && head.httpVersion === "1.0")
    return refuse(400, "bad_transfer_encoding", "HTTP/1.0 has no transfer codings");
  // Before the Host: the gateway itself sends a name that it is not known by, where an upstream is one.
  if (hasPassedHere(values("via"))) {
    const cure = "an upstream of the policy leads back to this gateway; name the NIM itself";
    return refuse(508, "loop_detected", `this request has passed through here before: ${cure}`);
  }
  const target = splitTarget(head.url ?? "");
  if (target === undefined)
    return refuse(400, "bad_target", "the request target is neither a path nor http://host/path");
  const names = target.authority === undefined ? hosts : [...hosts, target.authority];
  if (names.length === 0 || !names.every((name) => isAllowedHost(name, rules))) {
    const cure = "call it localhost or 127.0.0.1 with its port, or add the name to hosts in the policy";
    return refuse(421, "unknown_host", `this gateway is not known by that Host name; ${cure}`);
  }
  if (isForeignPage(values("origin"), values("sec-fetch-site"), rules.origins)) {
    const cure = "add the page's origin to origins in the policy to allow it";
    return refuse(403, "foreign_origin", `pages of other origins may not use this gateway; ${cure}`);
  }
  if (nominatesControl(head.rawHeaders)) {
    return refuse(400, "bad_connection", "Connection may not name headers that the gateway needs");
  }
  if (values("content-length").some((length) => Number(length) > rules.body)) {
    return refuse(
      413,
      "body_too_large",
      `the body may have ${rules.body} bytes; limits.body in the policy says so`,
    );
  }
  return { kind: "welcome", path: target.path };
}

/** Node lets 0.9 through, a request without a version, and 2.0 in the words of 1.1. */
const VERSIONS: readonly string[] = ["1.1", "1.0"];

/** CONNECT never comes as a request, and TRACE would show a client what it may not see. */
const METHODS: readonly string[] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/**
 * Origin-form, or the absolute-form that a client sends which takes this for its proxy. No client sends a
 * fragment, and upstreams differ in where they take the path to end.
 */
function splitTarget(url: string): { authority: string | undefined; path: string } | undefined {
  if (url.includes("#")) return undefined;
  if (url.startsWith("/")) return { authority: undefined, path: url };
  const [, authority, path] = /^http:\/\/([^/?#@\\]+)(\/.*)?$/is.exec(url) ?? [];
  return authority === undefined ? undefined : { authority, path: path ?? "/" };
}

/**
 * A program sends neither header; a browser cannot leave out both. A page of another port of this machine is
 * another origin too.
 */
function isForeignPage(
  origins: readonly string[],
  sites: readonly string[],
  allowed: readonly string[],
): boolean {
  if (origins.length > 0) {
    // No page is served here, so not even the gateway's own names are an origin to trust.
    const known = { ports: [], hosts: [], origins: allowed };
    return !origins.every((origin) => isAllowedOrigin(origin, known));
  }
  return sites.some((site) => site !== "none" && site !== "same-origin");
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? "");
  }
  return values;
}

function refuse(status: Refusal["status"], code: string, message: string): Refusal {
  return { kind: "problem", status, code, message };
}
