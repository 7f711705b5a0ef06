// One seeded run of the real exchange, decide and accounts over a fake clock, fake upstreams and a fake
// disk: many requests at once, slow and failing upstreams, a slow and failing disk, power cuts. After every
// event the invariant of MONEY §1 is checked; at the end nothing is held and the entries give the book.

import { setImmediate as turn } from "node:timers/promises";
import { Fleet } from "../../src/cloud/fleet.ts";
import type { AccountsOptions, LocalAccounts } from "../../src/ledger/accounts.ts";
import { LedgerClock } from "../../src/ledger/clock.ts";
import { recover } from "../../src/ledger/recovery.ts";
import { StoreError } from "../../src/ledger/store.ts";
import { NOTHING } from "../../src/metering/quantity.ts";
import { type DurationUs, type Instant, SECOND } from "../../src/metering/time.ts";
import { covering, type Facts, factsOf } from "../../src/policy/match.ts";
import { isEnforcing, type Policy } from "../../src/policy/policy.ts";
import { type Attempt, type Exchanged, exchange, type Send } from "../../src/proxy/exchange.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { task } from "../support/policies.ts";
import { AlertsTold } from "./alerts-told.ts";
import { checkBook, checkRecord } from "./checks.ts";
import { Excess } from "./excess.ts";
import { checkSlotsBack, IdleSlots, UpstreamLoad } from "./load.ts";
import { MoneyLine } from "./money-line.ts";
import { simulatedPolicy, withActions, withSlots } from "./policy.ts";
import { type Random, seeded } from "./random.ts";
import { countedBy, edited, plannedBlows, startable } from "./storm.ts";
import { TimeWatch } from "./time-watch.ts";
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
  /** As the run began; what an edit took away may come back. */
  readonly #firstPolicy: Policy;
  /** In force. */
  #policy: Policy;
  /** The file as it was saved last, while its folds are under way. */
  #saved: Policy | undefined;
  /** Undefined in calm runs: nothing but requests, failures and at most one power cut. */
  readonly #storm: Random | undefined;
  #reloads = 0;
  readonly #excess = new Excess();
  #alerts: AlertsTold;
  #events = 0;
  /** The event after which the process dies, wherever it is then. */
  readonly #diesAfter: number;
  readonly #time = new TimeWatch();
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
    this.#firstPolicy = this.#policy;
    const storm = seeded(seed + 0.25e9);
    this.#storm = slots && storm.chance(0.6) ? storm : undefined;
    this.#diesAfter = this.#storm?.chance(0.4) ? this.#storm.whole(1, 900) : -1;
    this.#disk = this.#newDisk();
    this.#disk.tracked = this.#storm === undefined ? [] : countedBy(this.#policy);
    this.#accounts = this.#start(this.#disk);
    this.#alerts = this.#newAlerts();
    this.#upstreams = new UpstreamLoad(this.#world);
    this.#line = this.#newLine();
    this.#fleet = this.#newFleet();
    this.#room = this.#openRoom();
  }

  async run(): Promise<Report> {
    this.#beat(this.#life);
    this.#plan(REQUESTS, 180);
    this.#planStorm(180);
    if (this.#random.chance(0.5)) {
      this.#world.after(this.#random.whole(SECOND, 180 * SECOND) as DurationUs, () => this.#powerCut());
    }
    await this.#world.run(
      () => this.#check(),
      () => this.#isOver(),
    );
    // The watch looks after the tick.
    await turn();
    checkBook(this.#accounts, this.#disk, this.#policy, this.#reloads > 0);
    this.#alerts.checkEnd(this.#policy);
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
    this.#excess.check(this.#accounts, this.#policy);
    this.#alerts.check();
    this.#time.check(this.#accounts.now(), this.#world.monotonic(), this.#life);
    if (this.#accounts.open > this.#running) {
      throw new Error(`${this.#accounts.open} holds are open, and ${this.#running} requests run`);
    }
    this.#upstreams.check(this.#policy);
    this.#line.check(this.#accounts.view());
    this.#idle.check(this.#policy, this.#fleet, this.#room, this.#world.monotonic());
    this.#events += 1;
    if (this.#events === this.#diesAfter) this.#powerCut();
  }

  #planStorm(within: number): void {
    const storm = this.#storm;
    if (storm === undefined) return;
    for (const { at, blow } of plannedBlows(storm, within * SECOND)) {
      this.#world.after(at as DurationUs, () =>
        blow(
          {
            reload: () => void this.#reload(storm).catch((error) => this.#bugs.push(error)),
            stepWall: (by) => this.#world.stepWall(by),
            stop: () => this.#stopSpending(storm),
          },
          storm,
        ),
      );
    }
  }

  /** As daemon/reload.ts does it. */
  async #reload(storm: Random): Promise<void> {
    if (this.#saved !== undefined) return;
    const [life, accounts] = [this.#life, this.#accounts];
    const next = edited(this.#policy, this.#firstPolicy, storm);
    this.#saved = next;
    try {
      const putInForce = await accounts.prepare(next);
      if (life !== this.#life) return;
      putInForce();
      this.#policy = next;
      this.#reloads += 1;
      this.#count("reloaded");
      this.#excess.turned(accounts, next);
      this.#line.turned();
      this.#fleet.follow(next);
      this.#room.reconsider();
      this.#alerts.turned();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#count("reload refused");
    } finally {
      if (life === this.#life) this.#saved = undefined;
    }
  }

  #stopSpending(storm: Random): void {
    const life = this.#life;
    this.#accounts.stopped = { by: "an operator", at: this.#accounts.now() };
    this.#room.reconsider();
    this.#world.after(storm.whole(SECOND, 40 * SECOND) as DurationUs, () => {
      if (life !== this.#life) return;
      this.#accounts.stopped = undefined;
      this.#room.reconsider();
    });
  }

  #newAlerts(): AlertsTold {
    return new AlertsTold(this.#accounts, this.#disk, () => this.#policy);
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
    const batched = new Set<Attempt>();
    const script = sendTo(this.#world, this.#random, client, (attempt) => {
      return batched.has(attempt) || disk.endings.has(client.id);
    });
    const gateway = {
      policy: () => this.#policy,
      accounts: this.#line.watch(this.#accounts),
      candidates: this.#fleet.candidates.bind(this.#fleet),
      room: this.#room,
      timers: this.#timers(),
      ...(this.#learning === undefined ? {} : { learning: this.#learning }),
    };
    const send: Send = (attempt) => {
      const { upstream } = attempt;
      // Free work that no enforcing budget covers when it is admitted need not wait for the disk (MONEY §7).
      if (upstream.id === "free" && !this.#isEnforced(factsOf(asked, upstream))) batched.add(attempt);
      return this.#upstreams.run(upstream, () => script(attempt));
    };
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
    if (this.#storm !== undefined) {
      this.#policy = startable(this.#disk.tracked, this.#saved, this.#policy);
      this.#disk.tracked = countedBy(this.#policy);
      this.#saved = undefined;
    }
    const restart = this.#world.wall();
    const crash = { ...this.#disk.stored(), containers: [], restart, policy: this.#policy };
    for (const write of recover(crash)) this.#disk.writeNow(write);
    // What is still held is of a write that a failing disk took without its counterpart (ledger/open.ts).
    if (this.#storm !== undefined) {
      for (const [key, one] of this.#disk.balances) this.#disk.balances.set(key, { ...one, held: NOTHING });
    }
    this.#accounts = this.#start(this.#disk);
    this.#excess.turned(this.#accounts, this.#policy);
    this.#alerts = this.#newAlerts();
    this.#upstreams = new UpstreamLoad(this.#world);
    this.#line = this.#newLine();
    this.#fleet = this.#newFleet();
    this.#room = this.#openRoom();
    this.#beat(this.#life);
    this.#plan(pending, 60);
    this.#planStorm(60);
  }

  #timers() {
    return { now: () => this.#accounts.now(), after: this.#world.after.bind(this.#world) };
  }

  #newLine(): MoneyLine {
    const isIn = (request: string) => this.#room.placeOf(request) !== undefined;
    return new MoneyLine(
      () => this.#policy,
      () => this.#accounts.now(),
      isIn,
    );
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
          const stall = this.#storm?.chance(0.01) ? this.#storm.whole(5, 20) * SECOND : 0;
          this.#world.after((this.#random.whole(0, slowest) + stall) as DurationUs, resolve);
        }),
      fails: () => this.#random.chance(failing),
    });
  }
}
