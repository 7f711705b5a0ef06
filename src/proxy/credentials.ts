// Who a request says it is by a client token: found in the headers that clients can be made to send, compared
// by its SHA-256. It never keeps a token, and says nothing about what the client may do.

import { createHash, timingSafeEqual } from "node:crypto";
import type { Client, Role } from "../policy/policy.ts";

export interface Identity {
  readonly id: string;
  readonly role: Role;
}

/** Tokens of the ledger (`budgetguard token create`), by SHA-256 in lower-case hex. */
export type TokenLookup = (sha256: string) => Identity | undefined;

/** The first token that is anybody's; undefined when none is. `headers` has lower-case names. */
export function identityOf(
  headers: ReadonlyMap<string, readonly string[]>,
  clients: ReadonlyMap<string, Client>,
  lookup: TokenLookup,
): Identity | undefined {
  for (const token of tokensIn(headers)) {
    const identity = ownerOf(token, clients, lookup);
    if (identity !== undefined) return identity;
  }
  return undefined;
}

export function ownerOf(
  token: string,
  clients: ReadonlyMap<string, Client>,
  lookup: TokenLookup,
): Identity | undefined {
  const sha256 = createHash("sha256").update(token).digest("hex");
  return clientOf(sha256, clients) ?? lookup(sha256);
}

/** More candidates than this are not tried: each costs a hash. */
const MOST_TOKENS = 8;

function tokensIn(headers: ReadonlyMap<string, readonly string[]>): string[] {
  const tokens = [
    ...(headers.get("authorization") ?? []).flatMap(tokensOfScheme),
    ...(headers.get("x-api-key") ?? []),
    ...(headers.get("proxy-authorization") ?? []).flatMap(tokensOfScheme),
  ];
  return tokens.filter((token) => token !== "").slice(0, MOST_TOKENS);
}

/** `.netrc` and HTTP_PROXY can only send Basic: the token is the password there, or the user name. */
export function tokensOfScheme(value: string): string[] {
  const [, scheme = "", credentials = ""] = /^(bearer|basic) +(\S+) *$/i.exec(value) ?? [];
  if (scheme.toLowerCase() === "bearer") return [credentials];
  if (scheme.toLowerCase() !== "basic") return [];
  const text = Buffer.from(credentials, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? [text] : [text.slice(colon + 1), text.slice(0, colon)];
}

/** All clients are compared, each in constant time, so that how long it takes tells nothing. */
function clientOf(sha256: string, clients: ReadonlyMap<string, Client>): Identity | undefined {
  let found: Identity | undefined;
  const given = Buffer.from(sha256, "latin1");
  for (const { id, tokenSha256, role } of clients.values()) {
    const known = Buffer.from(tokenSha256, "latin1");
    if (known.length === given.length && timingSafeEqual(known, given)) found = { id, role };
  }
  return found;
}
