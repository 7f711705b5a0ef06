// Starts containers for requests: once for all who wait for the same one, and told to each when it serves,
// when it cannot, or when its time is over. What it costs is the ledger's affair, and whom to start for the
// decision's.
//
//   nobody waits ──wake──► starting ──it serves──► nobody waits
//                             └─refused, failed, stopped, too long─► resting ─its time is over─► nobody waits
//
// Invariant: one order a start, however many wait; who leaves stops nothing.
// Invariant: while it rests no request starts it again: what does not start costs money each time.

import { durationText } from "../metering/duration-text.ts";
import { isFree } from "../metering/price.ts";
import { between, type DurationUs, type Instant, later, MINUTE, SECOND } from "../metering/time.ts";
import type { Upstream } from "../policy/policy.ts";
import type { Cold } from "../policy/rank.ts";
import type { Woken } from "../policy/woken.ts";
import type { ContainerView, Ordered } from "./container-watch.ts";
import type { ListedContainer } from "./containers.ts";

export interface WakingParts {
  find(upstream: string): ListedContainer | undefined;
  order(command: "start", upstream: string): Promise<Ordered | undefined>;
  /** How long a start takes, expected. */
  startUp(upstream: Upstream): DurationUs;
  /** Why nothing that costs money may be started now. */
  refusal(upstream: Upstream): string | undefined;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
}

/** What a decision is to know of an upstream with a container. */
export type Standing =
  | { readonly kind: "up" }
  /** `isForNow`: a request will start it later. */
  | { readonly kind: "down"; readonly why: string; readonly isForNow: boolean }
  | { readonly kind: "cold"; readonly cold: Cold }
  | { readonly kind: "stopping" };

interface Start {
  readonly told: Set<(woken: Woken) => void>;
  /** Its provider has not taken the order yet, or refused it. */
  isOrdering: boolean;
  readonly since: Instant;
  forget: () => void;
}

interface Rest {
  readonly pause: DurationUs;
  readonly until: Instant;
  readonly why: string;
}

/** It will not serve those who wait now. */
const GONE: Partial<Record<ContainerView["state"]["kind"], string>> = {
  failed: "its container failed",
  off: "its container went off while it was starting",
  draining: "its container was told to stop while it was starting",
  stopping: "its container was told to stop while it was starting",
};

const DROPPED = "its container is no longer in the policy";
const LOOK = (5 * SECOND) as DurationUs;
const FIRST_REST = MINUTE;
const LONGEST_REST = (15 * MINUTE) as DurationUs;

export class Waking {
  readonly #parts: WakingParts;
  readonly #starts = new Map<string, Start>();
  readonly #rests = new Map<string, Rest>();

  constructor(parts: WakingParts) {
    this.#parts = parts;
  }

  /** `told` once, in a later tick; the returned call forgets it. */
  wake(id: string, told: (woken: Woken) => void): () => void {
    const start = this.#starts.get(id) ?? this.#begin(id);
    start.told.add(told);
    return () => void start.told.delete(told);
  }

