// What a crowd of artists against one small budget looks like from outside: their replies, and every balance
// that the admin API showed meanwhile.

import { setTimeout as sleep } from "node:timers/promises";
import type { BudgetGuardClient, RequestSummary } from "../../src/sdk/client.ts";
import type { BudgetStatus } from "../../src/sdk/status.ts";
import { askImage, type Reply } from "./gateway-client.ts";
import { usd } from "./policies.ts";

export interface Crowd {
  readonly replies: readonly Reply[];
  readonly balances: readonly BudgetStatus[];
}

/** All at once; `stepsOf` says how long each one's work takes. */
export async function sendCrowd(
  size: number,
  { url, client }: { readonly url: string; readonly client: BudgetGuardClient },
  stepsOf: (index: number) => number,
): Promise<Crowd> {
  const replies = Promise.all(
    Array.from({ length: size }, (_, index) => askImage(url, { steps: stepsOf(index) })),
  );
  const watch = watchBudget(client);
  await replies;
  return { replies: await replies, balances: await watch.end() };
}

/** Looks at the first budget until it is told to end, or the gateway is gone. */
export function watchBudget(client: BudgetGuardClient): { end(): Promise<readonly BudgetStatus[]> } {
  const seen: BudgetStatus[] = [];
  let isOver = false;
  const look = async () => {
    while (!isOver) {
      const [budget] = (await client.status()).budgets;
      if (budget !== undefined) seen.push(budget);
      await sleep(5);
    }
  };
  // A gateway that is killed is the end of what can be seen, not a failure.
  const looking = look().catch(() => undefined);
  return {
    end: async () => {
      isOver = true;
      await looking;
      return seen;
    },
  };
}

/** Those that are over their limit: there may be none. */
export function overLimit(balances: readonly BudgetStatus[]): BudgetStatus[] {
  return balances.filter((one) => usd(one.settled) + usd(one.held) > usd(one.limit));
}

export function count(replies: readonly Reply[], wanted: (reply: Reply) => boolean): number {
  return replies.filter(wanted).length;
}

/** Page by page, newest first. */
export async function allRequests(client: BudgetGuardClient): Promise<RequestSummary[]> {
  const all: RequestSummary[] = [];
  let before: string | undefined;
  do {
    const page = await client.requests({ limit: 100, ...(before !== undefined && { before }) });
    all.push(...page.items);
    before = page.next ?? undefined;
  } while (before !== undefined);
  return all;
}
