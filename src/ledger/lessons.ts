// What the ledger can teach of how long requests take: a lesson from each ending, as it happens and, at
// start, from the newest ones on disk. It makes lessons; policy/learning.ts remembers them.

import type { DatabaseSync } from "node:sqlite";
import type { Lesson } from "../metering/learned-times.ts";
import { WINDOW } from "../metering/samples.ts";
import { type DurationUs, durationUs, earlier, HOUR, type Instant, instantUs } from "../metering/time.ts";
import { type Ending, OUTCOMES } from "../policy/admission.ts";
import type { Quote } from "../policy/decision.ts";
import { type Learning, teaches } from "../policy/learning.ts";
import type { OpenHold } from "./held.ts";

/** Undefined where nothing can be learned from it. */
export function lessonOf(
  hold: OpenHold,
  { bucket, time }: Quote,
  { outcome, status }: Ending,
  elapsed: DurationUs,
): Lesson | undefined {
  const { model, upstream, gpu_tier: tier } = hold.row.facts;
  const taught = teaches(outcome, status);
  if (taught === undefined || model === undefined || upstream === undefined) return undefined;
  const at = hold.stopped ?? hold.row.at;
  return { model, bucket, upstream, tier, at, elapsed, isWhole: taught === "whole", expected: time };
}

/** At start no more requests are looked at: a house of any size is ready as soon. */
export const MOST_REMEMBERED = 10_000;

/** Tells `learning` what the newest requests on disk teach, in their order, and what they tried. */
export function remember(database: DatabaseSync, learning: Learning, now: Instant): void {
  const statement = database.prepare(NEWEST);
  for (const row of statement.iterate(MOST_REMEMBERED, earlier(now, WINDOW))) {
    const text = (name: string) => (row[name] === null ? undefined : String(row[name]));
    const [model, upstream, bucket] = [text("model") ?? "", text("upstream") ?? "", text("work") ?? ""];
    const at = instantUs(Number(row.at));
    if (row.tries === 1 && at > earlier(now, HOUR)) learning.tried({ upstream, model, bucket }, at);
    const outcome = OUTCOMES.find((known) => known === row.outcome);
    const status = row.status === null ? undefined : Number(row.status);
    const taught = outcome && teaches(outcome, status);
    if (taught === undefined || row.elapsed === null) continue;
    learning.learn({
      ...{ model, bucket, upstream, tier: text("tier"), isWhole: taught === "whole" },
      at: instantUs(Number(row.ended_at ?? row.at)),
      elapsed: durationUs(Number(row.elapsed)),
      expected: row.expected === null ? undefined : durationUs(Number(row.expected)),
    });
  }
}

const NEWEST = `SELECT at, model, upstream, tier, work, expected, tries, outcome, status, elapsed, ended_at
  FROM decisions WHERE seq > (SELECT max(seq) FROM decisions) - ? AND at >= ? AND work IS NOT NULL
  ORDER BY seq`;