  /** Its state is another one. */
  changed(id: string, { state, why }: ContainerView): void {
    if (state.kind === "ready") this.#rests.delete(id);
    if (this.#starts.get(id)?.isOrdering) return;
    if (state.kind === "ready") this.#end(id, this.#ready(id));
    const gone = GONE[state.kind];
    if (gone !== undefined)
      this.#end(id, { kind: "failed", why: gone + (why === undefined ? "" : `: ${why}`) });
  }

  /** `otherwise`: as it stands where no request may start it. */
  standing({ upstream, view: { state, liveSince } }: ListedContainer, otherwise: Standing): Standing {
    const { id } = upstream;
    if (upstream.lifecycle?.wake !== "on_request") return otherwise;
    switch (state.kind) {
      case "unknown":
      case "ready":
        return otherwise;
      case "draining":
      case "stopping":
        return { kind: "stopping" };
      case "starting":
        return { kind: "cold", cold: this.#cold(upstream, liveSince ?? state.since, state.since) };
      default: {
        if (state.kind === "failed" && state.at === "stop") return otherwise;
        // Of what is paid the decision itself says that spending is stopped.
        const why = this.#resting(id) ?? (isFree(upstream.price) ? this.#parts.refusal(upstream) : undefined);
        if (why !== undefined) return { kind: "down", why, isForNow: true };
        return { kind: "cold", cold: this.#cold(upstream, undefined) };
      }
    }
  }

  /** What is left of a start, and of the least billing; all of it where it has not begun. */
  #cold(upstream: Upstream, live: Instant | undefined, ordered = live): Cold {
    const now = this.#parts.now();
    const since = (begun: Instant | undefined) => (begun === undefined ? 0 : Math.max(0, now - begun));
    // The machine under it may have been up long before.
    const spent = Math.min(since(live), since(ordered));
    const startUp = Math.max(0, this.#parts.startUp(upstream) - spent) as DurationUs;
    return { startUp, unbilled: Math.max(0, upstream.minBilled - since(live) - startUp) as DurationUs };
  }

  #resting(id: string): string | undefined {
    const rest = this.#rests.get(id);
    const now = this.#parts.now();
    if (rest === undefined || now >= rest.until) return undefined;
    return `${rest.why}; it is tried again in ${durationText(between(now, rest.until))}`;
  }

  #begin(id: string): Start {
    const since = this.#parts.now();
    const start: Start = { told: new Set(), isOrdering: true, since, forget: () => undefined };
    this.#starts.set(id, start);
    this.#watchOver(id, start);
    void this.#order(id, start);
    return start;
  }

  /** Its provider may have nothing to say, and a reload may drop it: nobody waits for ever. */
  #watchOver(id: string, start: Start): void {
    const { find, now, after } = this.#parts;
    const timeout = find(id)?.upstream.lifecycle?.startupTimeout;
    if (timeout === undefined) {
      this.#end(id, { kind: "failed", why: DROPPED });
      return;
    }
    const left = (timeout - between(start.since, now())) as DurationUs;
    if (left <= 0) {
      const why =
        `its container did not serve within ${durationText(timeout)}: look at its log, ` +
        "or raise lifecycle.startup_timeout";
      this.#end(id, { kind: "failed", why });
      return;
    }
    start.forget = after(Math.min(left, LOOK) as DurationUs, () => this.#watchOver(id, start));
  }

  /** In this tick, so that no second one is given; what comes of it is told later. */
  async #order(id: string, start: Start): Promise<void> {
    const why = await this.#ordered(id);
    if (this.#starts.get(id) !== start) return;
    start.isOrdering = false;
    const view = this.#parts.find(id)?.view;
    if (why !== undefined) this.#end(id, { kind: "failed", why });
    else if (view !== undefined) this.changed(id, view);
    else this.#end(id, { kind: "failed", why: DROPPED });
  }

  /** Why it was not. */
  async #ordered(id: string): Promise<string | undefined> {
    const { find, order, refusal } = this.#parts;
    const found = find(id);
    const kind = found?.view.state.kind;
    if (found === undefined || kind === "starting" || kind === "ready") return undefined;
    const no = refusal(found.upstream);
    if (no !== undefined) return no;
    const done = await order("start", id);
    return done?.kind === "refused" ? `its container could not be started: ${done.why}` : undefined;
  }

  #ready(id: string): Woken {
    const found = this.#parts.find(id);
    const url = found?.upstream.url ?? found?.view.url;
    if (url !== undefined) return { kind: "ready", url };
    return { kind: "failed", why: "its container serves, and nobody says where: give the upstream a url" };
  }

  #end(id: string, woken: Woken): void {
    const start = this.#starts.get(id);
    if (start === undefined) return;
    this.#starts.delete(id);
    start.forget();
    if (woken.kind === "failed") this.#rest(id, woken.why);
    for (const told of start.told) told(woken);
  }

  #rest(id: string, why: string): void {
    const before = this.#rests.get(id);
    const pause = Math.min(LONGEST_REST, before === undefined ? FIRST_REST : 2 * before.pause) as DurationUs;
    this.#rests.set(id, { pause, until: later(this.#parts.now(), pause), why });
  }
}
