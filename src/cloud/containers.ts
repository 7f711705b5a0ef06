// All containers that the policy names and this gateway can reach: each watched, told of to the ledger,
// started and stopped on command. One that is no longer named goes on running, and costs until it is off: it
// is watched until then, and gets no orders.

import type { DurationUs, Instant } from "../metering/time.ts";
import type { Container } from "../policy/container.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import type { Adapter, Sighting } from "./adapter.ts";
import type { ContainerState } from "./container-state.ts";
import { type ContainerView, ContainerWatch, type Ordered } from "./container-watch.ts";
import type { Machines } from "./machines.ts";

export type Up = Extract<Sighting, { kind: "up" }>;

export interface ContainersParts {
  /** Undefined: nobody here speaks to its provider yet. */
  adapterFor(container: Container): Adapter | undefined;
  running(upstream: string): number;
  isServing(upstream: Upstream, signal: AbortSignal): Promise<boolean | undefined>;
  /** What it costs, for the ledger: only of those that are their own machine and paid by the hour. */
  seen(upstream: Upstream, up: Up, phase: "starting" | "ready"): void;
  off(id: string, stopped: Instant): void;
  /** No other container than this one, which started then, is the upstream's; undefined: none is. */
  only(upstream: string, id: string | undefined, since?: Instant): void;
  /** A mistake of ours. */
  bug(error: unknown): void;
  /** Its state is another one: who waits for it may look again. */
  changed(upstream: string, view: ContainerView): void;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
  /** [0, 1) */
  random(): number;
}

export interface ListedContainer {
  readonly upstream: Upstream;
  readonly view: ContainerView;
}

interface Watched {
  upstream: Upstream;
  /** Which container it is: another one is another watch. */
  readonly key: string;
  readonly watch: ContainerWatch;
  /** By itself it is told of no more. */
  isDropped: boolean;
}

export class Containers implements Machines {
  readonly #parts: ContainersParts;
  readonly #watched = new Map<string, Watched>();
  /** No longer in the policy, and not known to be off, by which container it is. */
  readonly #dropped = new Map<string, Watched>();

  constructor(parts: ContainersParts) {
    this.#parts = parts;
  }

  follow(policy: Policy): void {
    for (const [id, watched] of this.#watched) {
      if (keyOf(policy.upstreams.get(id)) === watched.key) continue;
      this.#watched.delete(id);
      this.#drop(watched);
    }
    for (const upstream of policy.upstreams.values()) {
      const known = this.#watched.get(upstream.id);
      if (known === undefined) this.#begin(upstream);
      else known.upstream = upstream;
    }
  }

  list(): readonly ListedContainer[] {
    return [...this.#watched.values()].map(({ upstream, watch }) => ({ upstream, view: watch.view() }));
  }

  find(id: string): ListedContainer | undefined {
    const found = this.#watched.get(id);
    return found && { upstream: found.upstream, view: found.watch.view() };
  }

  /** Undefined: no container of that upstream is watched. */
  async order(command: "start" | "stop", upstream: string): Promise<Ordered | undefined> {
    return this.#watched.get(upstream)?.watch[command]();
  }

  async stopAll(): Promise<readonly string[]> {
    const paid = [...this.#watched.values()].filter(({ upstream }) => costs(upstream));
    const stopped = await Promise.all(
      paid.map(async ({ upstream, watch }) => ({ id: upstream.id, done: await watch.stop() })),
    );
    return stopped.filter(({ done }) => done.kind === "ordered").map(({ id }) => id);
  }

  close(): void {
    for (const { watch } of [...this.#watched.values(), ...this.#dropped.values()]) watch.end();
    this.#dropped.clear();
    this.#watched.clear();
  }

  #drop(watched: Watched): void {
    watched.isDropped = true;
    if (watched.watch.view().liveSince === undefined) watched.watch.end();
    else this.#dropped.set(watched.key, watched);
  }

  /** An upstream that had another container until now has two while that one is up. */
  #only({ upstream: { id }, isDropped }: Watched, container: string | undefined, since?: Instant): void {
    const hasOther = [...this.#dropped.values()].some(({ upstream }) => upstream.id === id);
    if (!isDropped && !hasOther) this.#parts.only(id, container, since);
  }

  /** It is off, or somebody else watches it under another name. */
  #letGo(key: string): void {
    this.#dropped.get(key)?.watch.end();
    this.#dropped.delete(key);
  }

  #begin(first: Upstream): void {
    const parts = this.#parts;
    const adapter = first.container && parts.adapterFor(first.container);
    if (adapter === undefined) return;
    const { id } = first;
    const key = keyOf(first) ?? "";
    this.#letGo(key);
    const upstream = () => watched.upstream;
    const watch = new ContainerWatch({
      adapter,
      upstream,
      running: () => parts.running(id),
      isServing: (url, signal) => parts.isServing({ ...upstream(), url }, signal),
      seen: (up, phase) => parts.seen(upstream(), up, phase),
      off: (container, stopped) => parts.off(container, stopped),
      only: (container, since) => this.#only(watched, container, since),
      bug: (error) => parts.bug(error),
      changed: ({ kind }: ContainerState) => {
        if (!watched.isDropped) parts.changed(id, watch.view());
        else if (watch.view().liveSince === undefined && kind !== "starting") this.#letGo(key);
      },
      now: () => parts.now(),
      after: (delay, call) => parts.after(delay, call),
      random: () => parts.random(),
    });
    const watched: Watched = { upstream: first, key, watch, isDropped: false };
    this.#watched.set(id, watched);
    watch.begin();
  }
}

function keyOf(upstream: Upstream | undefined): string | undefined {
  return upstream?.container && JSON.stringify(upstream.container);
}

function costs({ price, idleRate }: Upstream): boolean {
  return idleRate > 0n || (price.kind === "hour" && price.rate > 0n);
}
