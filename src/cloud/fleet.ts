// Which upstreams can serve, and what hinders each right now: slots, calls, ejection, a container that is not
// up. Every other upstream that the policy gives an address counts as up until it fails.

import type { DurationUs } from "../metering/time.ts";
import { type Hindrance, hindranceText } from "../policy/hindrance.ts";
import type { Model, Policy, Upstream } from "../policy/policy.ts";
import type { Candidate, Cold } from "../policy/rank.ts";
import type { Call, Slot } from "../policy/slot.ts";
import type { Probed, Turned } from "./health.ts";
import { Station, type StationParts } from "./station.ts";

export interface FleetParts extends Pick<StationParts, "monotonic" | "random"> {
  /** An upstream was ejected or has recovered. */
  turned(upstream: string, turned: Turned): void;
}

/** Of one upstream, for whoever asks how things stand. */
export interface UpstreamView {
  readonly state: "unknown" | "up" | "ejected";
  readonly inFlight: number;
  /** Until it is tried again; undefined unless it is ejected. */
  readonly ejectedFor: DurationUs | undefined;
  /** What hinders it, in words that go on from "it is". */
  readonly hindrance: string | undefined;
}

/** Where an upstream's container is, and how it stands; undefined for one that has none. */
export type Locate = (upstream: string) => Located | undefined;

export interface Located {
  readonly url: string | undefined;
  /** Why it serves nobody. */
  readonly down: string | undefined;
  /** Some time later a request may start it. */
  readonly isForNow?: boolean;
  /** A request may start it, or waits for its start. */
  readonly cold?: Cold | undefined;
  /** What a cold one is doing, going on from "it is". */
  readonly says?: string;
  /** It can be started again once it is off. */
  readonly isStopping?: boolean;
}

export class Fleet {
  readonly #parts: FleetParts;
  /** Asked at each decision. There is one who knows. */
  locate: Locate = () => undefined;
  readonly #stations = new Map<string, Station>();
  #changed: (upstream: string, turned: Turned | undefined) => void = () => undefined;
  #policy: Policy | undefined;

  constructor(parts: FleetParts) {
    this.#parts = parts;
  }

  /** Told whenever an upstream may have become free, or has turned. There is one who listens. */
  onChange(changed: (upstream: string, turned: Turned | undefined) => void): void {
    this.#changed = changed;
  }

  /** The model's upstreams that have an address, in the policy's order. */
  candidates(policy: Policy, model: Model): readonly Candidate[] {
    return model.upstreams.flatMap((id) => {
      const named = policy.upstreams.get(id);
      const { url, down, isForNow, cold, isStopping = false } = this.locate(id) ?? {};
      const upstream = named && located(named, url);
      if (upstream !== undefined) this.#stations.get(id)?.follow(upstream);
      const isKnown = upstream?.url !== undefined || down !== undefined || cold !== undefined || isStopping;
      if (upstream === undefined || !isKnown) return [];
      const now = { inFlight: this.inFlight(id), hindrance: this.hindrance(upstream) };
      return [{ upstream, ...now, down, isForNow, cold }];
    });
  }

  hindrance(upstream: Upstream): Hindrance | undefined {
    if (this.locate(upstream.id)?.isStopping) return { kind: "stopping" };
    return this.#stations.get(upstream.id)?.hindrance(upstream);
  }

  /** Throws where there is none to take. */
  take(upstream: Upstream): Slot {
    return this.#station(upstream).take(upstream);
  }

  /** For a request that costs nothing. */
  call(upstream: Upstream): Call {
    return this.#station(upstream).call(upstream);
  }

  inFlight(upstream: string): number {
    return this.#stations.get(upstream)?.running ?? 0;
  }

  view(upstream: Upstream): UpstreamView {
    const hindrance = this.hindrance(upstream);
    const health = this.#stations.get(upstream.id)?.health;
    const kind = health?.shown(this.#parts.monotonic()) ?? "unknown";
    return {
      state: kind === "well" ? "up" : kind,
      inFlight: this.inFlight(upstream.id),
      ejectedFor: hindrance?.kind === "ejected" ? hindrance.again : undefined,
      hindrance: hindrance ? hindranceText(hindrance) : this.locate(upstream.id)?.says,
    };
  }

  station(upstream: Upstream): Pick<Station, "running" | "health" | "usedAt"> {
    return this.#station(upstream);
  }

  /** It runs anew: what was known of its health was of another life. */
  restarted(upstream: Upstream): void {
    this.#station(upstream).restarted();
  }

  /** Of the time since it serves, or since this gateway knows of it: how much of that requests ran there. */
  busyShare(id: string): number | undefined {
    return this.#stations.get(id)?.busyShare;
  }

  /** Whether its container is off, or on its way: nobody answers there, and that says nothing about it. */
  isAway(id: string): boolean {
    const { down, cold, isStopping = false } = this.locate(id) ?? {};
    return down !== undefined || cold !== undefined || isStopping;
  }

  /** How long ago the last request was let in; undefined: none was since this gateway started. */
  unusedFor(id: string): DurationUs | undefined {
    const usedAt = this.#stations.get(id)?.usedAt;
    return usedAt === undefined ? undefined : ((this.#parts.monotonic() - usedAt) as DurationUs);
  }

  probed(upstream: Upstream, found: Probed): void {
    this.#station(upstream).probed(found);
  }

  /**
   * Forgets upstreams that the policy no longer names, each once nobody runs there and no call of it counts:
   * one that comes back within its `rate_limit` keeps to it.
   */
  follow(policy: Policy): void {
    this.#policy = policy;
    for (const [id, station] of this.#stations) {
      const upstream = policy.upstreams.get(id);
      if (upstream === undefined) this.#forget(id);
      else station.follow(located(upstream, this.locate(id)?.url));
    }
  }

  #forget(id: string): void {
    if (this.#policy === undefined || this.#policy.upstreams.has(id)) return;
    if (this.#stations.get(id)?.isQuiet) this.#stations.delete(id);
  }

  #station(upstream: Upstream): Station {
    const { id } = upstream;
    const known = this.#stations.get(id);
    if (known !== undefined) return known;
    const { monotonic, random, turned } = this.#parts;
    const station = new Station(upstream, {
      monotonic,
      random,
      changed: (what) => {
        if (what !== undefined) turned(id, what);
        this.#forget(id);
        this.#changed(id, what);
      },
    });
    this.#stations.set(id, station);
    return station;
  }
}

/** The policy's own address goes before the one that was found. */
function located(upstream: Upstream, url: string | undefined): Upstream {
  return upstream.url !== undefined || url === undefined ? upstream : { ...upstream, url };
}
