// The whole life of a request, in one file:
//
//   candidates ─► admit (decide, slot, hold: one tick) ─► wait for its container to start, where it is off
//     ▲  ▲          │ │     ─► send ─► settle, durable ─► last piece to the client
//     │  │          │ └─► refused, no upstream, ledger unavailable
//     │  └─ woken ──┴─ wait: no slot is free, or no money ─► too busy, refused, gone, cancelled
//     └── unsent, not started: given back, that one is out, decide again (bounded by the model's upstreams)
//
// Invariant: every admission ends in exactly one settle or release, on every path, and so does its slot: it
// is free once the upstream's last byte was read or its connection broken, before anything is settled
// (MONEY §3).

import type { DurationUs } from "../metering/time.ts";
import type { Accounts, Balances, Ending, Reservation, Settlement } from "../policy/admission.ts";
import { decide, modelGone } from "../policy/decide.ts";
import type { Decision, Forward, NoUpstream, Stopped } from "../policy/decision.ts";
import { fallbackFor } from "../policy/degrade.ts";
import type { Learning } from "../policy/learning.ts";
import type { Model, Policy, Upstream } from "../policy/policy.ts";
import type { Candidate } from "../policy/rank.ts";
import type { Sign, Slot } from "../policy/slot.ts";
import { standingOf } from "../policy/standing.ts";
import type { Task } from "../policy/task.ts";
import { keepHeld } from "./holding.ts";
import type { Relayed, UnsentWhy } from "./relayed.ts";
import { replyHeaders } from "./reply-headers.ts";
import { abandon, giveBack, settle } from "./settling.ts";
import type { Timers } from "./timers.ts";
import type { OnGone, Turn, Woken } from "./turn.ts";
import { giveUp, type Refused, refused, type TooBusy } from "./vain.ts";
import { isWell, signOf } from "./vital-sign.ts";
import type { WaitingRoom } from "./waiting-room.ts";
import { owing, type Wakes } from "./wakes.ts";

/** Sends one attempt to one upstream; proxy/relay.ts over sockets, a script in the simulation. */
export type Send = (attempt: Attempt) => Promise<Relayed>;

export interface Attempt {
  readonly upstream: Upstream;
  /** As which it serves: the fallback model where a budget degraded the request to that. */
  readonly model: string;
  readonly held: Reservation;
  /** Aborted with reason "cut" when the held money ends, or "cancelled" by an operator. */
  readonly signal: AbortSignal;
  /** X-BudgetGuard-* headers for the reply. */
  readonly headers: readonly (readonly [string, string])[];
  /** To be told of the status as soon as the head of the reply is there. */
  answered(status: number): void;
}

/** What an exchange needs of the rest of the house. */
export interface Gateway {
  policy(): Policy;
  readonly accounts: Accounts;
  /** The model's upstreams that are up, in the policy's order. */
  candidates(policy: Policy, model: Model): readonly Candidate[];
  readonly room: WaitingRoom;
  readonly timers: Timers;
  /** Absent: no candidate is ever cold. */
  readonly wakes?: Wakes;
  /** How long requests take, and which one is sent somewhere to learn that. */
  readonly learning: Learning;
}

export type Exchanged =
  | Sent
  | Refused
  | Stopped
  /** `last`: the one that was tried last, where some were; none of them could be connected to. */
  | {
      readonly kind: "no_upstream";
      readonly reason: string;
      readonly cause: NoUpstream["cause"];
      readonly last: Unsent | undefined;
    }
  /** No byte left, and no other upstream can be asked. */
  | ({ readonly kind: "unsent" } & Unsent)
  | TooBusy
  | { readonly kind: "ledger_unavailable" };

export interface Unsent {
  readonly upstream: string;
  readonly why: UnsentWhy;
  readonly cause: Error;
}

export interface Sent {
  readonly kind: "sent";
  readonly decision: Forward;
  /** For a slot, for money, and for its container to start. */
  readonly waited: DurationUs;
  readonly ending: Ending;
  readonly relayed: Extract<Relayed, { kind: "ended" }>;
  /** Undefined when it could not be written: then nothing may look complete. */
  readonly settlement: Settlement | undefined;
  /** What was charged though it could not be written yet: the ledger counts it, and so do the metrics. */
  readonly kept: Settlement | undefined;
}

/** `signal` ends it wherever it is; `onGone` tells of a client that leaves while it waits. */
export async function exchange(
  task: Task,
  send: Send,
  gateway: Gateway,
  signal: AbortSignal,
  onGone: OnGone = () => () => undefined,
): Promise<Exchanged> {
  const turn = gateway.room.enter(task.id);
  try {
    return await attempts({ task, send, gateway, signal, onGone, turn, woken: 0 as DurationUs });
  } finally {
    turn.end();
    gateway.learning.end(task.id);
  }
}

interface Life {
  readonly task: Task;
  readonly send: Send;
  readonly gateway: Gateway;
  readonly signal: AbortSignal;
  readonly onGone: OnGone;
  readonly turn: Turn;
  /** How long it has waited for containers to start. */
  woken: DurationUs;
}

