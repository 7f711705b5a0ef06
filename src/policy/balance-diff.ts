// What a policy does to balances: a budget that is new, or counts something else now, begins with what it
// would have counted (MONEY §4), and whoever changes a limit looks at what is spent. A reload tells it once
// it is done, `check` before. It knows no ledger: what is settled is handed in.

import { NOTHING, type Quantity, type Unit } from "../metering/quantity.ts";
import { formatNumber, wordOf } from "../metering/quantity-text.ts";
import { formatInstant, type Instant } from "../metering/time.ts";
import { type Ground, groundsOf } from "./match.ts";
import { isEnforcing, type Policy, type Scope } from "./policy.ts";
import { isOwnTask } from "./task.ts";

/** What a budget counted before; undefined where it was not there. */
export type Was = Pick<Ground, "key" | "per">;

export interface ChangedGround {
  readonly ground: Ground;
  readonly was: Was | undefined;
}

/** By value of `per`, as one budget sees it; by "" where there is one balance. */
export type Sums = ReadonlyMap<string, Quantity>;

export interface BalanceDiff {
  readonly budget: string;
  readonly unit: Unit;
  readonly rows: readonly BalanceRow[];
  /** Values that are not told one by one. */
  readonly more: number;
  /** Entries of before then are gone, and the ledger cannot tell all that it would have counted of them. */
  readonly missedBefore?: Instant | undefined;
}

export interface BalanceRow {
  /** Undefined where the budget has, or had, one balance. */
  readonly of: { readonly scope: Scope; readonly value: string } | undefined;
  /** Undefined where there was no such balance. */
  readonly before: Quantity | undefined;
  readonly after: Quantity | undefined;
}

/** Of a budget per user and the like those that have most are told. */
export const MOST_VALUES = 10;

/** Those of `after` whose limit, whose power to refuse or whose balance is not what it was. */
export function changedGrounds(
  before: Policy,
  after: Policy,
): readonly (ChangedGround & { readonly was: Ground | undefined })[] {
  const earlier = new Map(groundsOf(before).map((ground) => [nameOf(ground), ground]));
  return groundsOf(after).flatMap((ground) => {
    const was = earlier.get(nameOf(ground));
    return was !== undefined && isAlike(was, ground) ? [] : [{ ground, was }];
  });
}

function isAlike(one: Ground, other: Ground): boolean {
  const isSame = one.key === other.key && one.limit === other.limit;
  return isSame && isEnforcing(one.budget) === isEnforcing(other.budget);
}

function nameOf({ budget, unit }: Ground): string {
  return `${unit} ${budget.id}`;
}

export function balanceDiff({ ground, was }: ChangedGround, before: Sums, after: Sums): BalanceDiff {
  const rows =
    was !== undefined && was.per === ground.per
      ? rowsOf(ground.per, [...new Set([...before.keys(), ...after.keys()])], before, after)
      : [
          ...(was === undefined ? [] : rowsOf(was.per, [...before.keys()], before, undefined)),
          ...rowsOf(ground.per, [...after.keys()], undefined, after),
        ];
  const told = rows.sort(mostFirst);
  const more = Math.max(0, told.length - MOST_VALUES);
  return { budget: ground.budget.id, unit: ground.unit, rows: told.slice(0, MOST_VALUES), more };
}

function rowsOf(
  scope: Scope | undefined,
  values: readonly string[],
  before: Sums | undefined,
  after: Sums | undefined,
): BalanceRow[] {
  return values.flatMap((value): BalanceRow[] => {
    const [was, is] = [before?.get(value), after?.get(value)];
    if (scope === undefined) return [{ of: undefined, before: was, after: is }];
    // A request that is a task of its own is gone with its balance.
    if (scope === "task" && isOwnTask(value)) return [];
    const isNothing = (was ?? NOTHING) === NOTHING && (is ?? NOTHING) === NOTHING;
    return isNothing ? [] : [{ of: { scope, value }, before: was, after: is }];
  });
}

/** Of equals by name, so that it is told alike wherever it is told. */
function mostFirst(a: BalanceRow, b: BalanceRow): number {
  const [most, other] = [mostOf(a), mostOf(b)];
  if (most !== other) return most > other ? -1 : 1;
  const [name, next] = [a.of?.value ?? "", b.of?.value ?? ""];
  return name < next ? -1 : Number(name > next);
}

function mostOf({ before = NOTHING, after = NOTHING }: BalanceRow): Quantity {
  return before > after ? before : after;
}

/** Lines for the reload's log and for people. */
export function balanceLines(diff: BalanceDiff): readonly string[] {
  const { budget, missedBefore } = diff;
  if (missedBefore === undefined) return settledLines(diff);
  const since = `${formatInstant(missedBefore).slice(0, 10)}T00:00Z`;
  const missed = `budget ${budget}: entries of before ${since} are gone, it does not count all of them`;
  return [...settledLines(diff), missed];
}

function settledLines({ budget, unit, rows, more }: BalanceDiff): readonly string[] {
  if (rows.length === 0) return [`budget ${budget}: nothing settled yet, in ${wordOf(unit)}`];
  const amount = (one: Quantity | undefined) => (one === undefined ? "none" : formatNumber(unit, one));
  const lines = rows.map(({ of, before, after }) => {
    const whose = of === undefined ? "" : `, ${of.scope} ${of.value}`;
    const moved =
      before === after
        ? `${amount(after)} ${wordOf(unit)} stays`
        : `${amount(before)} → ${amount(after)} ${wordOf(unit)}`;
    return `budget ${budget}${whose}: settled ${moved}`;
  });
  const scopes = [...new Set(rows.flatMap(({ of }) => of?.scope ?? []))].join(" or ");
  return more === 0 ? lines : [...lines, `budget ${budget}: and ${more} more by ${scopes}`];
}
