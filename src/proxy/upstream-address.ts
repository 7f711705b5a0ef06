// Nothing is connected to that policy/forbidden-host.ts forbids: neither an address as it is written nor one
// that a name resolved to. What is checked is the very list that the socket then connects by, so a name
// server that answers twice gains nothing.

import { lookup as systemLookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { buildConnector } from "undici";
import { whyForbidden } from "../policy/forbidden-host.ts";

/** As net.connect asks for addresses. */
export type Lookup = LookupFunction;

export const lookUp: Lookup = systemLookup as LookupFunction;

/** One forbidden address among several is enough: such a name is not to be trusted. */
export function checked(lookup: Lookup): Lookup {
  return (hostname, options, callback) =>
    lookup(hostname, options, (error, found, family) => {
      const addresses = typeof found === "string" ? [found] : (found ?? []).map(({ address }) => address);
      const refused =
        error === null ? addresses.map((each) => refusal(hostname, each)).find(Boolean) : undefined;
      callback(refused ?? error, found, family);
    });
}

/** Addresses that are written as such are never looked up: they are checked before anything is opened. */
export function watchful(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    const refused = isIP(options.hostname) === 0 ? undefined : refusal(options.hostname, options.hostname);
    if (refused === undefined) connect(options, callback);
    else queueMicrotask(() => callback(refused, null));
  };
}

function refusal(host: string, address: string): Error | undefined {
  const why = whyForbidden(address);
  if (why === undefined) return undefined;
  const where = host === address ? host : `${host}, which is at ${address},`;
  return new Error(`${where} may not be an upstream: ${why}`);
}
