// What may surprise about budgets in which nothing is wrong: what they do not cover, and who else counts it.

import { replacementOf } from "../match.ts";
import { type Budget, type Policy, PROVIDERS, SCOPES, type Scope } from "../policy.ts";
import { didYouMean, listed } from "./near.ts";
import type { Path } from "./source.ts";

type Tell = (path: Path, text: string) => void;
type Built = Omit<Policy, "notes">;

/** `written`: how many of the budgets stand under budgets:, before those that models make. */
export function noteBudgets(policy: Built, written: number, tell: Tell): void {
  const split = policy.budgets.filter(({ per, period }) => per !== undefined || period.startsWith("per_"));
  for (const [index, budget] of policy.budgets.slice(0, written).entries()) {
    const tellOf: Tell = (path, text) => tell(["budgets", index, ...path], text);
    if (!budget.enabled) tellOf(["enabled"], "this budget is disabled: it limits nothing");
    noteReplaced(budget, split, tellOf);
    noteAdvisory(budget, policy, tellOf);
    noteProviders(budget, tellOf);
    noteIdle(budget, policy, tellOf);
  }
}

function noteReplaced(budget: Budget, split: readonly Budget[], tell: Tell): void {
  const replaced = split.flatMap((other) => {
    const what = replacementOf(budget, other);
    return what === undefined ? [] : [`${other.id} for ${what}`];
  });
  if (replaced.length > 0) tell([], `replaces ${listed(replaced)}: only this limit counts there`);
}

function noteAdvisory(budget: Budget, policy: Built, tell: Tell): void {
  const isPersonal = budget.per === "user" || budget.when.has("user");
  if (!isPersonal || policy.identity === "token") return;
  const text = "advisory: anyone can claim a name; set identity: token and give out client tokens";
  tell(budget.per === "user" ? ["per"] : ["when", "user"], text);
}

function noteProviders(budget: Budget, tell: Tell): void {
  for (const [item, name] of budget.when.get("provider")?.entries() ?? []) {
    if ((PROVIDERS as readonly string[]).includes(name)) continue;
    const guess = didYouMean(name, PROVIDERS);
    const text = `"${name}" is no provider of this gateway${guess}: it covers only usage from outside`;
    tell(["when", "provider", item], text);
  }
}

/** Scopes that idle and start-up nobody waits for cannot be told by (MONEY §2, container money). */
const NOT_OF_CONTAINERS: readonly Scope[] = SCOPES.slice(SCOPES.indexOf("user")).concat("model");

function noteIdle(budget: Budget, policy: Built, tell: Tell): void {
  const upstreams = [...policy.upstreams.values()];
  const idles = upstreams.some(({ id, hasContainer, machine }) => hasContainer || machine !== id);
  const narrow = NOT_OF_CONTAINERS.find((scope) => budget.when.has(scope) || budget.per === scope);
  if (!idles || narrow === undefined || !budget.includeIdle) return;
  tell([], `idle and start-up money of containers never counts here: it belongs to no ${narrow}`);
}
