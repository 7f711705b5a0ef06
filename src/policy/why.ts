// The sentences of a decision: which rule fired, and why the others did not. It decides nothing.

import { durationText } from "../metering/duration-text.ts";
import type { Demand } from "./claims.ts";
import type { Question } from "./decide.ts";
import type { Degraded, Quote } from "./decision.ts";
import { degradedText } from "./degrade.ts";
import type { Judged } from "./explain.ts";
import { hindranceText } from "./hindrance.ts";
import type { LeftOut, Ranking } from "./rank.ts";
export function slotReason(model: string, all: readonly Judged[]): string {
  const states = all.map(({ quote }) => stateOf(quote));
  return `no upstream of ${model} can take it now: ${states.join("; ")}`;
}

export function degradeRule(degraded: Degraded, more?: string): string {
  const rule = `budget ${degraded.budget} does not have what this needs, and its on_limit is degrade`;
  return `${rule}: ${degradedText(degraded)}${more === undefined ? "" : `; ${more}`}`;
}

/** `hopeless`: it would wait, but not even the whole limit is enough. */
export function refusalRule(by: Demand, hopeless?: "hopeless"): string {
  const limit = hopeless === undefined ? "" : ": more than its limit, so that waiting would not help";
  return `${breached(by)}${limit}`;
}

export function waitRule(by: Demand, isParked: boolean, ahead: number): string {
  const { maxWait } = by.coverage.ground.budget;
  const ends = by.period.end < Number.MAX_SAFE_INTEGER;
  const parked = ends ? "until it resets, or is raised" : "until it is raised";
  const until = isParked ? parked : "until others give back what they hold";
  const place = `number ${ahead + 1} in line`;
  return `${breached(by)}: it waits ${until}, at most ${durationText(maxWait)}; ${place}`;
}

function breached(by: Demand): string {
  const { id, onLimit, then } = by.coverage.ground.budget;
  const otherwise = onLimit === "degrade" ? `, nothing cheaper fits, and its then is ${then}` : "";
  const and = otherwise === "" ? ", and" : ",";
  return `budget ${id} does not have what this needs${and} its on_limit is ${onLimit}${otherwise}`;
}

function stateOf({ upstream, hindrance }: Quote): string {
  return `${upstream.id} is ${hindrance === undefined ? "free" : hindranceText(hindrance)}`;
}
export function whyChosen(
  question: Question,
  ranking: Ranking,
  judged: readonly Judged[],
  chosen: Judged,
): string {
  const { mode } = question.policy;
  if (mode === "manual") return whySelected(question, ranking);
  const tail = whySkipped(
    judged.slice(
      0,
      judged.findIndex(({ quote }) => quote === chosen.quote),
    ),
  );
  const count = judged.length;
  const unable = ranking.unfit.length === 0 ? "" : `; ${namesOf(ranking.unfit)} cannot serve this request`;
  if (mode === "local")
    return `the first of ${count} local upstream${count === 1 ? "" : "s"}${tail}${unable}`;
  const locals = namesOf(ranking.leftOut);
  const without = locals === "" ? "" : `; ${locals} left out: lowest_price.include_local is false`;
  if (chosen.quote.standing === "tried")
    return `chosen to learn how long such work takes there${tail}${without}${unable}`;
  return `the lowest price of ${count} candidate${count === 1 ? "" : "s"}${tail}${without}${unable}`;
}

function namesOf(leftOut: readonly LeftOut[]): string {
  return leftOut.map(({ quote }) => quote.upstream.id).join(", ");
}

function whySkipped(skipped: readonly Judged[]): string {
  const unfit = skipped.filter(({ unmet }) => unmet.length > 0).map(({ quote }) => quote.upstream.id);
  const hindered = skipped.filter(({ unmet }) => unmet.length === 0).map(({ quote }) => stateOf(quote));
  const told = [...(unfit.length === 0 ? [] : [`${unfit.join(", ")} did not fit the budgets`]), ...hindered];
  return told.length === 0 ? "" : ` (${told.join("; ")})`;
}

function whySelected({ model, task, unreachable }: Question, { unfit }: Ranking): string {
  const asked = [task.provider, task.gpuTier].filter((word) => word !== undefined);
  if (asked.length > 0) return `the request asked for ${asked.join(" ")}`;
  if (model.manual !== undefined) return "it is the model's `manual`";
  const reached = unreachable.length === 0 ? [] : ["could be reached"];
  const that = [...reached, ...(unfit.length === 0 ? [] : ["can serve this request"])].join(" and ");
  return `it is the first listed${that === "" ? "" : ` that ${that}`}: the model names no \`manual\``;
}

export function whyNone({ policy, model, unreachable }: Question, ranking: Ranking): string {
  const leftOut = [...ranking.unfit, ...ranking.leftOut];
  if (unreachable.length > 0) {
    return `${unreachable.join(", ")} could not be reached, and no other may serve in mode ${policy.mode}`;
  }
  if (leftOut.length === 0) return `no upstream of ${model.id} is up`;
  const reasons = [...new Set(leftOut.map(({ why }) => why))];
  const said = reasons.map((why) => `${namesOf(leftOut.filter((one) => one.why === why))} left out, ${why}`);
  const can = ranking.isRequests ? "can serve this request" : `may serve in mode ${policy.mode}`;
  return `no upstream of ${model.id} ${can}: ${said.join("; ")}`;
}
