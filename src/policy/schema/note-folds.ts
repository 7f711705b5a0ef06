// Where a budget that is new cannot begin with all that it would have counted (MONEY §4). Entries are kept
// for longer than the longest period that turns, a year: only those of `infinite` may be gone by then.

import { DAY } from "../../metering/time.ts";
import type { Budget } from "../policy.ts";
import {
  ENTRIES_KEPT,
  isNamedByClients,
  MOST_VALUES_A_DAY,
  ROLLED_NAMES,
  ROLLED_PLACES,
  rolledBy,
} from "../rolled-up.ts";
import { listed } from "./near.ts";
import type { Path } from "./source.ts";

const KEPT = `${ENTRIES_KEPT / DAY} days`;

export function noteFold(budget: Budget, tell: (path: Path, text: string) => void): void {
  const { period, enabled } = budget;
  if (!enabled) return;
  const text = period === "infinite" ? gone(budget) : isPassing(period) ? passing(period) : undefined;
  if (text !== undefined) tell(["period"], `when this budget is new, ${text}`);
}

function isPassing(period: Budget["period"]): period is "per_task" | "per_session" {
  return period === "per_task" || period === "per_session";
}

/** Older entries of a session or task are not looked for (ledger/folding.ts). */
function passing(period: "per_task" | "per_session"): string {
  const one = period === "per_task" ? "task" : "session";
  return `what a ${one} spent more than a day before does not count`;
}

function gone({ when, per }: Budget): string | undefined {
  const by = rolledBy(when.keys(), per);
  if (by === undefined) {
    const all = listed([...ROLLED_PLACES, ...ROLLED_NAMES]);
    return (
      `it misses what is older than ${KEPT} where those entries are gone: longer than that only sums by ` +
      `one of ${all} are kept, so use one of these alone, or make it before`
    );
  }
  if (!isNamedByClients(by)) return undefined;
  return (
    `it may miss some of days more than ${KEPT} ago on which there were more than ${MOST_VALUES_A_DAY} ` +
    `${by}s: those beyond are summed as one; make it before, or count by what the policy names`
  );
}
