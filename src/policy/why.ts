// Why a decision fell as it did, in words. It decides nothing.

import type { Question } from "./decide.ts";
import type { Breach } from "./decision.ts";
import type { Judged } from "./explain.ts";
import type { LeftOut, Ranking } from "./rank.ts";
import { stateOf } from "./slot-wait.ts";

export function ruleOf(breach: Breach): string {
  return `budget ${breach.budget} does not have what this needs, and its on_limit is ${breach.action}`;
}

export function whyChosen(
  question: Question,
  ranking: Ranking,
  judged: readonly Judged[],
  chosen: Judged,
): string {
  const { mode } = question.policy;
  if (mode === "manual") return whySelected(question, ranking);
  const tail = whySkipped(judged.slice(0, judged.indexOf(chosen)));
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
