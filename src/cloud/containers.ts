// All containers that the policy names and this gateway can reach: each watched, told of to the ledger,
// started and stopped on command. One that is no longer named is let go of, and goes on running.

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
}

export class Containers implements Machines {
  readonly #parts: ContainersParts;
  readonly #watched = new Map<string, Watched>();

  constructor(parts: ContainersParts) {
    this.#parts = parts;
  }

  follow(policy: Policy): void {
    for (const [id, { key, watch }] of this.#watched) {
      if (keyOf(policy.upstreams.get(id)) === key) continue;
      watch.end();
      this.#watched.delete(id);
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

  view(upstream: string): ContainerView | undefined {
    return this.#watched.get(upstream)?.watch.view();
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
    for (const { watch } of this.#watched.values()) watch.end();
    this.#watched.clear();
  }

  #begin(first: Upstream): void {
    const parts = this.#parts;
    const adapter = first.container && parts.adapterFor(first.container);
    if (adapter === undefined) return;
    const { id } = first;
    const upstream = () => this.#watched.get(id)?.upstream ?? first;
    const watch = new ContainerWatch({
      adapter,
      upstream,
      running: () => parts.running(id),
      isServing: (url, signal) => parts.isServing({ ...upstream(), url }, signal),
      seen: (up, phase) => parts.seen(upstream(), up, phase),
      off: (container, stopped) => parts.off(container, stopped),
      changed: (_state: ContainerState) => parts.changed(id, watch.view()),
      now: () => parts.now(),
      after: (delay, call) => parts.after(delay, call),
      random: () => parts.random(),
    });
    this.#watched.set(id, { upstream: first, key: keyOf(first) ?? "", watch });
    watch.begin();
  }
}

function keyOf(upstream: Upstream | undefined): string | undefined {
  return upstream?.container && JSON.stringify(upstream.container);
}

function costs({ price, idleRate }: Upstream): boolean {
  return idleRate > 0n || (price.kind === "hour" && price.rate > 0n);
}
