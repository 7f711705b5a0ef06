// What the ledger can teach of how long containers take to start: its leases say when each one's provider
// started it, and when it served. Of those that cost nothing there is no lease.

import type { DatabaseSync } from "node:sqlite";
import { StartupTimes } from "../metering/startup-times.ts";
import { durationUs } from "../metering/time.ts";

/** At start no more leases are looked at. */
const MOST_REMEMBERED = 1_000;

/** Of one that served when it was first seen nobody knows how long it took. */
const TAKEN = `SELECT upstream, took FROM (
    SELECT at, state ->> '$.about.upstream' AS upstream,
      (state ->> '$.state.phase.at') - (state ->> '$.state.start') AS took
    FROM containers ORDER BY at DESC LIMIT ?)
  WHERE took > 0 AND upstream IS NOT NULL ORDER BY at`;

export function rememberStartups(database: DatabaseSync): StartupTimes {
  const times = new StartupTimes();
  for (const { upstream, took } of database.prepare(TAKEN).iterate(MOST_REMEMBERED)) {
    times.learn(String(upstream), durationUs(Number(took)));
  }
  return times;
}
