// Containers that start for requests, through the real exchange, waiting room, fleet, watches, lifecycle and
// accounts, over a provider in memory. Time moves when the test says so.

import type { Adapter, Host, Sighting, Trouble } from "../../src/cloud/adapter.ts";
import { Containers } from "../../src/cloud/containers.ts";
import { Lifecycle } from "../../src/daemon/lifecycle.ts";
import { StartupTimes } from "../../src/metering/startup-times.ts";
import { type DurationUs, type Instant, SECOND, seconds } from "../../src/metering/time.ts";
import type { Policy, Upstream } from "../../src/policy/policy.ts";
import { MoneyRig } from "./money-rig.ts";
import { perHour, TEN, upstream } from "./policies.ts";

const LIFECYCLE = {
  ...{ wake: "on_request", stopAfterIdle: "never", keepWarm: undefined },
  ...{ startupEstimate: seconds(60), startupTimeout: seconds(1800) },
} as const;

/** 3.6 USD/h: one microsecond is one nano-dollar. Without an address until it is up. */
export function sleeper(
  id: string,
  lifecycle: Partial<Upstream["lifecycle"]> = {},
  over: Partial<Upstream> = {},
) {
  const price = perHour("3.6") as Extract<Upstream["price"], { kind: "hour" }>;
  return upstream(id, {
    ...{ url: undefined, price, idleRate: price.rate, hasContainer: true, provider: "aws" },
    container: { kind: "docker", name: id, socket: "/run/docker.sock" },
    lifecycle: { ...LIFECYCLE, ...lifecycle } as NonNullable<Upstream["lifecycle"]>,
    ...over,
  });
}

/** What its provider does when it is told to. */
export class Engine {
  readonly orders: string[] = [];
  /** From the order to the provider's start, and from there until it serves; undefined: never. */
  boots: DurationUs | undefined = seconds(3);
  serves: DurationUs | undefined = seconds(27);
  /** Says no to the next orders. */
  refusal: Trouble | undefined;
  /** "off", or since when it is up. */
  since: Instant | undefined;
  /** Since when it serves. */
  serving: Instant | undefined;
  stopped: Instant | undefined;
  /** The machine under it, where that bills. */
  under: { readonly id: string; readonly since: Instant } | undefined;
  starts = 0;

  died(at: Instant): void {
    this.since = undefined;
    this.serving = undefined;
    this.stopped = at;
  }
}

export class WakeRig extends MoneyRig {
  readonly engines = new Map<string, Engine>();
  readonly containers: Containers;
  readonly lifecycle: Lifecycle;
  readonly startups = new StartupTimes();
  readonly logged: string[] = [];
  /** Of every machine group of the policy. */
  host: Host | undefined;

