// The sessions that were still going on when the ledger was last closed, or broke off: read from the newest
// requests at start. What a session is, and when it is over, is policy/sessions.ts's.

import type { DatabaseSync } from "node:sqlite";
import { type Instant, instantUs } from "../metering/time.ts";
import type { Sessions } from "../policy/sessions.ts";
import { MOST_REMEMBERED } from "./lessons.ts";

/** Tells `sessions` of those that were heard of since then: among the newest requests, as many as lessons. */
export function rememberSessions(
  database: DatabaseSync,
  sessions: Pick<Sessions, "remember">,
  since: Instant,
): void {
  for (const row of database.prepare(NEWEST).iterate(MOST_REMEMBERED, since)) {
    sessions.remember(String(row.user), String(row.session), instantUs(Number(row.last)));
  }
}

const NEWEST = `SELECT user, session, max(coalesce(ended_at, at)) AS last FROM decisions
  WHERE seq > (SELECT max(seq) FROM decisions) - ? AND coalesce(ended_at, at) >= ? AND session IS NOT NULL
  GROUP BY user, session ORDER BY last`;
