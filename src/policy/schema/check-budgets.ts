// Budgets that contradict themselves, and keys of theirs that do nothing beside the others. What may surprise
// about the budget that is made of them is note-budgets.ts's.

import type { PeriodKind } from "../../metering/period.ts";
import { isStrict } from "../policy.ts";
import type { BudgetEntry } from "./budget.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";

export function checkBudgets(file: PolicyFile, scene: Scene): void {
  for (const [index, budget] of file.budgets.entries()) {
    checkResetDay(budget, index, file, scene);
    checkPer(budget, index, file, scene);
    noteIdleKeys(budget, index, file, scene);
  }
}

function checkResetDay(budget: BudgetEntry, index: number, file: PolicyFile, scene: Scene): void {
  if (budget.reset_day === undefined) return;
  const period = periodOf(budget, file);
  const path = ["budgets", index, "reset_day"];
  if (period !== "weekly" && period !== "monthly") {
    scene.problem(path, `is for weekly and monthly budgets, and this one is ${period}: remove it`);
  } else if (period === "weekly" && budget.reset_day > 7) {
    scene.problem(path, `${budget.reset_day} is no day of the week: write 1 (Monday) to 7 (Sunday)`);
  }
}

function checkPer(budget: BudgetEntry, index: number, file: PolicyFile, scene: Scene): void {
  const period = periodOf(budget, file);
  if (budget.per === undefined || (period !== "per_session" && period !== "per_task")) return;
  const one = period === "per_task" ? "task" : "session";
  scene.problem(["budgets", index, "per"], `${period} already is one balance per ${one}: remove per`);
}

function noteIdleKeys(budget: BudgetEntry, index: number, file: PolicyFile, scene: Scene): void {
  const action = budget.on_limit ?? file.defaults?.on_limit ?? "warn";
  const tell = (key: string, needs: string) =>
    scene.note(["budgets", index, key], `does nothing: it is for on_limit: ${needs}, and this is ${action}`);
  if (budget.otherwise !== undefined && action !== "degrade") tell("then", "degrade");
  const waits = action === "queue" || (action === "degrade" && budget.otherwise === "queue");
  if (budget.max_wait !== undefined && !waits) tell("max_wait", "queue");
  const last = action === "degrade" ? (budget.otherwise ?? "block") : action;
  if (budget.overrun === "cut" && !isStrict(last)) tell("overrun", "block, queue or degrade");
}

function periodOf(budget: BudgetEntry, file: PolicyFile): PeriodKind {
  return budget.period ?? file.defaults?.period ?? "daily";
}
