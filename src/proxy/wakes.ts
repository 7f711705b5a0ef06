// Requests that wait for their container to start, each with its slot and its money: from the tick in which
// the start is ordered until it serves, it cannot, the client leaves, or a budget or an operator ends it. It
// starts nothing; whoever does is asked.
//
// Invariant: a wait ends once, and its clock with it unless the container serves.

import { between, type DurationUs, type Instant } from "../metering/time.ts";
import type { Ending, Reservation } from "../policy/admission.ts";
import type { Upstream } from "../policy/policy.ts";
import type { Woken } from "../policy/woken.ts";
import { CLIENT_GONE, cutterOf, stoppedBy } from "./interruption.ts";
import type { Fault, Relayed, UnsentWhy } from "./relayed.ts";
import type { Timers } from "./timers.ts";
import type { OnGone } from "./turn.ts";
import type { Place } from "./waiting-room.ts";

export interface Waker {
  /** Has it started, once for all who ask. `told` is called once, later; the returned call forgets it. */
  wake(upstream: string, told: (woken: Woken) => void): () => void;
}

export interface Waits {
  readonly request: string;
  readonly upstream: Upstream;
  readonly held: Reservation;
  /** Aborted by a budget's cut, or by an operator. */
  readonly signal: AbortSignal;
  readonly onGone: OnGone;
}

export type Awoken = { readonly waited: DurationUs } & (
  | { readonly kind: "ready"; readonly upstream: Upstream }
  | { readonly kind: "over"; readonly relayed: Relayed }
);

export class Wakes {
  /** Set once by whoever has containers. */
  waker: Waker = { wake: (id) => fail(`nobody can start the container of ${id}`) };
  readonly #now: Timers["now"];
  /** By request. */
  readonly #waiting = new Map<string, { readonly upstream: string; readonly since: Instant }>();

  constructor({ now }: Pick<Timers, "now">) {
    this.#now = now;
  }

  /** Requests that wait, in all or for one upstream. */
  waiting(upstream?: string): number {
    if (upstream === undefined) return this.#waiting.size;
    return [...this.#waiting.values()].filter((one) => one.upstream === upstream).length;
  }

  /** Undefined where that request does not wait for a start. */
  placeOf(request: string): Place | undefined {
    const one = this.#waiting.get(request);
    if (one === undefined) return undefined;
    const same = [...this.#waiting].filter(([, { upstream }]) => upstream === one.upstream);
    const position = same.findIndex(([id]) => id === request) + 1;
    return { position, waited: between(one.since, this.#now()) };
  }

  wait({ request, upstream, held, signal, onGone }: Waits): Promise<Awoken> {
    const since = this.#now();
    held.wait();
    this.#waiting.set(request, { upstream: upstream.id, since });
    const { promise, resolve } = Promise.withResolvers<Awoken>();
    let isOver = false;
    const forgets: (() => void)[] = [];
    const untilOver = (forget: () => void) => void (isOver ? forget() : forgets.push(forget));
    const end = (relayed: Relayed | undefined, url = upstream.url) => {
      if (isOver) return;
      isOver = true;
      for (const forget of forgets) forget();
      this.#waiting.delete(request);
      if (relayed !== undefined) held.stop();
      const waited = between(since, this.#now());
      if (relayed !== undefined) resolve({ kind: "over", relayed, waited });
      else resolve({ kind: "ready", upstream: url === undefined ? upstream : { ...upstream, url }, waited });
    };
    const onAbort = () => end(endedBy(stoppedBy(signal, held)));
    signal.addEventListener("abort", onAbort);
    untilOver(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
    untilOver(onGone(() => end(endedBy(CLIENT_GONE))));
    const told = (woken: Woken) => {
      if (woken.kind === "ready") end(undefined, woken.url);
      else end(notStarted(woken.why));
    };
    if (!isOver) untilOver(this.waker.wake(upstream.id, told));
    return promise;
  }
}

/** What shared a start-up is settled, however little came of it: unsent it is only to be sent elsewhere. */
export function owing(relayed: Relayed): Relayed {
  if (relayed.kind === "ended" || relayed.replayable) return relayed;
  const { why, cause } = relayed;
  const [kind, reason] = [FAULT[why], cause.message];
  return endedBy(kind === "cut" ? { kind, budget: cutterOf(cause), reason } : { kind, reason });
}

function notStarted(why: string): Relayed {
  return { kind: "unsent", why: "not_started", replayable: true, cause: new Error(why) };
}

/** Nothing of a reply was there, and nothing of it is to be broken off. */
function endedBy(fault: Fault): Relayed {
  return {
    kind: "ended",
    ending: { outcome: outcomeOf(fault.kind), status: undefined, tokens: undefined },
    fault,
    firstByteAfterMs: undefined,
    bytes: 0,
    headSent: false,
    finish: () => undefined,
    destroy: () => undefined,
  };
}

function outcomeOf(kind: Fault["kind"]): Ending["outcome"] {
  if (kind === "cut") return "cut";
  return kind === "client_gone" || kind === "cancelled" ? "aborted" : "failed";
}

type Simple = Exclude<Fault["kind"], "unreadable">;

const FAULT: Record<UnsentWhy, Simple> = {
  ...{ unreachable: "broken", unsendable: "broken", not_started: "broken" },
  ...{ client_gone: "client_gone", cut: "cut", cancelled: "cancelled" },
};

function fail(what: string): never {
  throw new Error(what);
}