  constructor(policy: Policy, start: Instant = TEN) {
    super(policy, start);
    const now = () => this.accounts.now();
    const after = this.world.after.bind(this.world);
    const ledger = this.accounts.containers;
    this.containers = new Containers({
      adapterFor: (one) => (one.kind === "docker" ? this.#adapter(this.engine(one.name)) : undefined),
      hosts: {
        hostFor: () => this.host,
        waiting: (id) => this.room.waitingFor(id) + this.wakes.waiting(id),
        seen: () => undefined,
        watchedUntil: undefined,
        lived: () => undefined,
        ...{ kept: () => undefined, keep: () => undefined },
        ...{ only: () => undefined, changed: () => undefined },
      },
      callsPerMinute: () => 60,
      ...{ dryRun: () => undefined, would: () => undefined },
      running: (id) => this.fleet.inFlight(id),
      isServing: async ({ id }) => this.engine(id).serving !== undefined,
      seen: ({ id, provider, gpuTier: tier, machine, price, idleRate: idlePrice, ...one }, up, phase) => {
        if (price.kind !== "hour") return;
        const { idleSource, minBilled } = one;
        const what = { id: up.id, start: up.since, phase, price, idlePrice, idleSource, minBilled };
        ledger.seen({ ...what, machine, provider, tier, upstream: id });
      },
      off: (id, at) => ledger.off(id, at),
      only: (id, container) => ledger.only(id, container),
      bug: (error) => this.logged.push(String(error)),
      changed: (id, view) => {
        this.logged.push(`${id} ${view.state.kind}`);
        this.lifecycle.changed(id, view);
        this.room.reconsider();
      },
      now,
      after,
      random: () => 0.5,
    });
    this.lifecycle = new Lifecycle({
      fleet: this.fleet,
      containers: this.containers,
      plane: {
        waiting: (id) => (id === undefined ? 0 : this.room.waitingFor(id) + this.wakes.waiting(id)),
        wakes: this.wakes,
      },
      books: { accounts: this.accounts, startups: this.startups },
      inForce: { policy } as never,
      log: { info: (_: object, text: string) => void this.logged.push(text) } as never,
      now,
      after,
    });
    this.fleet.locate = (id) => {
      const found = this.containers.find(id);
      if (found === undefined) return undefined;
      const { kind } = found.view.state;
      const isUp = kind === "ready" || (kind === "unknown" && found.upstream.url !== undefined);
      return this.lifecycle.locate(found, isUp ? undefined : `its container is ${kind}`);
    };
  }

  engine(name: string): Engine {
    const engine = this.engines.get(name) ?? new Engine();
    this.engines.set(name, engine);
    return engine;
  }

  /** Everything of the policy is watched and known. */
  async begin(): Promise<void> {
    this.fleet.follow(this.policy);
    this.containers.follow(this.policy);
    await this.settle();
  }

  /** Second by second, with a heartbeat in each, as the daemon lives. */
  async live(time: number): Promise<void> {
    for (let second = 0; second < time; second += 1) {
      await this.pass(1);
      await this.accounts.heartbeat();
    }
  }

  /** Of what was posted, by kind. */
  kinds(): Record<string, bigint> {
    const sums: Record<string, bigint> = {};
    for (const { kind, amount } of this.disk.entries) {
      if (["reserved", "extended", "released"].includes(kind) || amount === 0n) continue;
      sums[kind] = (sums[kind] ?? 0n) + amount;
    }
    return sums;
  }

  states(): Record<string, string> {
    return Object.fromEntries(
      this.containers.list().map(({ upstream: { id }, view }) => [id, view.state.kind]),
    );
  }

  /** It is off: what its lease has cost, all of it. */
  async leaseOf(name: string): Promise<bigint> {
    const engine = this.engine(name);
    await this.accounts.heartbeat();
    await this.settle();
    const leases = [...this.disk.containers.values()].filter(({ about }) => about.id === `c-${name}`);
    if (engine.since !== undefined) throw new Error(`${name} is up`);
    return leases.reduce((sum, { state }) => sum + BigInt(state.total) / 3_600_000_000n, 0n);
  }

  #adapter(engine: Engine): Adapter {
    const now = () => this.accounts.now();
    const name = [...this.engines].find(([, one]) => one === engine)?.[0] ?? "";
    const id = `c-${name}`;
    const observe = async (): Promise<Sighting> => {
      const { since } = engine;
      if (since === undefined) return { kind: "off", id, stopped: engine.stopped, why: undefined };
      const url = `http://10.0.0.${engine.starts}:8000`;
      const under = engine.under && { under: engine.under };
      return { kind: "up", id, since, isHealthy: undefined, url, isStopping: false, ...under };
    };
    const start = async () => {
      engine.orders.push("start");
      if (engine.refusal !== undefined) throw engine.refusal;
      const { boots, serves } = engine;
      if (boots === undefined) return;
      this.world.after(boots, () => {
        engine.starts += 1;
        engine.since = now();
        if (serves !== undefined)
          this.world.after(serves, () => {
            if (engine.since !== undefined) engine.serving = now();
          });
      });
    };
    const stop = async () => {
      engine.orders.push("stop");
      if (engine.refusal !== undefined) throw engine.refusal;
      this.world.after(SECOND, () => engine.died(now()));
    };
    return { observe, start, stop };
  }
}
