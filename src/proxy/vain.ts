// How a request ends that waited in vain: it is written down, so that `explain` can tell what it waited
// for, and comes out as what the client is told. Nothing was sent, held or charged.

import type { DurationUs } from "../metering/time.ts";
import { MINUTE, SECOND } from "../metering/time.ts";
import type { Accounts } from "../policy/admission.ts";
import type { Breach, Wait } from "../policy/decision.ts";
import type { Policy } from "../policy/policy.ts";
import type { Task } from "../policy/task.ts";
import type { Unsent } from "./exchange.ts";
import { LONGEST_WAIT, type Woken } from "./turn.ts";

/** No upstream had a free slot for it. */
export interface TooBusy {
  readonly kind: "too_busy";
  readonly reason: string;
  /** When a client may well try again. */
  readonly retryAfter: DurationUs;
}

type Vain = Exclude<Woken, "again">;

export async function giveUp(
  task: Task,
  { accounts, policy }: { readonly accounts: Accounts; policy(): Policy },
  wait: Wait,
  why: Vain,
  waited: DurationUs,
): Promise<
  TooBusy | ({ readonly kind: "unsent" } & Unsent) | { readonly kind: "refused"; readonly breach: Breach }
> {
  const reason = reasonOf(wait, why, policy().limits.waiting);
  const explanation = { ...wait.explanation, rule: reason };
  if (wait.money !== undefined && (why === "full" || why === "too_late")) {
    const breach = { ...wait.money.breach, ...(waited > 0 ? { waited } : {}) };
    await accounts.admit(task, () => ({ kind: "refuse", breach, explanation }));
    return { kind: "refused", breach };
  }
  await accounts.admit(task, () => ({ kind: "too_busy", reason, explanation }));
  if (why === "gone" || why === "cancelled") {
    const word = why === "gone" ? "client_gone" : "cancelled";
    return { kind: "unsent", upstream: wait.upstreams[0] ?? "", why: word, cause: new Error(reason) };
  }
  return { kind: "too_busy", reason, retryAfter: wait.retryAfter };
}

function reasonOf({ reason, upstreams, money }: Wait, why: Vain, waiting: number): string {
  const what = money === undefined ? upstreams.join(", ") : `money of budget ${money.breach.budget}`;
  switch (why) {
    case "full":
      return waiting === 0
        ? `${reason}, and limits.waiting is 0: nobody waits`
        : `${reason}, and ${waiting} requests wait already (limits.waiting)`;
    case "too_long":
      return `${reason}, and no request waits longer than ${LONGEST_WAIT / MINUTE} minutes`;
    case "stopping":
      return `${reason}, and the gateway is stopping: ask again once it is back`;
    case "too_late":
      return `${reason}: it waited as long as a request may`;
    case "gone":
      return `the client went away while it waited for ${what}`;
    case "cancelled":
      return `cancelled while it waited for ${what}`;
  }
}

/** Whole seconds for a Retry-After: at least one, and at most what client libraries obey. */
export function retrySeconds(retryAfter: DurationUs): number {
  return Math.min(LONGEST_RETRY_S, Math.max(1, Math.ceil(retryAfter / SECOND)));
}

/** The OpenAI SDK takes no Retry-After above a minute for earnest. */
const LONGEST_RETRY_S = 60;
