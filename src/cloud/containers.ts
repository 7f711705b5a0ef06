// All containers that the policy names and this gateway can reach: each watched, told of to the ledger,
// started and stopped on command. One that is no longer named goes on running, and costs until it is off: it
// is watched until then, and gets no orders.

import { type DurationUs, type Instant, latest } from "../metering/time.ts";
import type { Container } from "../policy/container.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import type { Adapter, Sighting } from "./adapter.ts";
import { answerSoon } from "./answer-soon.ts";
import type { ContainerState } from "./container-state.ts";
import { mayBe } from "./container-state.ts";
import { type ContainerView, ContainerWatch, type Ordered } from "./container-watch.ts";
import { DryRun, type DryRunParts } from "./dry-run.ts";
import { type GlanceParts, Glances } from "./glances.ts";
import type { HostView } from "./host-view.ts";
import { Hosts, type HostsParts } from "./hosts.ts";
import type { Machines } from "./machines.ts";

export type Up = Extract<Sighting, { kind: "up" }>;

export interface ContainersParts extends GlanceParts, DryRunParts {
  /** How machine groups are reached, and what they cost told. */
  readonly hosts: Pick<
    HostsParts,
    "hostFor" | "waiting" | "watchedUntil" | "kept" | "keep" | "seen" | "lived" | "changed" | "only"
  >;
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
  after(delay: DurationUs, call: () => void): () => void;
  /** [0, 1) */
  random(): number;
}

export interface ListedContainer {
  readonly upstream: Upstream;
  readonly view: ContainerView;
  /** What it runs on and bills with; undefined where it is its own machine. */
  readonly machine?: ListedMachine | undefined;
}

export interface ListedMachine {
  readonly name: string;
  readonly view: HostView;
  /** Who keeps it up, in words. */
  readonly needs: readonly string[];
}

interface Watched {
  upstream: Upstream;
  /** Which container it is: another one is another watch. */
  readonly key: string;
  readonly watch: ContainerWatch;
  /** By itself it is told of no more. */
  isDropped: boolean;
  /** What it costs is told by the machine that it runs on. */
  isHosted: boolean;
  /** Until then it was. */
  from: Instant | undefined;
}

export class Containers implements Machines {
  readonly #parts: ContainersParts;
  readonly #watched = new Map<string, Watched>();
  /** No longer in the policy, and not known to be off, by which container it is. */
  readonly #dropped = new Map<string, Watched>();
  readonly #hosts: Hosts;
  readonly #dryRun: DryRun;
  readonly #glances: Glances;

