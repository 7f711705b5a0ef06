// The words of the wire that are closed lists. The core has the same ones; the client repeats them so that it
// stands alone, and a test holds the two together.

export const MODES = ["manual", "lowest_price", "local"] as const;

export const ACTIONS = ["ignore", "warn", "soft_limit", "degrade", "queue", "block"] as const;

/** What a budget can limit. */
export const UNITS = ["usd", "requests", "images", "seconds", "tokens"] as const;
export type Unit = (typeof UNITS)[number];

export const PERIODS = [
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "yearly",
  "infinite",
  "per_session",
  "per_task",
] as const;

export const ROLES = ["use", "read", "operate", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Whose prices can be fetched. */
export const PRICE_SOURCES = ["aws", "azure", "gcp", "runpod", "lambda"] as const;

/** How a request can end. */
export const OUTCOMES = [
  "relayed",
  "failed",
  "aborted",
  "truncated",
  "cut",
  "refused",
  "no_upstream",
  "unsent",
  "unknown",
] as const;

/** What webhooks can be told of. */
export const ALERT_EVENTS = [
  "warning",
  "critical",
  "limit",
  "anomaly",
  "container",
  "policy",
  "price",
  "ledger",
] as const;

export const ALERT_SEVERITIES = ["warning", "critical"] as const;

export const ALERT_TOPICS = ["budget", "rule", "spend", "container", "policy", "price", "ledger"] as const;

/** Whose credentials TechOps' tools store. */
export const CREDENTIAL_OWNERS = ["aws", "azure", "gcp", "nvidia"] as const;

export const CREDENTIAL_STATUSES = ["found", "invalid", "test", "missing"] as const;
