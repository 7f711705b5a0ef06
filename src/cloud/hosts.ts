// The machine groups that the policy's containers run on: each watched once, whoever shares it,
// told of to the ledger, and lowered when none of them needs it. One that the policy no longer names is
// watched until nothing runs there, and gets no orders.

import { type DurationUs, earlier, type Instant, latest, MINUTE } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import type { Host, Instance } from "./adapter.ts";
import type { ContainerState } from "./container-state.ts";
import type { ContainerInside } from "./container-watch.ts";
import { HostWatch } from "./host-watch.ts";
import { ownHost } from "./own-host.ts";
import { type OrderedGroup, type Place, placesOf } from "./placing.ts";
import type { KeptRelease } from "./release.ts";

/** Between two looks: what started after the last one and before a crash nobody has seen. */
const UNSEEN = (2 * MINUTE) as DurationUs;

export interface HostsParts {
  /** Undefined: nobody here speaks to its provider yet. */
  hostFor(group: OrderedGroup): Host | undefined;
  container(
    upstream: string,
  ): { readonly state: ContainerState; readonly inside: ContainerInside } | undefined;
  /** Resolves once its container was looked at anew. */
  look(upstream: string): Promise<void>;
  /** Whether nothing may be changed there; says that it would have been turned off. */
  isDryRun(place: Place): boolean;
  /** Requests that run there, and that wait for it. */
  running(upstream: string): number;
  waiting(upstream: string): number;
  /** When the gateway before this one last lived; undefined: there was none. */
  readonly watchedUntil: Instant | undefined;
  /** What was done to a group is remembered over restarts, by its key. */
  kept(key: string): KeptRelease | undefined;
  keep(key: string, kept: KeptRelease | undefined): void;
  /** What an instance costs, for the ledger. */
  seen(place: Place, instance: Instance, phase: "starting" | "ready"): void;
  lived(place: Place, instance: Instance, stopped: Instant): void;
  off(id: string, stopped: Instant): void;
  /** On that machine, and of those upstreams on it, no others live than these. */
  only(machine: string, upstreams: readonly string[], ids: readonly string[]): void;
  bug(error: unknown): void;
  /** The machine under that container was told to come up, and does not. */
  lost(upstream: string, why: string): void;
  changed(machine: string, watch: HostWatch): void;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
  random(): number;
}

interface Watched {
  place: Place;
  readonly watch: HostWatch;
  isDropped: boolean;
  /** What it costs before is another's: until then its container was its own machine. */
  from: Instant | undefined;
  /** As it was last told. */
  ids: readonly string[];
}

export class Hosts {
  readonly #parts: HostsParts;
  readonly #watched = new Map<string, Watched>();
  #isFollowing = false;

  constructor(parts: HostsParts) {
    this.#parts = parts;
  }