async function attempts(life: Life): Promise<Exchanged> {
  const { task, gateway, turn } = life;
  const unreachable = new Map<string, Unsent>();
  for (;;) {
    const policy = gateway.policy();
    const admission = await gateway.accounts.admit(task, (view) => {
      const decision = consider(life, policy, [...unreachable.keys()], view);
      turn.follow(decision);
      const served = decision.kind === "forward" ? { ...task, model: decision.model } : task;
      gateway.learning.follow(served, decision);
      return decision;
    });
    switch (admission.kind) {
      case "refuse":
        return refused(admission.breach, turn.waited);
      case "stopped":
        return admission;
      case "no_upstream":
        return noUpstream(admission, unreachable);
      case "ledger_unavailable":
        return { kind: "ledger_unavailable" };
      case "too_busy":
        throw new Error("a decision was that it has waited in vain");
      case "wait": {
        const woken = await waitForItsTurn(life);
        if (woken === "again") break;
        return giveUp({ task, wait: admission, waited: turn.waited }, gateway, woken);
      }
      case "admitted": {
        const { reservation, decision } = admission;
        const relayed = await run(life, reservation, decision);
        if (relayed.kind === "ended")
          gateway.learning.ended(decision.quote.upstream.id, relayed.ending, gateway.timers.now());
        if (relayed.kind === "ended") return settle(reservation, decision, relayed, waitedBy(life));
        const hasWaited = decision.quote.cold !== undefined;
        await giveBack(reservation, relayed.replayable ? "retry" : "over", hasWaited);
        const { cause, why } = relayed;
        const upstream = decision.quote.upstream.id;
        if (!relayed.replayable) return { kind: "unsent", upstream, why, cause };
        if (unreachable.has(upstream))
          throw new Error(`upstream ${upstream} was chosen again after it was down`);
        unreachable.set(upstream, { upstream, why, cause });
      }
    }
  }
}

/** What this request sees of upstreams and balances, decided on: what others wait for is not free for it. */
function consider(
  { task, gateway, turn }: Life,
  policy: Policy,
  unreachable: readonly string[],
  view: Balances,
): Decision {
  const model = policy.models.get(task.model);
  if (model === undefined) return modelGone(policy, task, view);
  const all = gateway.candidates(policy, model);
  turn.stand(() =>
    standingOf(
      policy,
      task,
      all.map(({ upstream }) => upstream),
      view.at,
    ),
  );
  const seen = (of: Model) =>
    turn.see(gateway.candidates(policy, of)).filter(({ upstream }) => !unreachable.includes(upstream.id));
  const fallback = fallbackFor(policy, model, seen);
  const question = {
    policy,
    model,
    task,
    candidates: seen(model),
    fallback,
    unreachable,
    known: gateway.learning,
  };
  return decide(question, turn.seeBalances(view));
}

/**
 * Until there is something to decide anew, or no use in waiting. A client that prefers not to wait (`Prefer:
 * respond-async`) waits like any other: jobs, once there are any, begin here.
 */
function waitForItsTurn({ turn, signal, onGone }: Life): Promise<Woken> {
  return turn.wait(signal, onGone);
}

/** Holds money in slices for as long as its start and its work take, and cuts it when a budget says so. */
async function run(life: Life, held: Reservation, decision: Forward): Promise<Relayed> {
  const { gateway, signal, turn } = life;
  const slot = turn.claim();
  const control = new AbortController();
  // By hand: AbortSignal.any keeps weak references, which the garbage collector pays for at every request.
  const onSignal = () => control.abort(signal.reason);
  if (signal.aborted) onSignal();
  signal.addEventListener("abort", onSignal);
  const letGo = keepHeld(held, gateway.timers, () => control.abort("cut"), gateway.room);
  try {
    return await inSlot(slot, () => sendAwake(life, { held, decision, slot, signal: control.signal }));
  } catch (bug) {
    await abandon(held, bug);
    throw bug;
  } finally {
    signal.removeEventListener("abort", onSignal);
    letGo();
  }
}

interface Sending {
  readonly held: Reservation;
  readonly decision: Forward;
  readonly slot: Slot;
  readonly signal: AbortSignal;
}

/** Once its container serves, at the address that it has by then. */
async function sendAwake(life: Life, { held, decision, slot, signal }: Sending): Promise<Relayed> {
  const { task, send, gateway, onGone } = life;
  const { upstream, cold } = decision.quote;
  const sendTo = (to: Upstream) =>
    send({
      upstream: to,
      model: decision.model,
      held,
      signal,
      headers: replyHeaders(held, decision, waitedBy(life)),
      answered: (status) => void (isWell(status) && slot.answers()),
    });
  if (cold === undefined) return sendTo(upstream);
  if (gateway.wakes === undefined) throw new Error(`${upstream.id} is cold, and nobody can start it`);
  const awoken = await gateway.wakes.wait({ request: task.id, upstream, held, signal, onGone });
  life.woken = (life.woken + awoken.waited) as DurationUs;
  return awoken.kind === "over" ? awoken.relayed : owing(await sendTo(awoken.upstream));
}

function waitedBy({ turn, woken }: Life): DurationUs {
  return (turn.waited + woken) as DurationUs;
}

/** The slot is free in the tick in which the attempt is over, whatever is still to be written about it. */
async function inSlot(slot: Slot, send: () => Promise<Relayed>): Promise<Relayed> {
  let sign: Sign = { kind: "unclear" };
  try {
    const relayed = await send();
    sign = signOf(relayed);
    return relayed;
  } finally {
    slot.free(sign);
  }
}

function noUpstream(
  { reason, cause }: Pick<NoUpstream, "reason" | "cause">,
  unreachable: ReadonlyMap<string, Unsent>,
): Exchanged {
  return { kind: "no_upstream", reason, cause, last: [...unreachable.values()].at(-1) };
}
