// One seeded run of the real exchange, decide and accounts over a fake clock, fake upstreams and a fake
// disk: many requests at once, slow and failing upstreams, a slow and failing disk, power cuts. After every
// event the invariant of MONEY §1 is checked; at the end nothing is held and the entries give the book.

import { setImmediate as turn } from "node:timers/promises";
import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { StoreError } from "../../src/ledger/store.ts";
import { type DurationUs, type Instant, SECOND } from "../../src/metering/time.ts";
import { factsOf } from "../../src/policy/match.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { type Attempt, type Exchanged, exchange, type Send } from "../../src/proxy/exchange.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { task } from "../support/policies.ts";
import { AlertsTold } from "./alerts-told.ts";
import { planArrivals, whatCameOf } from "./arrivals.ts";
import { Bill } from "./bill.ts";
import { checkBook, checkRecord, isEnforced } from "./checks.ts";
import { newDisk } from "./disk.ts";
import { withAttributionTurned } from "./edits.ts";
import { Excess } from "./excess.ts";
import { FULL, type Kind, type MakeAccounts, type Report } from "./kind.ts";
import { IdleSlots } from "./load.ts";
import { Machines } from "./machines.ts";
import { ByHand, fallen, Operator } from "./operator.ts";
import { PlainBill } from "./plain-bill.ts";
import { Plane } from "./plane.ts";
import { simulatedPolicy, withActions, withContainers, withSlots } from "./policy.ts";
import { type Random, seeded } from "./random.ts";
import { openAccounts, restarted, watchWrites } from "./restart.ts";
import { countedBy, type Edit, planStorm } from "./storm.ts";
import { TimeWatch } from "./time-watch.ts";
import { untaught, WatchedLearning } from "./trials.ts";
import { type Client, sendTo } from "./upstreams.ts";
import { World } from "./world.ts";

/** 2026-11-22T23:58:00Z: every run sees midnight. */
const START = (Date.UTC(2026, 10, 22, 23, 58) * 1000) as Instant;
const REQUESTS = 60;

