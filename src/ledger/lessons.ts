// What the ledger can teach of how long requests take: a lesson from each ending, as it happens and, at
// start, from the newest ones on disk. It makes lessons; policy/learning.ts remembers them.

import type { DatabaseSync } from "node:sqlite";
import type { Lesson } from "../metering/learned-times.ts";
import { WINDOW } from "../metering/samples.ts";
import { durationUs, earlier, HOUR, type Instant, instantUs } from "../metering/time.ts";
import { OUTCOMES, type Outcome } from "../policy/admission.ts";
import { type Learning, teaches } from "../policy/learning.ts";

export interface EndedWork extends Omit<Lesson, "isWhole"> {
  readonly outcome: Outcome;
  readonly status: number | undefined;
}

/** Undefined where nothing can be learned from it. */
export function lessonOf({ outcome, status, ...work }: EndedWork): Lesson | undefined {
  const taught = teaches(outcome, status);
  return taught === undefined ? undefined : { ...work, isWhole: taught === "whole" };
}

/** At start no more requests are looked at: a house of any size is ready as soon. */
export const MOST_REMEMBERED = 10_000;

/** Tells `learning` what the newest requests on disk teach, in their order, and what they tried. */
export function remember(database: DatabaseSync, learning: Learning, now: Instant): void {
  const statement = database.prepare(NEWEST);
  for (const row of statement.iterate(MOST_REMEMBERED, earlier(now, WINDOW))) {
    const text = (name: string) => (row[name] === null ? undefined : String(row[name]));
    const number = (name: string) => (row[name] === null ? undefined : Number(row[name]));
    const [model, upstream, bucket] = [text("model"), text("upstream"), text("work")];
    if (model === undefined || upstream === undefined || bucket === undefined) continue;
    const at = instantUs(Number(row.at));
    if (row.tries === 1 && at > earlier(now, HOUR)) learning.tried({ upstream, model, bucket }, at);
    const outcome = OUTCOMES.find((known) => known === row.outcome);
    if (outcome !== undefined)
      learning.ended(upstream, { outcome, status: number("status") }, instantUs(number("ended_at") ?? at));
    const elapsed = number("elapsed");
    if (outcome === undefined || elapsed === undefined) continue;
    const expected = number("expected");
    const lesson = lessonOf({
      ...{ model, bucket, upstream, tier: text("tier"), outcome, status: number("status") },
      at: instantUs(number("ended_at") ?? at),
      elapsed: durationUs(elapsed),
      expected: expected === undefined ? undefined : durationUs(expected),
    });
    if (lesson !== undefined) learning.learn(lesson);
  }
}

const NEWEST = `SELECT at, model, upstream, tier, work, expected, tries, outcome, status, elapsed, ended_at
  FROM decisions WHERE seq > (SELECT max(seq) FROM decisions) - ? AND at >= ? AND work IS NOT NULL
  ORDER BY seq`;
