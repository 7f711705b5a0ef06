// Who could have served, at what price, from which source and how old; and what each budget said. Shared by
// `estimate`, which looks ahead, and `explain`, which looks back.

import type { Breach, CandidateQuote, Explanation } from "../sdk/client.ts";
import { counted } from "./counted.ts";
import { daysFrom, elapsed, turn } from "./moment.ts";
import { type Cell, type Column, table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { wordOf } from "./unit-word.ts";

/** `chosen`: how the chosen one is marked: "chosen", "would serve". */
export function candidateTable(explanation: Explanation, chosen: string, { out }: Terminal): string {
  if (explanation.candidates.length === 0) return "No upstream was a candidate.";
  const shown = table(
    out,
    [
      { title: "candidate" },
      { title: "provider" },
      { title: "estimate USD", align: "point" },
      { title: "time", align: "right" },
      { title: "price", wraps: true },
      { title: "source", wraps: true },
      { title: "age", wraps: true },
      { title: "outcome", wraps: true },
    ],
    explanation.candidates.map((candidate): readonly Cell[] => {
      const [price, source] = priceAndSource(candidate.price);
      return [
        nameOf(candidate),
        candidate.provider,
        candidate.estimate_usd,
        elapsed(candidate.time_us),
        price,
        source,
        ageOf(source, explanation.at),
        outcomeOf(candidate, explanation, chosen),
      ];
    }),
  );
  const times = explanation.candidates.flatMap(timeText);
  const starts = explanation.candidates.flatMap(startText);
  const successes = explanation.candidates.flatMap(successText);
  const own = explanation.candidates.flatMap(marginalText);
  return [
    shown,
    ...(times.length === 0 ? [] : [`Times: ${times.join("; ")}.`]),
    ...(starts.length === 0 ? [] : [`To be started first: ${starts.join("; ")}.`]),
    ...(successes.length === 0 ? [] : [`Successes: ${successes.join("; ")}.`]),
    ...(own.length === 0 ? [] : [`To the studio: ${own.join("; ")}.`]),
  ].join("\n");
}

/** Where an expected time comes from; records of earlier versions do not say. */
function timeText(candidate: CandidateQuote): readonly string[] {
  const { time_us, time_source } = candidate;
  if (time_source === null) return [];
  return [`${nameOf(candidate)} ${elapsed(time_us)}, ${time_source.replace(/;/g, ",")}`];
}

/** The sum that it was ranked by, against others that are up. */
function startText(candidate: CandidateQuote): readonly string[] {
  const { start_up, estimate_usd, rank_usd, success } = candidate;
  if (start_up === null) return [];
  const least = start_up.minimum_usd === "0.00" ? "" : ` + ${start_up.minimum_usd} least billing`;
  const parts = `${estimate_usd} work + ${start_up.usd} start (${elapsed(start_up.time_us)})${least}`;
  return [`${nameOf(candidate)} ${parts}${success === null ? ` = ${rank_usd} USD` : " USD"}`];
}

function successText(candidate: CandidateQuote): readonly string[] {
  const { success, rank_usd } = candidate;
  if (success === null) return [];
  const share = `${success.successes} of its last ${success.requests}`;
  return [`${nameOf(candidate)} ${share}, so that one costs about ${rank_usd} USD`];
}

/** Where the studio's own bill grows by another amount than the request pays. */
function marginalText(candidate: CandidateQuote): readonly string[] {
  const { estimate_usd, marginal_usd } = candidate;
  if (marginal_usd === null || marginal_usd === estimate_usd) return [];
  return [`${nameOf(candidate)} adds ${marginal_usd} USD to what its machine costs anyway`];
}

/** "flux-local", or "flux-local: flux-schnell" where it would serve the fallback model. */
function nameOf({ upstream, model }: CandidateQuote): string {
  return model === null ? upstream : `${upstream}: ${model}`;
}

/** One upstream may be a candidate for both models. */
export function isChosen({ upstream, model }: CandidateQuote, { chosen, degraded }: Explanation): boolean {
  const fallback = degraded === null || degraded.to.model === degraded.from.model ? null : degraded.to.model;
  return upstream === chosen && model === fallback;
}

function outcomeOf(candidate: CandidateQuote, explanation: Explanation, mark: string): Cell {
  if (isChosen(candidate, explanation)) return { text: mark, style: "green" };
  const { left_out } = candidate;
  return left_out === null ? "ranked after it" : `left out: ${left_out}`;
}

/** "1.006 USD/h, rate card …" in its two parts; a price of tokens has a comma of its own. */
function priceAndSource(text: string): readonly [string, string] {
  const [, price, source] = /^(.*?USD[^,]*), (.*)$/.exec(text) ?? [];
  return price === undefined || source === undefined ? [text, ""] : [price, source];
}

function ageOf(source: string, at: string): string {
  const day = / of (\d{4}-\d{2}-\d{2})/.exec(source)?.[1];
  if (day === undefined) return / of unknown\b/.test(source) ? "unknown" : "";
  const days = daysFrom(day, at);
  return counted(days, "day");
}

/** Of the chosen candidate or, where none was, of all: that is where the reason is. */
export function budgetsBefore(explanation: Explanation, { out, timeZone }: Terminal): string {
  const { candidates, chosen } = explanation;
  const told = candidates.filter((candidate) => chosen === null || isChosen(candidate, explanation));
  const rows = told.flatMap((candidate) =>
    candidate.budgets.map((budget): readonly Cell[] => [
      chosen === null && told.length > 1 ? nameOf(candidate) : "",
      budget.shadow ? `${budget.budget} (shadow)` : budget.budget,
      budget.limit,
      wordOf(budget.unit),
      budget.settled,
      budget.held,
      budget.needed,
      budget.fits ? { text: "yes", style: "green" } : { text: "no", style: "red" },
      // Work of one task or session, or of all time: nothing that a day could be told of.
      budget.resets_at === null ? "" : turn(budget.resets_at, timeZone),
    ]),
  );
  const columns: readonly Column[] = [
    { title: "candidate" },
    { title: "budget", wraps: true },
    { title: "limit", align: "point" },
    { title: "unit" },
    { title: "settled", align: "point" },
    { title: "held", align: "point" },
    { title: "needed", align: "point" },
    { title: "fits" },
    { title: "resets", wraps: true },
  ];
  return rows.length === 0 ? "No budget covers it." : table(out, columns, rows);
}

export function breachText({ budget, action, ...breach }: Breach): string {
  const { unit, limit, settled, held, needed, resets_at, timezone } = breach;
  const resets = resets_at === null ? "" : `; it resets ${turn(resets_at, timezone)}`;
  return (
    `budget ${budget} (on_limit: ${action}) has ${settled} settled and ${held} held of ` +
    `${limit} ${wordOf(unit)}, this needs ${needed}${resets}`
  );
}

export function alternativesText({ alternatives, candidates }: Explanation): string {
  if (alternatives.length === 0) {
    // Else it was something other than budgets: all spending is stopped, say.
    const isTheirs = candidates.every(({ budgets }) => budgets.some(({ fits }) => !fits));
    return isTheirs ? "Budgets would have let nothing through." : "No budget stood in its way.";
  }
  const each = alternatives.map(({ upstream, estimate_usd }) => `${upstream} (${estimate_usd} USD)`);
  return `Budgets would have let through: ${each.join(", ")}.`;
}
