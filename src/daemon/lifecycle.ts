// When containers are started and stopped without anybody's order: for requests, in their window, after
// idling. It puts together what starts them (cloud/), what waits for it (proxy/) and what it may cost.

import { mayBe } from "../cloud/container-state.ts";
import type { ContainerView, Ordered } from "../cloud/container-watch.ts";
import type { Containers, ListedContainer } from "../cloud/containers.ts";
import type { Fleet, Located } from "../cloud/fleet.ts";
import { Upkeep } from "../cloud/upkeep.ts";
import { type Standing, Waking } from "../cloud/waking.ts";
import { isFree } from "../metering/price.ts";
import type { LearnedStartUp } from "../metering/startup-times.ts";
import { between, type DurationUs, type Instant, instantUs, latest, MINUTE } from "../metering/time.ts";
import type { IdleTime } from "../policy/idle-note.ts";
import type { Upstream } from "../policy/policy.ts";
import { Shortages } from "../policy/shortage.ts";
import { spentFor } from "../policy/stop-idle.ts";
import type { Books } from "./books.ts";
import type { DataPlane } from "./data-plane.ts";
import type { InForce } from "./in-force.ts";
import type { Logger } from "./log.ts";

export interface LifecycleParts {
  readonly fleet: Fleet;
  readonly containers: Pick<Containers, "list" | "find" | "order" | "orderSoon">;
  readonly plane: Pick<DataPlane, "waiting" | "wakes">;
  readonly books: Pick<Books, "accounts" | "startups">;
  readonly inForce: Pick<InForce, "policy">;
  readonly log: Logger;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
}

export class Lifecycle {
  readonly #parts: LifecycleParts;
  readonly #waking: Waking;
  readonly #upkeep: Upkeep;
  /** Those that were seen to start, and since when: how long that takes is learned from them. */
  readonly #starting = new Map<string, Instant>();

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
    const { containers, fleet, plane, log, now, after, inForce } = parts;
    const { accounts } = parts.books;
    const shortages = new Shortages();
    accounts.onDecided = (task, decision) => shortages.follow(inForce.policy, task, decision);
    const refusal = (upstream: Upstream) => this.#refusal(upstream);
    const order = (command: "start" | "stop", upstream: string) => containers.order(command, upstream);
    this.#waking = new Waking({
      find: (upstream) => containers.find(upstream),
      order,
      startUp: (upstream) => this.startUp(upstream),
      refusal,
      now,
      after,
    });
    plane.wakes.waker = this.#waking;
    this.#upkeep = new Upkeep({
      list: () => containers.list(),
      order,
      isWanted: (upstream) => fleet.inFlight(upstream) > 0 || plane.waiting(upstream) > 0,
      unusedFor: (upstream) => fleet.unusedFor(upstream),
      remembered: (upstream) => this.#remembered(upstream),
      spent: (upstream) => spentFor(inForce.policy, upstream, accounts.view(), shortages),
      refusal,
      zone: () => inForce.policy.timezone,
      told: (upstream, what) => log.info({ upstream }, `container of ${upstream} is ${what}`),
      now,
      after,
    });
  }

  close(): void {
    this.#upkeep.close();
  }

  /** Its state is another one; before whoever waits looks again. */
  changed(id: string, view: ContainerView): void {
    const { state } = view;
    const { kind } = state;
    if (state.kind === "starting") this.#starting.set(id, state.since);
    else this.#learn(id, view);
    const upstream = this.#parts.containers.find(id)?.upstream;
    if (upstream && (kind === "starting" || kind === "ready")) this.#parts.fleet.restarted(upstream);
    this.#waking.changed(id, view);
    this.#upkeep.changed(id, view);
  }

  /** By an operator; while all spending is stopped nothing is started for one either that costs. */
  async order(command: "start" | "stop", id: string): Promise<Ordered | undefined> {
    const { containers, books } = this.#parts;
    const found = containers.find(id);
    if (found !== undefined && command === "start" && mayBe(command, found.view.state)) {
      const { stopped } = books.accounts;
      if (stopped !== undefined && this.#refusal(found.upstream) !== undefined) {
        const cure = "budgetguard resume comes first";
        const why = `all spending is stopped by ${stopped.by}, and ${id} costs: ${cure}`;
        return { kind: "refused", why };
      }
    }
    return containers.orderSoon(command, id);
  }

  /** For the fleet: what a decision sees of it. */
  locate(listed: ListedContainer, down: string | undefined): Located {
    const { url } = listed.view;
    const otherwise: Standing =
      down === undefined ? { kind: "up" } : { kind: "down", why: down, isForNow: false };
    const standing = this.#waking.standing(listed, otherwise);
    switch (standing.kind) {
      case "up":
        return { url, down: undefined };
      case "down":
        return { url, down: standing.why, isForNow: standing.isForNow };
      case "cold":
        return { url, down: undefined, cold: standing.cold, says: saysOf(listed) };
      case "stopping":
        return { url, down: undefined, isStopping: true };
    }
  }

  idle(listed: ListedContainer): IdleTime | undefined {
    return this.#upkeep.idle(listed);
  }

  learned(upstream: string): LearnedStartUp | undefined {
    return this.#parts.books.startups.of(upstream);
  }

  /** No longer than it may take: a lease may have begun hours before its container did. */
  startUp({ id, lifecycle }: Upstream): DurationUs {
    const learned = this.learned(id)?.median;
    if (learned === undefined) return lifecycle?.startupEstimate ?? MINUTE;
    return Math.min(learned, lifecycle?.startupTimeout ?? learned) as DurationUs;
  }

  #learn(id: string, { state, liveSince }: ContainerView): void {
    const since = this.#starting.get(id);
    this.#starting.delete(id);
    if (since === undefined || state.kind !== "ready" || liveSince === undefined) return;
    // Its machine may have been up long before, and come long after the order.
    this.#parts.books.startups.learn(id, between(latest(since, liveSince), this.#parts.now()));
  }

  /** While all spending is stopped nothing is started that costs, by the hour or idle. */
  #refusal({ price, idleRate }: Upstream): string | undefined {
    const stop = this.#parts.books.accounts.stopped;
    if (stop === undefined || (isFree(price) && idleRate === 0n)) return undefined;
    return `its container is off, and all spending is stopped by ${stop.by}`;
  }

  /** By its lease: when it became ready, or its last request left. */
  #remembered({ id, machine }: Upstream): Instant | undefined {
    const leases = this.#parts.books.accounts.leases.containers();
    const lease = leases.find(({ about }) => about.upstream === id || about.machine === machine);
    if (lease === undefined) return undefined;
    const { state, lastLeft = state.start } = lease.stored();
    return latest(lastLeft, state.phase.kind === "ready" ? instantUs(state.phase.at) : state.start);
  }
}

/** Goes on from "it is". */
function saysOf({ view: { state } }: ListedContainer): string {
  return state.kind === "starting" ? "starting" : `${state.kind}, and a request starts it`;
}
