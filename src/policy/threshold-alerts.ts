// When a budget's use is worth telling: from warn_at, from critical_at, and at the limit, each once in its
// period whatever moved the balance, requests or containers. It remembers nothing: what was told, it asks.

import type { Balance } from "../metering/balance.ts";
import { formatLocal, type Period } from "../metering/period.ts";
import { sum } from "../metering/quantity.ts";
import { formatNumber, formatQuantity } from "../metering/quantity-text.ts";
import { FOREVER, type Instant } from "../metering/time.ts";
import { type Alert, onceKey } from "./alert.ts";
import type { Breach } from "./decision.ts";
import { type Coverage, type Ground, isActive, periodFor } from "./match.ts";
import type { Action } from "./policy.ts";
import { NO_RELIEF, perValueOf, type ReliefOf, relieved } from "./relief.ts";
import { isOwnTask } from "./task.ts";
import { reaches } from "./warn.ts";

export type Threshold = "warning" | "critical" | "limit";

/** Asks for a balance of an account in the period that begins at `start`. */
export type BalanceOf = (account: string, start: Instant) => Balance;

/** The thresholds that the balance of this moment has reached and that were not told in its period. */
export function thresholdAlerts(
  { ground, account }: Coverage,
  balanceOf: BalanceOf,
  at: Instant,
  isTold: (once: string) => boolean,
  reliefOf: ReliefOf = NO_RELIEF,
): readonly Alert[] {
  const { budget, limit } = ground;
  if (budget.onLimit === "ignore" || !isActive(ground, at)) return [];
  const period = periodFor(ground, at);
  const balance = relieved(balanceOf(account, period.start), reliefOf(ground, account, period));
  const used = sum(balance.settled, balance.held);
  // Nothing has reached nothing: a budget of 0 is no news until something is spent in spite of it.
  if (used <= 0n) return [];
  const value = perValueOf(ground, account);
  // A request that is a task of its own would be news each time.
  if (ground.per === "task" && isOwnTask(value ?? "")) return [];
  const state: State = { ground, value, period, balance };
  const reached: Threshold[] = [];
  if (reaches(used, limit, budget.warnAt)) reached.push("warning");
  if (reaches(used, limit, budget.criticalAt)) reached.push("critical");
  if (used >= limit) reached.push("limit");
  // Asked before any words are made: a budget stays past its threshold for the rest of its period.
  return reached
    .filter((threshold) => !isTold(onceKey(identityOf(threshold, state))))
    .map((threshold) => alertOf(threshold, state));
}

/**
 * A budget rarely lands on its limit: it has run out when it refuses a request that it could carry if it were
 * unspent. One that is larger than the whole budget says nothing about what was spent.
 */
export function refusalAlert({ ground, account }: Coverage, breach: Breach, at: Instant): Alert | undefined {
  if (breach.needed > breach.limit || ground.budget.onLimit === "ignore") return undefined;
  const period = periodFor(ground, at);
  const balance = { settled: breach.settled, held: breach.held };
  const state: State = { ground, value: perValueOf(ground, account), period, balance };
  const why = `a request that needs ${formatQuantity(ground.unit, breach.needed)} was refused`;
  return { ...alertOf("limit", state), text: `${whose(state)} has run out: ${standing(state)}; ${why}` };
}

interface State {
  readonly ground: Ground;
  readonly value: string | undefined;
  readonly period: Period;
  readonly balance: Balance;
}

function identityOf(event: Threshold, { ground, value, period }: State) {
  return { event, topic: "budget", subject: ground.budget.id, value, unit: ground.unit, period } as const;
}

function alertOf(threshold: Threshold, state: State): Alert {
  const { ground, balance } = state;
  return {
    ...identityOf(threshold, state),
    severity: threshold === "warning" ? "warning" : "critical",
    timezone: ground.timezone,
    text: textOf(threshold, state),
    advice: undefined,
    figures: {
      [`limit_${ground.unit}`]: formatNumber(ground.unit, ground.limit),
      [`settled_${ground.unit}`]: formatNumber(ground.unit, balance.settled),
      [`held_${ground.unit}`]: formatNumber(ground.unit, balance.held),
    },
  };
}

function textOf(threshold: Threshold, state: State): string {
  const { budget, limit } = state.ground;
  if (threshold === "limit") {
    const then = budget.shadow ? "it is a shadow, so requests go on" : THEN[budget.onLimit];
    return `${whose(state)} has reached its limit: ${standing(state)}; ${then}`;
  }
  const used = sum(state.balance.settled, state.balance.held);
  // A limit of 0 is reached, not approached.
  const percent = limit === 0n ? 100n : (used * 100n) / limit;
  return `${whose(state)} has used ${percent} % of its limit: ${standing(state)}`;
}

const THEN: Readonly<Record<Action, string>> = {
  ignore: "requests go on",
  warn: "requests go on, with a warning",
  soft_limit: "requests go on, with a warning",
  degrade: "requests go to something cheaper, or are refused",
  queue: "requests wait",
  block: "requests are refused",
};

function whose({ ground, value }: State): string {
  const { budget, per } = ground;
  return value === undefined ? `budget ${budget.id}` : `budget ${budget.id} (${per} ${shown(ground, value)})`;
}

/** A session's balance is named by its user too. */
function shown({ per }: Ground, value: string): string {
  if (per !== "session") return value;
  const [user, session] = JSON.parse(value) as readonly (string | null)[];
  return `${session ?? "unknown"} of ${user ?? "unknown"}`;
}

function standing({ ground, period, balance }: State): string {
  const { unit, limit, timezone } = ground;
  const used = formatNumber(unit, sum(balance.settled, balance.held));
  const held =
    balance.held === 0n ? "" : `, ${formatNumber(unit, balance.held)} of it held for work under way`;
  const until = period.end === FOREVER ? "" : `, until ${formatLocal(period.end, timezone)}`;
  return `${used} of ${formatQuantity(unit, limit)}${held}${until}`;
}