  constructor(parts: ContainersParts) {
    this.#parts = parts;
    this.#glances = new Glances(parts);
    this.#dryRun = new DryRun(parts);
    this.#hosts = new Hosts({
      ...parts.hosts,
      container: (upstream) => {
        const watch = this.#watched.get(upstream)?.watch;
        return watch && { state: watch.view().state, inside: watch.inside() };
      },
      isDryRun: ({ upstreams: [first], machine }) =>
        first !== undefined && this.#dryRun.forbids(first, `would turn off machine ${machine}`) !== undefined,
      look: async (upstream) => this.#watched.get(upstream)?.watch.look(),
      off: (id, stopped) => parts.off(id, stopped),
      lost: (upstream, why) => this.#watched.get(upstream)?.watch.lost(why),
      running: (upstream) => parts.running(upstream),
      bug: (error) => parts.bug(error),
      now: () => parts.now(),
      after: (delay, call) => parts.after(delay, call),
      random: () => parts.random(),
    });
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
    this.#hosts.follow(policy);
    for (const watched of this.#watched.values()) this.#settle(watched);
  }

  /** What was charged as its own machine's is not the other's, and the other way round. */
  #settle(watched: Watched): void {
    const { upstream, watch, isHosted } = watched;
    watched.isHosted = this.#hosts.of(upstream.id) !== undefined;
    const isUp = watch.inside().up !== undefined;
    if (watched.isHosted === isHosted || !isUp || upstream.container?.kind !== "docker") return;
    if (!watched.isHosted) watched.from = this.#parts.now();
    else {
      this.#parts.only(upstream.id, undefined);
      this.#hosts.takeOver(upstream.id);
    }
  }

  /** Somebody has asked how things are, and may ask again soon. */
  glance(): void {
    const watched = [...this.#watched.values()];
    const own = watched.map(({ upstream: { container }, watch }) => ({ target: container, watch }));
    const hosts = this.#hosts.all().map(({ place, watch }) => ({ target: place.group, watch }));
    this.#glances.at([...own, ...hosts]);
  }

  list(): readonly ListedContainer[] {
    return [...this.#watched.values()].map((watched) => this.#listed(watched));
  }

  find(id: string): ListedContainer | undefined {
    const found = this.#watched.get(id);
    return found && this.#listed(found);
  }

  /** Undefined: no container of that upstream is watched. Its machine is raised first, and lowered last. */
  async order(command: "start" | "stop", upstream: string): Promise<Ordered | undefined> {
    const found = this.#watched.get(upstream);
    if (found === undefined) return undefined;
    return this.#forbidden(command, found) ?? (command === "start" ? this.#start(found) : this.#stop(found));
  }

  orderSoon(command: "start" | "stop", upstream: string): Promise<Ordered | undefined> {
    return answerSoon(this.order(command, upstream), this.#parts);
  }

  async stopAll(): Promise<readonly string[]> {
    const paid = [...this.#watched.values()].filter(({ upstream }) => costs(upstream));
    const stopped = await Promise.all(
      paid.map(async ({ upstream: { id } }) => ({
        id,
        done: (await this.orderSoon("stop", id)) ?? NOT_WATCHED,
      })),
    );
    return stopped.filter(({ done }) => done.kind === "ordered").map(({ id }) => id);
  }

  close(): void {
    this.#hosts.close();
    for (const { watch } of [...this.#watched.values(), ...this.#dropped.values()]) watch.end();
    this.#dropped.clear();
    this.#watched.clear();
  }

  /** What was raised for one that cannot be started goes again. */
  async #start({ upstream, watch }: Watched): Promise<Ordered> {
    const host = this.#hosts.of(upstream.id);
    let isRaised = false;
    const raise = async () => {
      isRaised = (await host?.watch.raise()) ?? false;
    };
    const done = await watch.start(raise);
    if (done.kind === "refused" && isRaised) host?.watch.release();
    return done;
  }

  /** Of one that is off already its machine may be up yet. */
  async #stop({ upstream, watch }: Watched): Promise<Ordered> {
    const host = this.#hosts.of(upstream.id);
    const isIdle = host !== undefined && host.watch.view().instances.length > 0;
    if (isIdle && !mayBe("stop", watch.view().state)) {
      const needs = this.#hosts.needs(host.place);
      host.watch.release();
      if (needs.length === 0) return { kind: "ordered" };
      return { kind: "refused", why: `its machine ${host.place.machine} stays: ${needs.join(", ")}` };
    }
    const done = await watch.stop();
    if (done.kind === "ordered") host?.watch.release();
    return done;
  }

  #forbidden(command: "start" | "stop", { upstream, watch }: Watched): Ordered | undefined {
    const host = this.#hosts.of(upstream.id);
    const mayStay = command === "start" || host === undefined || host.watch.view().instances.length === 0;
    if (mayStay && !mayBe(command, watch.view().state)) return undefined;
    const on = host && ` and, as far as nobody else needs it, its machine ${host.place.machine}`;
    const would = `would ${command} ${upstream.id}${on ?? ""}`;
    const key = this.#dryRun.forbids(upstream, would);
    if (key === undefined) return undefined;
    return { kind: "refused", why: `dry run, nothing was changed: it ${would} (${key})` };
  }

  #listed({ upstream, watch }: Watched): ListedContainer {
    const host = this.#hosts.of(upstream.id);
    if (host === undefined) return { upstream, view: watch.view() };
    const { place } = host;
    const machine = { name: place.machine, view: host.watch.view(), needs: this.#hosts.needs(place) };
    return { upstream, view: watch.view(), machine };
  }

  #drop(watched: Watched): void {
    watched.isDropped = true;
    // What is on its way up costs once it comes.
    const { liveSince, state } = watched.watch.view();
    if (liveSince === undefined && state.kind !== "starting") watched.watch.end();
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
      // What runs on a machine group costs what that does.
      seen: (up, phase) => {
        const { isHosted, from } = watched;
        const since = latest(up.since, from ?? up.since);
        if (!isHosted) parts.seen(upstream(), { ...up, since }, phase);
      },
      off: (container, stopped) => {
        if (!watched.isHosted) parts.off(container, stopped);
      },
      only: (container, since) => {
        if (!watched.isHosted) this.#only(watched, container, since);
      },
      bug: (error) => parts.bug(error),
      changed: ({ kind }: ContainerState) => {
        if (!watched.isDropped) this.#hosts.containerChanged(id);
        if (!watched.isDropped) parts.changed(id, watch.view());
        else if (watch.view().liveSince === undefined && kind !== "starting") this.#letGo(key);
      },
      now: () => parts.now(),
      after: (delay, call) => parts.after(delay, call),
      random: () => parts.random(),
    });
    const watched: Watched = {
      upstream: first,
      key,
      watch,
      isDropped: false,
      isHosted: false,
      from: undefined,
    };
    this.#watched.set(id, watched);
    watch.begin();
  }
}

const NOT_WATCHED: Ordered = { kind: "refused", why: "it is not watched" };

function keyOf(upstream: Upstream | undefined): string | undefined {
  return upstream?.container && JSON.stringify(upstream.container);
}

function costs({ price, idleRate }: Upstream): boolean {
  return idleRate > 0n || (price.kind === "hour" && price.rate > 0n);
}
