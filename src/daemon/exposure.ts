// Whether the gateway can be reached from other machines, and what it takes to be allowed to (DESIGN: off
// loopback it wants client tokens and something in front that speaks TLS).

import { isLoopbackAddress } from "../policy/schema/addresses.ts";

interface Place {
  readonly hosts: readonly string[];
}

/** Where one of the hosts is no loopback address, other machines can come in. */
export function isExposed(places: readonly Place[]): boolean {
  return places.some(({ hosts }) => !hosts.every(isLoopbackAddress));
}

export const NEEDS_PROXY =
  "listening off loopback needs something in front that speaks TLS, for TLS listeners of the gateway's own " +
  "are not built yet: listen on localhost, or put nginx in front and start with --behind-proxy " +
  "(BUDGETGUARD_BEHIND_PROXY=1) and `identity: token` in the policy";