  follow(policy: Policy): void {
    const places = placesOf(policy);
    const named = new Set(places.map(({ key }) => key));
    for (const watched of this.#watched.values()) if (!named.has(watched.place.key)) this.#drop(watched);
    for (const place of places) {
      const known = this.#watched.get(place.key);
      if (known === undefined) this.#begin(place);
      else {
        Object.assign(known, { place, isDropped: false });
        known.watch.containersChanged();
      }
    }
    this.#isFollowing = true;
  }

  /** Where an upstream's container runs; undefined where that is its own machine. */
  of(upstream: string): Pick<Watched, "place" | "watch"> | undefined {
    return this.#live().find(({ place }) => place.upstreams.some(({ id }) => id === upstream));
  }

  /** Its containers were their own machines until now. */
  takeOver(upstream: string): void {
    const found = this.#live().find(({ place }) => place.upstreams.some(({ id }) => id === upstream));
    if (found !== undefined && found.place.group === undefined) found.from = this.#parts.now();
  }

  containerChanged(upstream: string): void {
    this.of(upstream)?.watch.containersChanged();
  }

  /** Each that is watched, whether the policy still names it or not. */
  all(): readonly Pick<Watched, "place" | "watch">[] {
    return [...this.#watched.values()];
  }

  /** Who needs it, in words: "flux-aws is ready". */
  needs({ upstreams, others }: Place): readonly string[] {
    const { container, running, waiting: waitingFor } = this.#parts;
    const used = others.filter((id) => running(id) + waitingFor(id) > 0).map((id) => `${id} is used`);
    const own = upstreams.flatMap(({ id }) => {
      const found = container(id);
      const waiting = waitingFor(id);
      if (waiting > 0) return [`${waiting} requests wait for ${id}`];
      const { state, inside } = found ?? {};
      const isUp = inside?.up !== undefined;
      if (state === undefined || state.kind === "off" || (state.kind === "failed" && !isUp)) return [];
      return [state.kind === "unknown" ? `${id} has not answered` : `${id} is ${state.kind}`];
    });
    return [...own, ...used];
  }

  close(): void {
    for (const { watch } of this.#watched.values()) watch.end();
    this.#watched.clear();
  }

  #live(): readonly Watched[] {
    return [...this.#watched.values()].filter(({ isDropped }) => !isDropped);
  }

  #drop(watched: Watched): void {
    watched.isDropped = true;
    // Its containers are told of by themselves, or by another machine, from now on.
    if (watched.place.group === undefined)
      for (const id of watched.ids) this.#parts.off(id, this.#parts.now());
    this.#letGo(watched);
  }

  #letGo(watched: Watched): void {
    const { place, watch } = watched;
    const { instances, state } = watch.view();
    // What is on its way up costs once it comes.
    const mayCost = place.group !== undefined && (instances.length > 0 || state === "starting");
    if (!watched.isDropped || mayCost) return;
    watch.end();
    this.#watched.delete(place.key);
  }

  #begin(first: Place): void {
    const { group, key } = first;
    const parts = this.#parts;
    const host =
      group === undefined ? ownHost(key, () => this.#insides(watched.place)) : parts.hostFor(group);
    if (host === undefined) return;
    const containers = () => watched.place.upstreams.map(({ id }) => parts.container(id));
    const watch = new HostWatch({
      host,
      isOrderable: group !== undefined,
      watchedFrom: this.#watchedFrom(),
      kept: parts.kept(key),
      keep: (kept) => parts.keep(key, kept),
      mayIdle: () => mayIdle(watched.place),
      isDryRun: () => parts.isDryRun(watched.place),
      needs: () => (watched.isDropped ? ["the policy no longer names it"] : this.needs(watched.place)),
      ask: () => Promise.all(watched.place.upstreams.map(({ id }) => parts.look(id))),
      serves: () => containers().some((one) => one?.state.kind === "ready" || one?.state.kind === "draining"),
      isSettled: () => containers().every((one) => one === undefined || one.inside.isAsked),
      seen: (instance, phase) => {
        const since = latest(instance.since, watched.from ?? instance.since);
        parts.seen(watched.place, { ...instance, since }, phase);
      },
      lived: (instance, stopped) => parts.lived(watched.place, instance, stopped),
      off: (id, stopped) => parts.off(id, stopped),
      only: (ids) => this.#only(watched, ids),
      bug: (error) => parts.bug(error),
      raiseFailed: (why) => {
        for (const { id } of watched.place.upstreams) parts.lost(id, why);
      },
      changed: () => {
        parts.changed(watched.place.machine, watch);
        this.#letGo(watched);
      },
      now: () => parts.now(),
      after: (delay, call) => parts.after(delay, call),
      random: () => parts.random(),
    });
    const watched: Watched = { place: first, watch, isDropped: false, from: undefined, ids: [] };
    this.#watched.set(key, watched);
    void watch.look();
  }

  /** Nobody has watched before what a later policy names. */
  #watchedFrom(): Instant {
    const { watchedUntil, now } = this.#parts;
    return this.#isFollowing || watchedUntil === undefined ? now() : earlier(watchedUntil, UNSEEN);
  }

  #insides({ upstreams }: Place): readonly ContainerInside[] {
    return upstreams.flatMap(({ id }) => this.#parts.container(id)?.inside ?? []);
  }

  /** A machine of several groups lives where any of them does. */
  #only(watched: Watched, ids: readonly string[]): void {
    watched.ids = ids;
    const { machine, upstreams } = watched.place;
    const same = [...this.#watched.values()].filter(({ place }) => place.machine === machine);
    if (watched.isDropped || same.some(({ isDropped }) => isDropped)) return;
    if (same.some(({ watch }) => watch.view().seenAt === undefined)) return;
    const names = upstreams.map(({ id }) => id);
    this.#parts.only(
      machine,
      names,
      same.flatMap((one) => one.ids),
    );
  }
}

/** The longest of its containers; undefined: none of them is ever stopped for being idle. */
function mayIdle({ upstreams }: Place): DurationUs | undefined {
  const all = upstreams.flatMap(({ lifecycle }) => lifecycle?.stopAfterIdle ?? "never");
  const times = all.filter((one) => one !== "never");
  return times.length === 0 ? undefined : (Math.max(...times) as DurationUs);
}
