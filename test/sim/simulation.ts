// One seeded run of the real exchange, decide and accounts over a fake clock, fake upstreams and a fake
// disk: many requests at once, slow and failing upstreams, a slow and failing disk, power cuts. After every
// event the invariant of MONEY §1 is checked; at the end nothing is held and the entries give the book.

import { Fleet } from "../../src/cloud/fleet.ts";
import type { AccountsOptions, LocalAccounts } from "../../src/ledger/accounts.ts";
import { LedgerClock } from "../../src/ledger/clock.ts";
import { recover } from "../../src/ledger/recovery.ts";
import { type DurationUs, type Instant, SECOND } from "../../src/metering/time.ts";
import { covering, type Facts, factsOf } from "../../src/policy/match.ts";
import { isEnforcing, type Policy } from "../../src/policy/policy.ts";
import { type Exchanged, exchange, type Send } from "../../src/proxy/exchange.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { task } from "../support/policies.ts";
import { checkBook, checkLimits, checkRecord } from "./checks.ts";
import { checkSlotsBack, IdleSlots, UpstreamLoad } from "./load.ts";
import { MoneyLine } from "./money-line.ts";
import { simulatedPolicy, withActions, withSlots } from "./policy.ts";
import { type Random, seeded } from "./random.ts";
import { WatchedLearning } from "./trials.ts";
import { type Client, sendTo } from "./upstreams.ts";
import { World } from "./world.ts";

/** 2026-11-22T23:58:00Z: every run sees midnight. */
const START = (Date.UTC(2026, 10, 22, 23, 58) * 1000) as Instant;
const REQUESTS = 60;

export interface Report {
  readonly seed: number;
  readonly requests: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly crashes: number;
}

export type MakeAccounts = (options: AccountsOptions) => LocalAccounts;

