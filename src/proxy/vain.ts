// How a request ends that waited in vain: it is written down, so that `explain` can tell what it waited
// for, and comes out as what the client is told. Nothing was sent, held or charged.

import type { DurationUs } from "../metering/time.ts";
import { MINUTE, SECOND } from "../metering/time.ts";
import type { Accounts } from "../policy/admission.ts";
import type { Wait } from "../policy/decision.ts";
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
): Promise<TooBusy | ({ readonly kind: "unsent" } & Unsent)> {
  const reason = reasonOf(wait, why, policy().limits.waiting);
  const explanation = { ...wait.explanation, rule: reason };
  await accounts.admit(task, () => ({ kind: "too_busy", reason, explanation }));
  if (why === "gone" || why === "cancelled") {
    const word = why === "gone" ? "client_gone" : "cancelled";
    return { kind: "unsent", upstream: wait.upstreams[0] ?? "", why: word, cause: new Error(reason) };
  }
  return { kind: "too_busy", reason, retryAfter: wait.retryAfter };
}

function reasonOf({ reason, upstreams }: Wait, why: Vain, waiting: number): string {
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
      return `${reason}: it waited ${LONGEST_WAIT / MINUTE} minutes, as long as a request may`;
    case "gone":
      return `the client went away while it waited for ${upstreams.join(", ")}`;
    case "cancelled":
      return `cancelled while it waited for ${upstreams.join(", ")}`;
  }
}

/** Whole seconds for a Retry-After: at least one, and at most what client libraries obey. */
export function retrySeconds(retryAfter: DurationUs): number {
  return Math.min(LONGEST_RETRY_S, Math.max(1, Math.ceil(retryAfter / SECOND)));
}

/** The OpenAI SDK takes no Retry-After above a minute for earnest. */
const LONGEST_RETRY_S = 60;
