// Budgets that contradict themselves are problems; budgets that may surprise are notes.

import { PROVIDERS, SCOPES, type Scope } from "../policy.ts";
import type { BudgetEntry } from "./budget.ts";
import { didYouMean } from "./near.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";

/** Scopes that idle and start-up nobody waits for cannot be told by (MONEY §2, container money). */
const NOT_OF_CONTAINERS: readonly Scope[] = SCOPES.slice(SCOPES.indexOf("user")).concat("model");

export function checkBudgets(file: PolicyFile, scene: Scene): void {
  const idles = [...file.upstreams.values()].some((each) => each.container ?? each.machine);
  for (const [index, budget] of file.budgets.entries()) {
    checkResetDay(budget, index, file, scene);
    if (budget.enabled === false)
      scene.note(["budgets", index, "enabled"], "this budget is disabled: it limits nothing");
    noteAdvisory(budget, index, file, scene);
    noteProviders(budget, index, scene);
    const narrow = NOT_OF_CONTAINERS.find(
      (scope) => budget.when?.has(scope) === true || budget.per === scope,
    );
    if (idles && narrow !== undefined && budget.include_idle !== false) {
      const text = `idle and start-up money of containers never counts here: it belongs to no ${narrow}`;
      scene.note(["budgets", index], text);
    }
  }
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

function noteAdvisory(budget: BudgetEntry, index: number, file: PolicyFile, scene: Scene): void {
  const isPersonal = budget.per === "user" || budget.when?.has("user") === true;
  const isClaimed = (file.identity ?? "trusted") === "trusted" && file.clients.size === 0;
  if (!isPersonal || !isClaimed) return;
  const path = budget.per === "user" ? ["budgets", index, "per"] : ["budgets", index, "when", "user"];
  scene.note(path, "advisory: anyone can claim a name; set identity: token and give out client tokens");
}

function noteProviders(budget: BudgetEntry, index: number, scene: Scene): void {
  for (const name of budget.when?.get("provider") ?? []) {
    if ((PROVIDERS as readonly string[]).includes(name)) continue;
    const guess = didYouMean(name, PROVIDERS);
    const text = `"${name}" is no provider of this gateway${guess}: it covers only usage from outside`;
    scene.note(["budgets", index, "when", "provider"], text);
  }
}
