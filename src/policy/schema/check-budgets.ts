// Budgets that contradict themselves. Those that may only surprise are note-budgets.ts's.

import type { BudgetEntry } from "./budget.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";

export function checkBudgets(file: PolicyFile, scene: Scene): void {
  for (const [index, budget] of file.budgets.entries()) checkResetDay(budget, index, file, scene);
}

function checkResetDay(budget: BudgetEntry, index: number, file: PolicyFile, scene: Scene): void {
  if (budget.reset_day === undefined) return;
  const period = budget.period ?? file.defaults?.period ?? "daily";
  const path = ["budgets", index, "reset_day"];
  if (period !== "weekly" && period !== "monthly") {
    scene.problem(path, `is for weekly and monthly budgets, and this one is ${period}: remove it`);
  } else if (period === "weekly" && budget.reset_day > 7) {
    scene.problem(path, `${budget.reset_day} is no day of the week: write 1 (Monday) to 7 (Sunday)`);
  }
}
