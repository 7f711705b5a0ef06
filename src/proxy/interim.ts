// Replies before the reply (1xx). None goes on to the client: Python's http.client, and with it ComfyUI's NIM
// node, takes any but a 100 for the reply itself. RFC 8297 §3 lets a server leave them out for such clients.
// Here stands only how many an upstream may send.

import type { Fault } from "./relayed.ts";

/** One every four seconds for an hour; whoever sends more has no reply in mind. */
export const MOST_INTERIMS = 1_000;

export const INTERIM_FLOOD: Fault = {
  kind: "broken",
  reason: `the upstream sent more than ${MOST_INTERIMS} interim replies (1xx) and no reply`,
};
