// A client's token in the query, where some clients' settings put it (?api_key=TOKEN): a query goes on to the
// upstream as it is, and a token may not, so such a request ends here. It keeps and repeats nothing of it.

import type { Client } from "../policy/policy.ts";
import { ownerOf, type TokenLookup, tokensOfScheme } from "./credentials.ts";

export type QueryFault = "token" | "too_many";

/** Each costs a hash for every way to read it; no path of a NIM has more than a few. */
export const MOST_PARAMETERS = 64;

/** Whatever the parameter is called. `path` is origin-form. */
export function queryFault(
  path: string,
  clients: ReadonlyMap<string, Client>,
  lookup: TokenLookup,
): QueryFault | undefined {
  const start = path.indexOf("?");
  if (start === -1) return undefined;
  const parameters = parametersIn(path.slice(start + 1));
  if (parameters.length > MOST_PARAMETERS) return "too_many";
  const isToken = (text: string) => MADE.test(text) || ownerOf(text, clients, lookup) !== undefined;
  return parameters.some((each) => readings(each).some(isToken)) ? "token" : undefined;
}

/** As `budgetguard token create` and the first start make them: not this port's either, nor once revoked. */
const MADE = /^bg-[0-9a-f]{48,64}$/;

/** Some servers take a semicolon for an ampersand. */
function parametersIn(query: string): string[] {
  const parameters = query.split("&");
  return query.includes(";") ? [...parameters, ...query.split(/[&;]/)] : parameters;
}

/** All that a server might take the parameter's value for; its name where it has no value. */
function readings(parameter: string): string[] {
  const [, name = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(parameter) ?? [];
  const raw = value === "" ? name : value;
  const found = new Set<string>();
  for (const text of [raw, decoded(raw), decoded(raw.replaceAll("+", " "))]) {
    for (const token of [text.trim(), ...tokensOfScheme(text.trim())]) if (token !== "") found.add(token);
  }
  return [...found];
}

/** Undecodable, it is what it is: some servers leave it so. */
function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