/** Throws with the seed and what was wrong. `slots`: upstreams have bounds, requests wait and are learned from. */
export async function simulate(seed: number, make: MakeAccounts, slots = true): Promise<Report> {
  const simulation = new Simulation(seed, make, slots);
  try {
    return await simulation.run();
  } catch (cause) {
    throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

class Simulation {
  readonly #seed: number;
  readonly #make: MakeAccounts;
  readonly #random: Random;
  /** Apart, so that a seed that failed once is the same run with other limits. */
  readonly #chance: Random;
  /** Undefined in runs of which a named seed must stay what it was. */
  #learning: WatchedLearning | undefined;
  readonly #learns: boolean;
  readonly #world = new World(START);
  readonly #policy: Policy;
  #fleet: Fleet;
  #room: WaitingRoom;
  readonly #clients: Client[] = [];
  readonly #outcomes = new Map<string, number>();
  readonly #bugs: unknown[] = [];
  #upstreams: UpstreamLoad;
  #line: MoneyLine;
  readonly #idle = new IdleSlots();
  #disk: FakeDisk;
  #accounts: LocalAccounts;
  #running = 0;
  #crashes = 0;
  /** Which life of the daemon: what a dead one wakes later is nobody's. */
  #life = 0;
  #endedAt: Instant | undefined;

  constructor(seed: number, make: MakeAccounts, slots: boolean) {
    this.#seed = seed;
    this.#learns = slots;
    this.#make = make;
    this.#random = seeded(seed);
    this.#chance = seeded(seed + 0.5e9);
    const plain = simulatedPolicy(this.#random);
    this.#policy = slots ? withActions(withSlots(plain, this.#chance), this.#chance) : plain;
    this.#disk = this.#newDisk();
    this.#accounts = this.#start(this.#disk);
    this.#upstreams = new UpstreamLoad(this.#world);
    this.#line = this.#newLine();
    this.#fleet = this.#newFleet();
    this.#room = this.#openRoom();
  }

  async run(): Promise<Report> {
    this.#beat(this.#life);
    this.#plan(REQUESTS, 180);
    if (this.#random.chance(0.5)) {
      this.#world.after(this.#random.whole(SECOND, 180 * SECOND) as DurationUs, () => this.#powerCut());
    }
    await this.#world.run(
      () => this.#check(),
      () => this.#isOver(),
    );
    checkBook(this.#accounts, this.#disk, this.#policy);
    checkSlotsBack(this.#policy, this.#fleet, this.#room);
    checkRecord(this.#clients, this.#disk, this.#crashes > 0);
    return {
      seed: this.#seed,
      requests: this.#clients.length,
      outcomes: this.#outcomes,
      crashes: this.#crashes,
    };
  }

  /** All requests have ended and the disk has caught up; a disk that never does is left to the last check. */
  #isOver(): boolean {
    if (this.#clients.length < REQUESTS || this.#running > 0) return false;
    this.#endedAt ??= this.#world.now();
    const patience = this.#world.now() - this.#endedAt;
    const isClean =
      this.#disk.holds.size === 0 && this.#accounts.open === 0 && this.#accounts.outbox.kept === 0;
    return patience > 120 * SECOND || (isClean && patience > 5 * SECOND);
  }

  #check(): void {
    if (this.#bugs.length > 0) throw this.#bugs[0];
    checkLimits(this.#accounts, this.#policy);
    this.#upstreams.check(this.#policy);
    this.#line.check(this.#accounts.view());
    this.#idle.check(this.#policy, this.#fleet, this.#room, this.#world.monotonic());
  }

  /** Bursts of one to eight that arrive in the same tick: what races in a real house races here. */
  #plan(requests: number, within: number): void {
    for (let left = requests; left > 0; ) {
      const burst = Math.min(left, this.#random.whole(1, 8));
      left -= burst;
      this.#world.after(this.#random.whole(0, within * SECOND) as DurationUs, () => {
        for (let index = 0; index < burst; index += 1) this.#arrive();
      });
    }
  }

  #arrive(): void {
    const life = this.#life;
    const asked = task({
      id: `r-${this.#clients.length}`,
      labels: { user: this.#random.pick(["alice", "bob", "eve"]) },
    });
    const client: Client = { id: asked.id, seen: "nothing", sent: false, batched: false };
    this.#clients.push(client);
    const leaves = new AbortController();
    if (this.#random.chance(0.15)) {
      this.#world.after(this.#random.whole(0, 20 * SECOND) as DurationUs, () => leaves.abort("client_gone"));
    }
    const disk = this.#disk;
    const script = sendTo(this.#world, this.#random, client, ({ upstream }) => {
      // Free work that no enforcing budget covers need not wait for the disk (MONEY §7).
      const mayBatch = upstream.id === "free" && !this.#isEnforced(factsOf(asked, upstream));
      return mayBatch || disk.endings.has(client.id);
    });
    const gateway = {
      policy: () => this.#policy,
      accounts: this.#line.watch(this.#accounts),
      candidates: this.#fleet.candidates.bind(this.#fleet),
      room: this.#room,
      timers: this.#timers(),
      ...(this.#learning === undefined ? {} : { learning: this.#learning }),
    };
    const send: Send = (attempt) => this.#upstreams.run(attempt.upstream, () => script(attempt));
    this.#running += 1;
    exchange(asked, send, gateway, leaves.signal).then(
      (exchanged) => life === this.#life && this.#ended(asked.id, exchanged),
      (error) => this.#bugs.push(error),
    );
  }

  #isEnforced(facts: Facts): boolean {
    return covering(this.#policy, facts).some(({ ground }) => isEnforcing(ground.budget));
  }

  #ended(task: string, exchanged: Exchanged): void {
    this.#learning?.ended(task);
    this.#running -= 1;
    this.#line.ended(task);
    const outcome = exchanged.kind === "sent" ? exchanged.ending.outcome : exchanged.kind;
    this.#count(outcome);
    if (exchanged.kind === "sent" && exchanged.waited > 0) this.#count("waited");
    if (exchanged.kind === "sent" && exchanged.decision.degraded !== undefined) this.#count("degraded");
    if (exchanged.kind === "refused" && exchanged.breach.waited !== undefined) this.#count("waited in vain");
  }

  /** What was not acknowledged is lost; what was is recovered, and the house goes on. */
  #powerCut(): void {
    this.#life += 1;
    this.#crashes += 1;
    this.#running = 0;
    const pending = REQUESTS - this.#clients.length;
    this.#world.clear();
    this.#disk = this.#disk.powerCut();
    const crash = {
      ...this.#disk.stored(),
      containers: [],
      restart: this.#world.wall(),
      policy: this.#policy,
    };
    for (const write of recover(crash)) this.#disk.writeNow(write);
    this.#accounts = this.#start(this.#disk);
    this.#upstreams = new UpstreamLoad(this.#world);
    this.#line = this.#newLine();
    this.#fleet = this.#newFleet();
    this.#room = this.#openRoom();
    this.#beat(this.#life);
    this.#plan(pending, 60);
  }

  #timers() {
    return { now: () => this.#accounts.now(), after: this.#world.after.bind(this.#world) };
  }

  #newLine(): MoneyLine {
    const isIn = (request: string) => this.#room.placeOf(request) !== undefined;
    return new MoneyLine(this.#policy, () => this.#accounts.now(), isIn);
  }

  #newFleet(): Fleet {
    return new Fleet({
      monotonic: () => this.#world.monotonic(),
      random: () => this.#chance.unit(),
      turned: (_upstream, { kind }) => this.#count(kind),
    });
  }

  #openRoom(): WaitingRoom {
    const fleet = this.#fleet;
    const room = new WaitingRoom({
      slots: this.#upstreams.watch(fleet),
      timers: this.#timers(),
      policy: () => this.#policy,
      balances: () => this.#accounts.view(),
    });
    this.#accounts.watchFreed((accounts) => room.freed(accounts));
    fleet.onChange((id, turned) => {
      if (turned?.kind === "ejected") room.reconsider(id);
      else room.offer(id);
    });
    return room;
  }

  #count(what: string): void {
    this.#outcomes.set(what, (this.#outcomes.get(what) ?? 0) + 1);
  }

  #start(disk: FakeDisk): LocalAccounts {
    const stored = disk.stored();
    const learning = this.#learns ? new WatchedLearning(disk, (what) => this.#count(what)) : undefined;
    this.#learning = learning;
    return this.#make({
      store: disk,
      clock: new LedgerClock(this.#world, stored.highWater),
      owner: { name: "simulation", epoch: this.#life },
      policy: this.#policy,
      balances: stored.balances,
      tracked: stored.tracked,
      onTrouble: () => undefined,
      learn: (lesson) => learning?.learn(lesson),
    });
  }

  #beat(life: number): void {
    this.#world.after(SECOND, () => {
      if (life !== this.#life) return;
      // A heartbeat that the disk refused is tried again with the next one.
      this.#accounts.heartbeat().catch(() => undefined);
      this.#beat(life);
    });
  }

  #newDisk(): FakeDisk {
    const slowest = this.#random.pick([0, 2_000, 200_000, 3 * SECOND]);
    const failing = this.#random.pick([0, 0, 0.05]);
    return new FakeDisk({
      delay: () =>
        new Promise((resolve) => {
          this.#world.after(this.#random.whole(0, slowest) as DurationUs, resolve);
        }),
      fails: () => this.#random.chance(failing),
    });
  }
}
