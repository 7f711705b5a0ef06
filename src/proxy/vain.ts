// How a request ends that waited in vain: it is written down, so that `explain` can tell what it waited
// for, and comes out as what the client is told. Nothing was sent, held or charged.

import { durationText } from "../metering/duration-text.ts";
import type { DurationUs } from "../metering/time.ts";
import { MINUTE, SECOND } from "../metering/time.ts";
import type { Accounts, Balances } from "../policy/admission.ts";
import type { Breach, Decision, MoneyWait, Wait } from "../policy/decision.ts";
import { hindranceText } from "../policy/hindrance.ts";
import { balanceOf } from "../policy/judge.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import type { Call } from "../policy/slot.ts";
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

/** A budget said no, at once or after a wait. */
export interface Refused {
  readonly kind: "refused";
  readonly breach: Breach;
  /** Why it did not wait, though its budget would let it. */
  readonly why?: string;
}

/** `breach` with how long it waited for that in vain. */
export function refused(breach: Breach, waited: DurationUs): Refused {
  return { kind: "refused", breach: waited > 0 ? { ...breach, waited } : breach };
}

/** It costs nothing and waits for nothing. */
export function outOfCalls({ id }: Upstream, rated: Extract<Call, { kind: "rated" }>): TooBusy {
  return { kind: "too_busy", reason: `${id} is ${hindranceText(rated)}`, retryAfter: rated.again };
}

type Vain = Exclude<Woken, "again">;

interface Waited {
  readonly task: Task;
  readonly wait: Wait;
  readonly waited: DurationUs;
}

export async function giveUp(
  ended: Waited,
  { accounts, policy }: { readonly accounts: Accounts; policy(): Policy },
  why: Vain,
): Promise<TooBusy | Refused | ({ readonly kind: "unsent" } & Unsent)> {
  const { task, wait } = ended;
  const room = policy().limits.waiting;
  if (wait.money !== undefined && why === "full") {
    return { ...(await refuse(accounts, ended, wait.money, fullText(room))), why: fullText(room) };
  }
  if (wait.money !== undefined && why === "too_late") {
    const longest = `it waited ${durationText(wait.money.maxWait)}, its max_wait`;
    return refuse(accounts, ended, wait.money, longest);
  }
  const reason = reasonOf(wait, why, room);
  const explanation = { ...wait.explanation, rule: reason };
  await accounts.admit(task, () => ({ kind: "too_busy", reason, explanation }));
  if (why === "gone" || why === "cancelled") {
    const word = why === "gone" ? "client_gone" : "cancelled";
    return { kind: "unsent", upstream: placesOf(wait)[0] ?? "", why: word, cause: new Error(reason) };
  }
  return { kind: "too_busy", reason, retryAfter: wait.retryAfter };
}

/** With the balance as it is now: others have settled meanwhile. */
async function refuse(
  accounts: Accounts,
  { task, wait, waited }: Waited,
  money: MoneyWait,
  why: string,
): Promise<Refused> {
  let { breach } = money;
  await accounts.admit(task, (view: Balances): Decision => {
    breach = { ...money.breach, ...balanceOf(money.by, view) };
    return { kind: "refuse", breach, explanation: { ...wait.explanation, rule: `${wait.reason}: ${why}` } };
  });
  return refused(breach, waited);
}

function reasonOf(wait: Wait, why: Vain, waiting: number): string {
  const { reason } = wait;
  const what = wait.money === undefined ? placesOf(wait).join(", ") : `budget ${wait.money.breach.budget}`;
  switch (why) {
    case "full":
      return `${reason}, and ${fullText(waiting)}`;
    case "too_long":
      return `${reason}, and no request waits longer than ${LONGEST_WAIT / MINUTE} minutes`;
    case "stopping":
      return `${reason}, and the gateway is stopping: ask again once it is back`;
    case "too_late":
      return `${reason}: it waited ${LONGEST_WAIT / MINUTE} minutes, as long as a request may`;
    case "gone":
      return `the client went away while it waited for ${what}`;
    case "cancelled":
      return `cancelled while it waited for ${what}`;
  }
}

function fullText(waiting: number): string {
  return waiting === 0
    ? "limits.waiting is 0: nobody waits"
    : `${waiting} requests wait already (limits.waiting)`;
}

/** Where it might have run. */
function placesOf({ upstreams, wishes }: Wait): readonly string[] {
  return upstreams.length > 0 ? upstreams : wishes.map(({ upstream }) => upstream);
}

/** Whole seconds for a Retry-After: at least one, and at most what client libraries obey. */
export function retrySeconds(retryAfter: DurationUs): number {
  return Math.min(LONGEST_RETRY_S, Math.max(1, Math.ceil(retryAfter / SECOND)));
}

/** The OpenAI SDK takes no Retry-After above a minute for earnest. */
const LONGEST_RETRY_S = 60;
