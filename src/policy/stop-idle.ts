// Which budget with `stop_idle` has nothing left for a container that only burns idle money. Pure: it looks
// at live balances, as every decision does, and stops nothing.

import { sum } from "../metering/quantity.ts";
import type { Balances } from "./admission.ts";
import { coveringContainer, type Facts, isActive, periodFor } from "./match.ts";
import type { Policy, Upstream } from "./policy.ts";
import { NO_RELIEF, relieved } from "./relief.ts";
import type { Shortages } from "./shortage.ts";

/** "budget day is spent"; undefined where each has money left, or counts nothing of that container's. */
export function spentFor(
  policy: Policy,
  upstream: Upstream,
  view: Balances,
  shortages: Pick<Shortages, "of">,
): string | undefined {
  const { at, balance, relief = NO_RELIEF } = view;
  for (const { ground, account } of coveringContainer(policy, factsOf(upstream))) {
    const { budget, limit } = ground;
    if (!budget.stopIdle || budget.shadow || !isActive(ground, at)) continue;
    const period = periodFor(ground, at);
    const { settled, held } = relieved(balance(account, period.start), relief(ground, account, period));
    const taken = sum(settled, held);
    if (taken >= limit) return `budget ${budget.id} is spent`;
    if (sum(taken, shortages.of(account, period.start)) > limit)
      return `budget ${budget.id} has too little left for the last request`;
  }
  return undefined;
}

/** Container money has no request's labels, and no upstream's where its machine serves several (MONEY §2). */
function factsOf({ id, provider, machine, gpuTier }: Upstream): Facts {
  return {
    ...{ provider, upstream: machine === id ? id : undefined, machine, gpu_tier: gpuTier },
    ...{ model: undefined, user: undefined, workflow: undefined, session: undefined },
    ...{ task: undefined, node: undefined, project: undefined, tag: undefined },
  };
}
