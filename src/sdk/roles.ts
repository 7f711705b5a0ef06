// Who may do what: the one table that API, command line and pages ask.

import type { Role } from "./vocabulary.ts";

/** A role that a token gives, or that of a loopback caller without one. */
export type CallerRole = Role | "anonymous";

export const RIGHTS = [
  /** NIM requests, through the gateway's ports. */
  "call",
  /** Every GET, and questions that change nothing. */
  "read",
  "cancel",
  /** Mode, selections, containers, queue, alerts. */
  "operate",
  /** Budgets, policy, tokens, stop-all, adjustments, approvals. */
  "administer",
] as const;
export type Right = (typeof RIGHTS)[number];

/** "own": only what the caller itself has asked for or spent. */
export type Permission = "all" | "own" | "none";

/**
 * Without a token nobody may cancel over the admin API, not even their own: every write there needs one, or
 * any program on the machine could end everybody's work.
 */
const permissions = {
  anonymous: { call: "own", read: "all", cancel: "none", operate: "none", administer: "none" },
  use: { call: "own", read: "own", cancel: "own", operate: "none", administer: "none" },
  read: { call: "none", read: "all", cancel: "none", operate: "none", administer: "none" },
  operate: { call: "own", read: "all", cancel: "all", operate: "all", administer: "none" },
  admin: { call: "own", read: "all", cancel: "all", operate: "all", administer: "all" },
} as const satisfies Record<CallerRole, Record<Right, Permission>>;

export function permission(role: CallerRole, right: Right): Permission {
  return permissions[role][right];
}
