// Whether the gateway can be reached from other machines, and what it takes to be allowed to (DESIGN: off
// loopback it wants client tokens and something in front that speaks TLS).

import { isLoopback } from "../admin/loopback.ts";
import type { Note } from "../policy/policy.ts";

interface Place {
  readonly hosts: readonly string[];
}

/** Where one of the hosts is no loopback address, other machines can come in. */
export function isExposed(places: readonly Place[]): boolean {
  return places.some(({ hosts }) => !hosts.every(isLoopback));
}

export const NEEDS_PROXY =
  "listening off loopback needs something in front that speaks TLS, for TLS listeners of the gateway's own " +
  "are not built yet: listen on localhost, or put nginx in front and start with --behind-proxy " +
  "(BUDGETGUARD_BEHIND_PROXY=1) and `identity: token` in the policy";

/** What is wrong with a policy under which anyone may claim a name while other machines can come in. */
export function tokensProblem(text: string): Note {
  const before = /^identity[ \t]*:/m.exec(text)?.index ?? 0;
  const line = text.slice(0, before).split("\n").length;
  const what =
    "must be token while the gateway listens off loopback: write identity: token and give out client " +
    "tokens, or listen on localhost";
  return { line, column: 1, path: "identity", text: what };
}
