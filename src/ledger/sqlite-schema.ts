// The tables of DATA/ledger.db. Amounts are nano-dollars, instants and durations microseconds, all as
// 64-bit integers; STRICT, so that a float can never slip in.

import { FOREVER } from "../metering/time.ts";
import { DAYS, ROLL_UP_DAYS } from "./day-sums.ts";

export const SCHEMA_VERSION = 5;

/** What brings a ledger of an earlier version to the next one: by the version that it begins at. */
export const MIGRATIONS: Readonly<Record<number, string>> = {
  1: ["entries", "rollups"]
    .flatMap((table) => ["input_tokens", "output_tokens"].map((column) => [table, column]))
    .map(([table, column]) => `ALTER TABLE ${table} ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0;`)
    .join(" "),
  2:
    "ALTER TABLE decisions ADD COLUMN work TEXT; ALTER TABLE decisions ADD COLUMN expected INTEGER; " +
    "ALTER TABLE decisions ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;",
  3: ROLL_UP_DAYS,
  4:
    "ALTER TABLE balances ADD COLUMN moved INTEGER NOT NULL DEFAULT 0; UPDATE balances SET moved = " +
    `coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'high_water'), 0) WHERE end = ${FOREVER};`,
};

/** Columns of `entries` that a budget's `when` or `per` can ask about, by scope. */
export const SCOPE_COLUMNS: Readonly<Record<string, string>> = {
  provider: "provider",
  upstream: "upstream",
  machine: "machine",
  model: "model",
  gpu_tier: "tier",
  user: "user",
  workflow: "workflow",
  session: "session",
  task: "task",
  node: "node",
  project: "project",
  tag: "tag",
};

export const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  kind TEXT NOT NULL,
  request TEXT, client_request_id TEXT,
  provider TEXT, upstream TEXT, machine TEXT, model TEXT, tier TEXT,
  user TEXT, workflow TEXT, session TEXT, task TEXT, node TEXT, project TEXT, tag TEXT,
  amount INTEGER NOT NULL,
  elapsed INTEGER NOT NULL,
  images INTEGER NOT NULL,
  outcome TEXT,
  is_last INTEGER NOT NULL,
  price TEXT NOT NULL,
  price_source TEXT NOT NULL,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS entries_at ON entries (at);
CREATE INDEX IF NOT EXISTS entries_request ON entries (request);

-- \`moved\`: when something was last held, given back or counted there.
CREATE TABLE IF NOT EXISTS balances (
  account TEXT NOT NULL,
  start INTEGER NOT NULL,
  end INTEGER NOT NULL,
  unit TEXT NOT NULL,
  settled INTEGER NOT NULL,
  held INTEGER NOT NULL,
  moved INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (account, start, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS balances_end ON balances (end);

CREATE TABLE IF NOT EXISTS grounds (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Of a ground whose fold came too late: entries of before that moment were gone, and no sum stands for them.
CREATE TABLE IF NOT EXISTS fold_gaps (key TEXT PRIMARY KEY, before INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Since when a ground counts: entries of from \`since\` on that were there, and all that came after \`seq\`.
CREATE TABLE IF NOT EXISTS folds (
  key TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  since INTEGER NOT NULL,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS reservations (
  id TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  held TEXT NOT NULL,
  joined TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leases (
  machine TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Leases of containers, by what their provider calls them. \`idle\` and \`startup\`: what was posted of them.
-- \`is_over\`: 0 while it may be up, 1 once it is off; 2 when only its names, start and end are still known.
CREATE TABLE IF NOT EXISTS containers (
  key TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  state TEXT NOT NULL,
  is_over INTEGER NOT NULL,
  idle INTEGER NOT NULL,
  startup INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS decisions (
  seq INTEGER PRIMARY KEY,
  request TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  client_request_id TEXT,
  provider TEXT, upstream TEXT, model TEXT, tier TEXT,
  user TEXT, workflow TEXT, session TEXT, task TEXT, node TEXT, project TEXT, tag TEXT,
  estimate INTEGER NOT NULL,
  hold INTEGER NOT NULL,
  explanation TEXT NOT NULL,
  outcome TEXT,
  status INTEGER,
  charged INTEGER,
  elapsed INTEGER,
  ended_at INTEGER,
  after TEXT,
  work TEXT,
  expected INTEGER,
  tries INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX IF NOT EXISTS decisions_client ON decisions (client_request_id)
  WHERE client_request_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS decisions_under_way ON decisions (seq) WHERE outcome IS NULL;

CREATE TABLE IF NOT EXISTS rollups (
  bucket INTEGER NOT NULL,
  dimension TEXT NOT NULL,
  value TEXT NOT NULL,
  requests INTEGER NOT NULL,
  images INTEGER NOT NULL,
  elapsed INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  busy INTEGER NOT NULL DEFAULT 0,
  container_amount INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (bucket, dimension, value)
) STRICT, WITHOUT ROWID;

${DAYS}

CREATE TABLE IF NOT EXISTS alerts (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  once TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  severity TEXT NOT NULL,
  topic TEXT NOT NULL,
  subject TEXT NOT NULL,
  value TEXT,
  unit TEXT,
  period_start INTEGER NOT NULL,
  period_end INTEGER NOT NULL,
  timezone TEXT NOT NULL,
  text TEXT NOT NULL,
  advice TEXT,
  figures TEXT NOT NULL,
  deliveries TEXT NOT NULL,
  acknowledged_at INTEGER,
  acknowledged_by TEXT
) STRICT;

-- Of one budget: no balance counts them. Nothing here is ever edited.
CREATE TABLE IF NOT EXISTS adjustments (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  budget TEXT NOT NULL,
  unit TEXT NOT NULL,
  value TEXT,
  account TEXT NOT NULL,
  start INTEGER NOT NULL,
  end INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  author TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS adjustments_budget ON adjustments (budget, end);
CREATE INDEX IF NOT EXISTS adjustments_account ON adjustments (account);

-- The last entry that was there when an adjustment was made.
CREATE TABLE IF NOT EXISTS adjustment_marks (
  seq INTEGER PRIMARY KEY,
  entries INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS switches (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  at INTEGER NOT NULL,
  author TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS turns (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  author TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS turns_name ON turns (name, seq);

CREATE TABLE IF NOT EXISTS tokens (
  sha256 TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
