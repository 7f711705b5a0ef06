// What may surprise about budgets in which nothing is wrong: what they do not cover, and who else counts it.

import { isFree } from "../../metering/price.ts";
import {
  type Budget,
  isActing,
  isEnforcing,
  type Policy,
  PROVIDERS,
  SCOPES,
  type Scope,
  type Upstream,
} from "../policy.ts";
import { replacementOf } from "../replacement.ts";
import { didYouMean, listed } from "./near.ts";
import { noteFold } from "./note-folds.ts";
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
    noteUsers(budget, policy, tellOf);
    noteProviders(budget, tellOf);
    noteTiers(budget, policy, tellOf);
    noteFold(budget, tellOf);
    noteIdle(budget, policy, tellOf);
    noteLenient(budget, tellOf);
  }
}

function noteReplaced(budget: Budget, split: readonly Budget[], tell: Tell): void {
  const replaced = split.flatMap((other) => {
    const what = replacementOf(budget, other);
    return what === undefined ? [] : [{ other, text: `${other.id} for ${what}` }];
  });
  if (replaced.length === 0) return;
  // The default action is warn: who leaves it out has lifted a limit.
  const lifts = !isEnforcing(budget) && replaced.some(({ other }) => isEnforcing(other));
  const then = lifts ? `, and on_limit: ${budget.onLimit} lets all work pass` : "";
  tell([], `replaces ${listed(replaced.map(({ text }) => text))}: only this limit counts there${then}`);
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

function noteUsers(budget: Budget, policy: Built, tell: Tell): void {
  if (policy.identity !== "token") return;
  for (const [item, name] of budget.when.get("user")?.entries() ?? []) {
    if (policy.clients.has(name)) continue;
    const guess = didYouMean(name, policy.clients.keys());
    const text = `no client here is named "${name}"${guess}: it covers only one of budgetguard token create`;
    tell(["when", "user", item], text);
  }
}

function noteTiers(budget: Budget, policy: Built, tell: Tell): void {
  const tiers = new Set([...policy.upstreams.values()].flatMap(({ gpuTier }) => gpuTier ?? []));
  for (const [item, name] of budget.when.get("gpu_tier")?.entries() ?? []) {
    if (tiers.has(name)) continue;
    const text = `no upstream has gpu_tier "${name}"${didYouMean(name, tiers)}; there are: ${listed(tiers)}`;
    tell(["when", "gpu_tier", item], text);
  }
}

function noteLenient(budget: Budget, tell: Tell): void {
  if (budget.onLimit !== "degrade" || !isActing(budget) || isEnforcing(budget)) return;
  const text = `${budget.then} lets work pass beyond the limit where nothing cheaper fits: it is no limit`;
  tell(["then"], text);
}

/** Scopes that idle and start-up nobody waits for cannot be told by (MONEY §2, container money). */
const NOT_OF_CONTAINERS: readonly Scope[] = SCOPES.slice(SCOPES.indexOf("user")).concat("model");

function noteIdle(budget: Budget, policy: Built, tell: Tell): void {
  const missed = budget.includeIdle ? missedMoney(budget, policy) : undefined;
  if (missed !== undefined) tell([], `idle and start-up money of ${missed}; include_idle: false says so`);
}

function missedMoney(budget: Budget, policy: Built): string | undefined {
  const upstreams = [...policy.upstreams.values()];
  const billed = upstreams.filter((each) => isBilledIdle(each) && isCovered(each, budget, policy));
  if (billed.length === 0) return undefined;
  const narrow =
    NOT_OF_CONTAINERS.find((scope) => budget.when.has(scope) || budget.per === scope) ??
    (budget.period.startsWith("per_") ? budget.period.slice("per_".length) : undefined);
  if (narrow !== undefined) return `containers never counts here: it belongs to no ${narrow}`;
  if (!budget.when.has("upstream") && budget.per !== "upstream") return undefined;
  for (const machine of new Set(billed.map((each) => each.machine))) {
    const sharers = upstreams.filter((each) => each.machine === machine).map(({ id }) => id);
    if (sharers.length > 1) return `machine ${machine} never counts here: it serves ${listed(sharers)}`;
  }
  return undefined;
}

function isBilledIdle({ id, hasContainer, machine, price, idleRate }: Upstream): boolean {
  return (hasContainer || machine !== id) && !(isFree(price) && idleRate === 0n);
}

/** By what an upstream is: its requests may say the rest. */
function isCovered(upstream: Upstream, { when }: Budget, { models }: Built): boolean {
  const allows = (scope: Scope, value: string | undefined) => when.get(scope)?.includes(value ?? "") ?? true;
  const serves = when.get("model")?.some((name) => models.get(name)?.upstreams.includes(upstream.id)) ?? true;
  return (
    serves &&
    allows("provider", upstream.provider) &&
    allows("upstream", upstream.id) &&
    allows("machine", upstream.machine) &&
    allows("gpu_tier", upstream.gpuTier)
  );
}
