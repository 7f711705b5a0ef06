// From the policy file's text to the frozen policy, or to all of its problems with their places. Wrong parts
// are cut out and the rest is checked all the same, so that one mistake hides no other; only where the text
// is no YAML is nothing else looked at.

import type { Rate } from "../metering/rate-card.ts";
import type { Note, Policy } from "./policy.ts";
import { buildPolicy } from "./schema/build.ts";
import { checkBudgets } from "./schema/check-budgets.ts";
import { checkContainers } from "./schema/check-containers.ts";
import { checkNames, repeatedBudgetIds } from "./schema/check-names.ts";
import { checkNetwork } from "./schema/check-network.ts";
import { noteInactive } from "./schema/inactive.ts";
import { noteBudgets } from "./schema/note-budgets.ts";
import { noteChoice } from "./schema/note-choice.ts";
import { noteFallbacks } from "./schema/note-fallbacks.ts";
import { noteHosted } from "./schema/note-hosted.ts";
import { noteIdle } from "./schema/note-idle.ts";
import { notePrices } from "./schema/note-prices.ts";
import { resolvePrices } from "./schema/resolve-price.ts";
import type { Names, PolicyContext, Scene } from "./schema/scene.ts";
import { readShape, type Shape, touches } from "./schema/shape.ts";
import { readSource, type Source } from "./schema/source.ts";
import { commaText } from "./schema/syntax.ts";
import { isZone } from "./schema/words.ts";

export type { PolicyContext } from "./schema/scene.ts";

export type ParsedPolicy =
  | { readonly kind: "policy"; readonly policy: Policy }
  | { readonly kind: "problems"; readonly problems: readonly [Note, ...Note[]] };

/** More would not be read; the last one then says that there are more. */
const MOST_PROBLEMS = 200;

/** Never throws for anything that a file can contain. */
export function parsePolicy(text: string, context: PolicyContext): ParsedPolicy {
  const source = readSource(text);
  if (isProblems(source)) return { kind: "problems", problems: sorted(source) };
  const names = namesOf(source.value);
  const repeated = repeatedBudgetIds(source.value);
  const shape = readShape(source.value);
  const found: Note[] = [...source.problems];
  for (const { path, text: what } of repeated) found.push(source.note(path, what));
  const rows = text.split("\n");
  for (const { path, text: what, at } of shape.problems) {
    const note = source.note(path, what, at);
    const before = rows[note.line - 1]?.slice(Math.max(0, note.column - 41), note.column - 1) ?? "";
    found.push({ ...note, text: (at === "key" && commaText(before, path.at(-1))) || what });
  }

  const notes: Note[] = [];
  const rates = context.rates.under(liveOf(context, shape));
  const scene = sceneOf({ ...context, rates }, names, shape, source, found, notes);
  if (shape.file.version === undefined) scene.problem(["version"], "is missing: write version: 1");
  if (shape.file.timezone === undefined && !isZone(context.timezone)) {
    scene.problem(
      ["timezone"],
      "is missing, and this machine's (TZ) is unknown: write timezone: Europe/Berlin",
    );
  }
  checkNames(shape.file, scene);
  checkNetwork(shape.file, scene);
  checkBudgets(shape.file, scene);
  noteChoice(shape.file, scene);
  noteHosted(shape.file, scene);
  notePrices(shape.file, scene);
  const prices = resolvePrices(shape.file, scene);
  checkContainers(shape.file, prices, scene);
  noteInactive(source.value, scene.note);
  if (shape.file.models.size === 0)
    scene.note(["models"], "no models: there is nothing that clients could ask for");

  if (found.length > 0) return { kind: "problems", problems: sorted(found as [Note, ...Note[]]) };
  const built = buildPolicy(shape.file, prices, { ...context, rates });
  noteFallbacks(built, scene.note);
  noteIdle(built, scene.note);
  noteBudgets(built, shape.file.budgets.length, scene.note);
  return { kind: "policy", policy: Object.freeze({ ...built, notes: sorted(notes) }) };
}

/** policy.yaml:12:5 budgets[0].limit_usd: what is wrong */
export function formatNote(file: string, note: Note): string {
  const path = note.path === "" ? "" : ` ${note.path}`;
  return `${file}:${note.line}:${note.column}${path}: ${note.text}`;
}

/** Whoever takes a source out of the policy is charged by the shipped list again. */
function liveOf({ live = [] }: PolicyContext, { file }: Shape): readonly Rate[] {
  const sources: readonly string[] = file.prices?.sources ?? [];
  return sources.length === 0 ? [] : live.filter(({ provider }) => sources.includes(provider));
}

function isProblems(source: Source | readonly [Note, ...Note[]]): source is readonly [Note, ...Note[]] {
  return Array.isArray(source);
}

function sceneOf(
  context: PolicyContext,
  names: Names,
  shape: Shape,
  source: Source,
  found: Note[],
  notes: Note[],
): Scene {
  return {
    context,
    names,
    problem: (path, text) => {
      const original = shape.original(path);
      // What was cut out is told of already; that it is now missing is not news.
      if (shape.problems.some((known) => touches(known.path, original))) return;
      found.push(source.note(original, text));
    },
    note: (path, text) => {
      notes.push(source.note(shape.original(path), text));
    },
  };
}

function namesOf(value: unknown): Names {
  const keysOf = (section: string) => {
    const held: unknown =
      typeof value === "object" && value !== null ? Reflect.get(value, section) : undefined;
    const isMapping = typeof held === "object" && held !== null && !Array.isArray(held);
    return new Set(isMapping ? Object.keys(held) : []);
  };
  return { upstreams: keysOf("upstreams"), models: keysOf("models"), machines: keysOf("machines") };
}

type AtLeastOne<N> = N extends readonly [Note, ...Note[]] ? [Note, ...Note[]] : Note[];

function sorted<N extends readonly Note[]>(notes: N): AtLeastOne<N> {
  const all: Note[] = notes.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const last = all[MOST_PROBLEMS - 1];
  if (last && all.length > MOST_PROBLEMS) {
    all.splice(MOST_PROBLEMS - 1, all.length, {
      ...last,
      path: "",
      text: "there are more problems from here on",
    });
  }
  return all as AtLeastOne<N>;
}
