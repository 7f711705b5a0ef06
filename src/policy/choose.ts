// Which candidate takes the request now, which of them it waits for, or which budget decides alone (MONEY
// §5). It is given them in rank order, judged by budgets; it holds nothing and words nothing.
//
// 1. Budgets that every candidate shares: who does not fit them drops out. If nobody is left they decide
//    alone, as the one that asks for least finds them.
// 2. Else the first that fits its budgets and can take it now. What is only busy is passed over. A budget of
//    one candidate that says block or queue drops that one in lowest_price, and is the outcome in manual and
//    local; one that says degrade is followed, once, to something cheaper that fits all of its own budgets,
//    and does its `then` where there is none.
// 3. Else wait for those that fit and cannot now: for whichever is free first.
// 4. Are all of these ejected, the one that would be tried again first is tried at once, one request at a
//    time: ejection spares clients a bad upstream where there is a better one, and refuses nothing that might
//    work.
// 5. Nobody fits: the strictest action on the first-ranked candidate.

import type { Demand } from "./claims.ts";
import type { Quote } from "./decision.ts";
import type { Judged } from "./explain.ts";
import { lastsFor } from "./hindrance.ts";
import { lastActionOf, onLimitOf, sharedOf, strictest } from "./judge.ts";
import { isStrict, type Mode } from "./policy.ts";

export type Choice = Served | Stopped;

export type Served = (
  | { readonly kind: "takes"; readonly one: Judged }
  /** At least one. */
  | { readonly kind: "waits"; readonly all: readonly Judged[] }
) & {
  /** All are ejected: it tries one, or waits for the trial of one to end. */
  readonly isLastResort: boolean;
  /** From whom a budget led it here. */
  readonly degraded: { readonly from: Judged; readonly by: Demand } | undefined;
};

/** Budgets let none through. */
export interface Stopped {
  readonly kind: "stops";
  readonly action: "queue" | "block";
  readonly by: Demand;
  /** For which of them it may wait, in rank order. */
  readonly all: readonly Judged[];
  /** Cheaper ones that it would take as soon as they fit all of their budgets, which they do not now. */
  readonly targets: readonly Judged[];
}

/** Something cheaper than this one, whether it fits its own budgets or not, best first. */
export type CheaperThan = (one: Judged) => readonly Judged[];

/** `ranked` has at least one. */
export function choose(mode: Mode, ranked: readonly Judged[], cheaper: CheaperThan): Choice {
  const [first] = ranked;
  if (first === undefined) throw new Error("there is nobody to choose from");
  const left = ranked.filter((one) => sharedOf(one.unmet).length === 0);
  if (left.length === 0) {
    const acted = act({ from: first, all: ranked }, unmetByAll(ranked), cheaper);
    // They only looked for something cheaper, and let it pass.
    return acted ?? choose(mode, ranked.map(withoutLenient), cheaper);
  }
  const passed: Judged[] = [];
  for (const one of left) {
    if (one.unmet.length > 0) {
      // What is only busy is waited for before the budgets of the next one act.
      const acted = passed.length === 0 ? act({ from: one, all: [one] }, one.unmet, cheaper) : BREAK;
      if (mode === "lowest_price" && (acted === BREAK || acted?.kind === "stops")) continue;
      if (acted === BREAK) break;
      if (acted !== undefined) return acted;
    }
    if (one.quote.hindrance === undefined) return takes(one);
    passed.push(one);
    if (mode === "manual") break;
  }
  const served = passed.length > 0 ? serve(passed) : act({ from: first, all: ranked }, first.unmet, cheaper);
  return served ?? serve([first]) ?? takes(first);
}

const BREAK = "break";

interface Acting {
  /** Whose price is to be undercut. */
  readonly from: Judged;
  readonly all: readonly Judged[];
}

/** Undefined where the budgets let it pass after all. */
function act({ from, all }: Acting, unmet: readonly Demand[], cheaper: CheaperThan): Choice | undefined {
  const worst = strictest(unmet);
  if (worst === undefined) throw new Error("a budget that has what is asked for acted");
  const action = onLimitOf(worst);
  if (isStrict(action)) return { kind: "stops", action, by: worst, all, targets: [] };
  const targets = cheaper(from);
  const served = serve(targets.filter((one) => one.unmet.length === 0));
  if (served !== undefined) return { ...served, degraded: { from, by: worst } };
  const last = strictest(unmet, lastActionOf) ?? worst;
  const then = lastActionOf(last);
  return isStrict(then) ? { kind: "stops", action: then, by: last, all, targets } : undefined;
}

/** Of those that fit their budgets; undefined where there are none. */
function serve(all: readonly Judged[]): Served | undefined {
  if (all.length === 0) return undefined;
  const free = all.find(({ quote }) => quote.hindrance === undefined);
  if (free !== undefined) return takes(free);
  const waits = { kind: "waits", all, degraded: undefined } as const;
  if (!all.every(({ quote }) => isOut(quote))) return { ...waits, isLastResort: false };
  const one = soonest(all.filter(({ quote }) => quote.hindrance?.kind === "ejected"));
  return one === undefined ? { ...waits, isLastResort: true } : { ...takes(one), isLastResort: true };
}

function takes(one: Judged): Served {
  return { kind: "takes", one, isLastResort: false, degraded: undefined };
}

function withoutLenient(one: Judged): Judged {
  return { ...one, unmet: one.unmet.filter((demand) => isStrict(lastActionOf(demand))) };
}

/**
 * The shared budgets that have not even what the least asking candidate needs, each with that need. Where
 * each has enough for one of them, and none of them fits all budgets: what the first-ranked lacks.
 */
function unmetByAll([first, ...others]: readonly Judged[]): readonly Demand[] {
  const own = first === undefined ? [] : sharedOf(first.unmet);
  const byAll = own.flatMap((demand) => {
    let least = demand;
    for (const { unmet } of others) {
      const same = unmet.find((other) => isSame(other, demand));
      if (same === undefined) return [];
      if (same.amount < least.amount) least = same;
    }
    return [least];
  });
  return byAll.length > 0 ? byAll : own;
}

function isSame(one: Demand, other: Demand): boolean {
  return one.coverage.ground === other.coverage.ground && one.period.start === other.period.start;
}

function isOut({ hindrance }: Quote): boolean {
  return hindrance?.kind === "ejected" || hindrance?.kind === "trial";
}

function soonest(ejected: readonly Judged[]): Judged | undefined {
  const until = ({ quote }: Judged) => (quote.hindrance && lastsFor(quote.hindrance)) ?? 0;
  let first: Judged | undefined;
  for (const one of ejected) if (first === undefined || until(one) < until(first)) first = one;
  return first;
}
