// Every hop says who it was (RFC 9110 §7.6.3), and a request that comes back to the gateway it went through
// is refused: two gateways that name each other as upstreams would else pass it on, and charge it, for ever.

import { randomBytes } from "node:crypto";

/** New for each process: a studio's gateway behind a workstation's is no loop. */
const OWN_NAME = `budgetguard-${randomBytes(6).toString("hex")}`;

export const VIA: readonly [string, string] = ["Via", `1.1 ${OWN_NAME}`];

/** `values`: those of the request's Via headers. */
export function hasPassedHere(values: readonly string[]): boolean {
  return values.some((value) => value.includes(OWN_NAME));
}