/** Throws with the seed and what was wrong. */
export async function simulate(seed: number, make: MakeAccounts, kind = FULL): Promise<Report> {
  const simulation = new Simulation(seed, make, kind);
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
  /** The file that is in force. */
  #file: Policy;
  /** In force: with the raises laid over it. */
  #policy: Policy;
  /** The file as it was saved last, while its folds are under way. */
  #saved: Policy | undefined;
  /** Undefined in calm runs: nothing but requests, failures and at most one power cut. */
  readonly #storm: Random | undefined;
  #reloads = 0;
  /** Undefined where nothing runs in containers. */
  readonly #machines: Machines | undefined;
  readonly #weather: Random;
  /** Undefined in runs of before anybody did anything by hand. */
  readonly #hand: Random | undefined;
  readonly #notes = new ByHand();
  readonly #plain = new PlainBill();
  #operator: Operator | undefined;
  readonly #outcomes = new Map<string, number>();
  readonly #count = (what: string) => {
    this.#outcomes.set(what, (this.#outcomes.get(what) ?? 0) + 1);
  };
  readonly #bill = new Bill(this.#count);
  readonly #excess = new Excess();
  #alerts: AlertsTold;
  #events = 0;
  /** The event after which the process dies, wherever it is then. */
  readonly #diesAfter: number;
  readonly #time = new TimeWatch();
  readonly #clients: Client[] = [];
  readonly #bugs: unknown[] = [];
  readonly #idle = new IdleSlots();
  #plane: Plane;
  #disk: FakeDisk;
  #accounts: LocalAccounts;
  #running = 0;
  #crashes = 0;
  /** Which life of the daemon: what a dead one wakes later is nobody's. */
  #life = 0;
  #endedAt: Instant | undefined;

  constructor(seed: number, make: MakeAccounts, { slots, containers, byHand }: Kind) {
    this.#seed = seed;
    this.#learns = slots;
    this.#make = make;
    this.#random = seeded(seed);
    this.#chance = seeded(seed + 0.5e9);
    const plain = simulatedPolicy(this.#random);
    const bounded = slots ? withActions(withSlots(plain, this.#chance), this.#chance) : plain;
    this.#weather = seeded(seed + 0.75e9);
    const hasContainers = containers && this.#weather.chance(0.5);
    const first = hasContainers ? withContainers(bounded, this.#weather) : bounded;
    this.#hand = byHand ? seeded(seed + 0.875e9) : undefined;
    this.#file = this.#hand?.chance(0.3) ? withAttributionTurned(first) : first;
    this.#policy = this.#file;
    this.#firstPolicy = this.#file;
    this.#machines = hasContainers ? this.#newMachines() : undefined;
    const storm = seeded(seed + 0.25e9);
    this.#storm = slots && storm.chance(0.6) ? storm : undefined;
    this.#diesAfter = this.#storm?.chance(0.4) ? this.#storm.whole(1, 900) : -1;
    this.#disk = newDisk(this.#world, this.#random, this.#storm);
    this.#disk.tracked = this.#isPrepared ? countedBy(this.#policy) : [];
    this.#accounts = this.#start(this.#disk);
    this.#alerts = this.#newAlerts();
    this.#plane = this.#newPlane();
    this.#operator = this.#newOperator();
  }

  /** Where policies change, a daemon starts as the real one does: what it counts is complete. */
  get #isPrepared(): boolean {
    return this.#storm !== undefined || this.#machines !== undefined || this.#hand !== undefined;
  }

  async run(): Promise<Report> {
    this.#beat(this.#life);
    planArrivals(this.#world, this.#random, REQUESTS, 180 * SECOND, () => this.#arrive());
    this.#planStorm(180);
    this.#machines?.begin();
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
    if (!this.#bill.isOver) throw new Error("a container's last lease is not over, or not on disk");
    this.#alerts.checkEnd(this.#policy);
    this.#plane.checkEnd();
    this.#plain.checkEnd(this.#disk);
    checkRecord(this.#clients, this.#disk, this.#crashes > 0);
    const [seed, requests] = [this.#seed, this.#clients.length];
    return { seed, requests, outcomes: this.#outcomes, crashes: this.#crashes };
  }

  /** All requests have ended and the disk has caught up; a disk that never does is left to the last check. */
  #isOver(): boolean {
    if (this.#clients.length < REQUESTS || this.#running > 0) return false;
    this.#endedAt ??= this.#world.now();
    this.#machines?.close();
    this.#operator?.close();
    const patience = this.#world.now() - this.#endedAt;
    const isIdle = this.#accounts.open === 0 && this.#accounts.outbox.kept === 0 && this.#bill.isOver;
    return patience > 120 * SECOND || (isIdle && this.#disk.holds.size === 0 && patience > 5 * SECOND);
  }

  #check(): void {
    if (this.#bugs.length > 0) throw this.#bugs[0];
    const view = this.#accounts.view();
    this.#bill.check(this.#accounts, view, this.#policy);
    this.#bill.checkLaw(this.#disk, this.#accounts);
    this.#excess.check(this.#accounts, this.#policy, this.#bill.takeGrowth(view.at));
    this.#operator?.check();
    this.#plain.check(this.#accounts, this.#disk, this.#world.monotonic());
    this.#alerts.check();
    this.#time.check(this.#accounts.now(), this.#world.monotonic(), this.#life);
    if (this.#accounts.open > this.#running) {
      throw new Error(`${this.#accounts.open} holds are open, and ${this.#running} requests run`);
    }
    this.#plane.check(view);
    this.#events += 1;
    if (this.#events === this.#diesAfter) this.#powerCut();
  }

  #planStorm(within: number): void {
    const house = {
      reload: (edit: Edit) => void this.#reload(edit).catch((error) => this.#bugs.push(error)),
      stepWall: (by: number) => this.#world.stepWall(by),
      stop: (time: DurationUs) => this.#stopSpending(time),
      stall: (by: number) => this.#stall(by),
      turnContainer: () => this.#machines?.shake(),
      operator: () => this.#operator,
    };
    const weather = this.#machines && this.#weather;
    planStorm(this.#world, { storm: this.#storm, weather, hand: this.#hand }, within * SECOND, house);
  }

  /** All timers come late: nobody has been forgotten yet. */
  #stall(by: number): void {
    this.#world.stall(by);
    this.#plane.stalled();
    this.#notes.stalled();
    this.#plain.stalled();
  }

  /** As daemon/reload.ts does it. */
  async #reload(edit: Edit): Promise<void> {
    if (this.#saved !== undefined) return;
    const [life, accounts] = [this.#life, this.#accounts];
    const next = edit(this.#file, this.#firstPolicy);
    this.#saved = next;
    try {
      // A reset that is made meanwhile would not know of it.
      await accounts.turns.take(async () => {
        const putInForce = await accounts.prepare(next);
        if (life !== this.#life) return;
        putInForce();
        this.#turned(next);
      });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#count("reload refused");
    } finally {
      if (life === this.#life) this.#saved = undefined;
    }
  }

  /** In one tick. */
  #turned(file: Policy): void {
    this.#file = file;
    this.#policy = this.#operator?.adopt(file) ?? file;
    this.#reloads += 1;
    this.#count("reloaded");
    this.#machines?.turned();
    this.#plain.turned(this.#policy, this.#accounts.now());
    this.#excess.turned(this.#accounts, this.#policy);
    this.#plane.fleet.follow(this.#policy);
    this.#plane.turned();
    this.#alerts.turned();
  }

  #newOperator(): Operator | undefined {
    if (this.#hand === undefined) return undefined;
    const life = this.#life;
    const own = { world: this.#world, random: this.#hand, accounts: this.#accounts, disk: this.#disk };
    return new Operator({
      ...{ ...own, file: this.#file, notes: this.#notes, plane: this.#plane },
      isAlive: () => life === this.#life,
      turned: (policy) => {
        this.#excess.lowered(fallen(this.#policy, policy));
        this.#policy = policy;
        this.#plane.turned();
        this.#alerts.turned();
      },
      count: this.#count,
      failed: (error) => this.#bugs.push(error),
    });
  }

  #stopSpending(time: DurationUs): void {
    const life = this.#life;
    this.#accounts.stopped = { by: "an operator", at: this.#accounts.now() };
    this.#plane.room.reconsider();
    this.#world.after(time, () => {
      if (life !== this.#life) return;
      this.#accounts.stopped = undefined;
      this.#plane.room.reconsider();
    });
  }

  #newAlerts(): AlertsTold {
    return new AlertsTold(this.#accounts, this.#disk, () => this.#policy, this.#count);
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
    const isDurable = (attempt: Attempt) => batched.has(attempt) || disk.endings.has(client.id);
    const enter = (attempt: Attempt) =>
      this.#machines === undefined
        ? this.#plain.enter(attempt, () => this.#accounts.now())
        : this.#machines.enter(attempt);
    const script = sendTo(this.#world, this.#random, client, isDurable, enter);
    const gateway = {
      policy: () => this.#policy,
      accounts: this.#plane.line.watch(this.#accounts),
      candidates: this.#plane.fleet.candidates.bind(this.#plane.fleet),
      room: this.#plane.room,
      timers: this.#plane.timers(),
      learning: this.#learning ?? untaught(),
    };
    const send: Send = (attempt) => {
      const { upstream } = attempt;
      // Free work that no enforcing budget covers when it is admitted need not wait for the disk (MONEY §7).
      if (upstream.id === "free" && !isEnforced(this.#policy, factsOf(asked, upstream))) batched.add(attempt);
      return this.#plane.upstreams.run(upstream, () => script(attempt));
    };
    this.#running += 1;
    exchange(asked, send, gateway, leaves.signal).then(
      (exchanged) => life === this.#life && this.#ended(asked.id, exchanged),
      (error) => this.#bugs.push(error),
    );
  }

  #ended(task: string, exchanged: Exchanged): void {
    this.#learning?.ended(task);
    this.#running -= 1;
    this.#plane.line.ended(task);
    for (const what of whatCameOf(exchanged)) this.#count(what);
  }

  /** What was not acknowledged is lost; what was is recovered, and the house goes on. */
  #powerCut(): void {
    this.#life += 1;
    this.#crashes += 1;
    this.#running = 0;
    const pending = REQUESTS - this.#clients.length;
    this.#world.clear();
    if (this.#machines !== undefined) this.#world.stall(this.#weather.whole(0, 20) * SECOND);
    const saved = this.#isPrepared ? (this.#saved ?? "none") : undefined;
    this.#plain.powerCut(this.#disk);
    const restart = { at: this.#world.wall(), life: this.#life, policy: this.#file, saved } as const;
    ({ disk: this.#disk, policy: this.#file } = restarted(this.#disk, restart, this.#bill));
    this.#policy = this.#file;
    this.#saved = undefined;
    for (const one of [this.#bill, this.#notes]) one.reread(this.#disk);
    this.#accounts = this.#start(this.#disk);
    this.#excess.turned(this.#accounts, this.#policy);
    this.#bill.takeGrowth(this.#accounts.now());
    this.#alerts = this.#newAlerts();
    this.#plane = this.#newPlane();
    this.#operator = this.#newOperator();
    this.#beat(this.#life);
    planArrivals(this.#world, this.#random, pending, 60 * SECOND, () => this.#arrive());
    this.#planStorm(60);
    this.#machines?.begin();
  }

  #newPlane(): Plane {
    return new Plane({
      ...{ world: this.#world, chance: this.#chance, accounts: this.#accounts, idle: this.#idle },
      policy: () => this.#policy,
      count: this.#count,
    });
  }

  #newMachines(): Machines {
    const own = { world: this.#world, random: this.#weather, bill: this.#bill, count: this.#count };
    return new Machines({ ...own, accounts: () => this.#accounts, policy: () => this.#policy }, this.#policy);
  }

  #start(disk: FakeDisk): LocalAccounts {
    const learning = this.#learns ? new WatchedLearning(disk, this.#count) : undefined;
    this.#learning = learning;
    watchWrites(disk, [this.#bill, this.#notes.resets]);
    const own = { world: this.#world, life: this.#life, policy: this.#file };
    const accounts = openAccounts(this.#make, disk, { ...own, learn: (lesson) => learning?.learn(lesson) });
    this.#bill.watch(accounts, () => this.#policy);
    // As a daemon starts; nothing is to be folded.
    if (this.#machines !== undefined || this.#hand !== undefined) this.#prepare(accounts, disk);
    return accounts;
  }

  #prepare(accounts: LocalAccounts, disk: FakeDisk): void {
    disk.isOpening = true;
    accounts.prepare(this.#file).then(
      (adopt) => {
        adopt();
        disk.isOpening = false;
        this.#operator?.adopt(this.#file);
        this.#bill.attribute(this.#policy, accounts.now());
        this.#plain.turned(this.#policy, accounts.now());
        this.#excess.turned(accounts, this.#policy);
      },
      (error) => this.#bugs.push(error),
    );
  }

  #beat(life: number): void {
    this.#world.after(SECOND, () => {
      if (life !== this.#life) return;
      // A heartbeat that the disk refused is tried again with the next one.
      this.#accounts.heartbeat().catch(() => undefined);
      this.#beat(life);
    });
  }
}
