// Budgets as gauges: those of money under their fixed names, the other units beside them with a label.

import { available } from "../metering/balance.ts";
import type { Quantity } from "../metering/quantity.ts";
import { formatNumber } from "../metering/quantity-text.ts";
import { FOREVER, SECOND } from "../metering/time.ts";
import type { BudgetState } from "./budget-state.ts";
import type { Counts } from "./counts.ts";
import type { House } from "./house.ts";
import type { Page } from "./page.ts";

const CLOSEST = "Of a budget counted per user (or other value), the balance closest to its limit.";

interface Reading {
  readonly what: string;
  readonly help: string;
  readonly of: (state: BudgetState) => Quantity;
}

const READINGS: readonly Reading[] = [
  { what: "limit", help: "The budget's limit in its current period", of: ({ limit }) => limit },
  {
    what: "settled",
    help: "What ended work has taken of the budget in its current period",
    of: ({ settled }) => settled,
  },
  { what: "held", help: "What is set aside of the budget for work under way", of: ({ held }) => held },
  {
    what: "remaining",
    help: "Limit less settled less held, negative when what cannot be refused went past the limit",
    of: (state) => available(state.limit, state),
  },
];

export function writeBudgets(page: Page, { decisions }: Counts, readings: Pick<House, "status">): void {
  const budgets = closest(readings.status().budgets);
  const money = budgets.filter(({ unit }) => unit === "usd");
  for (const { what, help, of } of READINGS) {
    const samples = money.map((state) => ({
      labels: { budget: state.budget.id },
      value: numberOf(state, of),
    }));
    page.gauge(`budgetguard_budget_${what}_usd`, `${help}, in US dollars. ${CLOSEST}`, samples);
  }
  const others = budgets.filter(({ unit }) => unit !== "usd");
  for (const { what, help, of } of READINGS) {
    const samples = others.map((state) => ({
      labels: { budget: state.budget.id, unit: state.unit },
      value: numberOf(state, of),
    }));
    page.gauge(
      `budgetguard_budget_${what}`,
      `${help}, in requests, images, seconds or tokens. ${CLOSEST}`,
      samples,
    );
  }
  const turning = closest(budgets, ({ budget }) => budget.id).filter(({ period }) => period.end !== FOREVER);
  page.gauge(
    "budgetguard_budget_resets_timestamp_seconds",
    "When the budget's current period ends, in Unix seconds; absent for budgets that never reset.",
    turning.map(({ budget, period }) => ({ labels: { budget: budget.id }, value: period.end / SECOND })),
  );
  page.counter(
    "budgetguard_decisions_total",
    "How often a budget's action took effect, by action (warn: let through with a warning; block: " +
      "refused; and so on) and budget.",
    [...decisions.values()].map(({ action, budget, count }) => ({
      labels: { action, budget },
      value: count,
    })),
  );
}

/** The float nearest to the exact decimal. */
function numberOf(state: BudgetState, of: Reading["of"]): number {
  return Number(formatNumber(state.unit, of(state)));
}

/** One balance a budget and unit: labels never carry values that clients choose. */
function closest(
  states: readonly BudgetState[],
  keyOf = ({ budget, unit }: BudgetState) => `${unit} ${budget.id}`,
): readonly BudgetState[] {
  const found = new Map<string, BudgetState>();
  for (const state of states) {
    const key = keyOf(state);
    const known = found.get(key);
    if (known === undefined || available(state.limit, state) < available(known.limit, known))
      found.set(key, state);
  }
  return [...found.values()];
}
