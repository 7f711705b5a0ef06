// Which whole replies a NIM's client cannot take as they are. Its node parses every body as JSON before it
// looks at the status, and follows redirects wherever they lead; so these are told in the gateway's words.

import { type Asked, ownLocation } from "./redirect.ts";
import type { Fault } from "./relayed.ts";

export interface ReplyStart {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];
}

/** Bytes of such a reply that are read to its end, so that its connection can be used again. */
export const MOST_UNREADABLE = 1024 * 1024;

export function whyUnreadable(reply: ReplyStart, asked: Asked): Fault | undefined {
  if (asked.method === "HEAD") return undefined;
  if (reply.status >= 400) return isJson(reply) ? undefined : errorPage(reply);
  return REDIRECTS.includes(reply.status) ? redirect(reply, asked) : undefined;
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** A client sends the same request again only after these; after the others a POST becomes a GET. */
const KEEPS_METHOD: readonly number[] = [307, 308];

function errorPage({ status, reason }: ReplyStart): Fault {
  const said = `${status}${reason === "" ? "" : ` ${reason}`}`;
  return { kind: "unreadable", status, reason: `it answered ${said}, and not in JSON` };
}

function redirect(reply: ReplyStart, asked: Asked): Fault | undefined {
  const to = headerOf(reply, "location");
  const isOwn = to !== undefined && ownLocation(to, asked) !== undefined;
  const keepsMethod = asked.method === "GET" || KEEPS_METHOD.includes(reply.status);
  if (isOwn && keepsMethod) return undefined;
  const where = isOwn ? "in a way that would lose the request's body" : "past this gateway";
  const cure = "give the address that really serves as its url";
  return { kind: "unreadable", status: 502, reason: `it redirects (${reply.status}) ${where}; ${cure}` };
}

function isJson(reply: ReplyStart): boolean {
  const isEmpty = headerOf(reply, "content-length") === "0";
  return !isEmpty && /^\s*application\/(?:[\w.-]+\+)?json\b/i.test(headerOf(reply, "content-type") ?? "");
}

function headerOf({ headers }: ReplyStart, name: string): string | undefined {
  const at = headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
  return at === -1 ? undefined : headers[at + 1];
}
