// Random lives of one container over a real disk: requests that wait, run and are cut short, prices that change,
// crashes, sleeps, late stops. What is posted is the floor of the integral of its rate, told apart by nobody
// who knows the lease; the ledger's own check finds nothing; what a decision counted before a post is what was
// posted. LAW_SEED and LAW_RUNS repeat and lengthen it.

import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import type { Container } from "../../src/ledger/container.ts";
import { verify } from "../../src/ledger/verify.ts";
import { cost, hourlyRate, US_PER_HOUR } from "../../src/metering/money.ts";
import { type DurationUs, type Instant, instantUs, later, SECOND, seconds } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import { periodFor } from "../../src/policy/match.ts";
import { container } from "../support/containers.ts";
import {
  HandClock,
  type House,
  ledgerFolder,
  onDisk,
  openHouse,
  permit,
  RELAYED,
  rows,
} from "../support/ledger.ts";
import { budget, model, policy, task, upstream } from "../support/policies.ts";

/** 8 s before midnight in India, whose days turn at half an hour of UTC. */
const START = instantUs(Date.UTC(2026, 10, 23, 18, 29, 52) * 1000 + 123_457);
const HELD_AT = 3_600_000_000n;
const MINIMUM = seconds(90);
const SLICE = seconds(5);

const rules = policy({
  timezone: "Asia/Kolkata",
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  // Shorter than many a run: what a crash finds beyond a hold is the container's.
  models: [model("flux-dev", ["aws"], { estimate: seconds(4) })],
  budgets: [
    budget("day", { limit_usd: "900" }),
    budget("hour", { limit_usd: "900", period: "hourly", when: { provider: "aws" } }),
    budget("each", { limit_usd: "900", per: "upstream", period: "infinite" }),
    budget("no-idle", { limit_usd: "900", includeIdle: false }),
    budget("user", { limit_usd: "900", per: "user" }),
  ],
});

type Step =
  | { readonly kind: "come" | "leave" | "stop" | "ready" | "suspend" | "slice" }
  | { readonly kind: "pass"; readonly time: number }
  | { readonly kind: "price"; readonly price: bigint; readonly idle: bigint }
  | { readonly kind: "crash"; readonly away: number; readonly isSilent: boolean };

const rate = fc.bigInt({ min: 0n, max: 9_123_456_789n });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("come", "leave", "stop", "ready" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      time: fc.integer({ min: 1, max: 4_000_003 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("slice" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("price" as const), price: rate, idle: rate }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("suspend" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("crash" as const),
      away: fc.integer({ min: 1, max: 70_000_000 }),
      isSilent: fc.boolean(),
    }),
  },
);

/** The rate at each moment, written down as it is: no sums, no shares. */
class Model {
  readonly #rates: { at: Instant; rate: bigint }[] = [];
  /** What each that runs or waits there has been asked, oldest first. */
  asked: bigint[] = [];
  isStarting = true;
  price = HELD_AT;
  /** Since when it is that. */
  since = START as Instant;
  idle = HELD_AT / 2n;
  lastLeft = START as Instant;

  note(at: Instant): void {
    const least = this.asked.reduce((a, b) => (a < b ? a : b), this.price);
    this.#rates.push({ at, rate: this.asked.length > 0 || this.isStarting ? least : this.idle });
  }

  /** Nobody has asked for a slice by the time of one: the heartbeat asks all for the price of now. */
  beat(at: Instant): void {
    if (at >= this.since + SLICE) this.ask(at, this.asked.length);
  }

  /** The oldest `count` are asked. */
  ask(at: Instant, count: number): void {
    this.asked = this.asked.map((rate, index) => (index < count && rate < this.price ? this.price : rate));
    this.note(at);
  }

  integral(until: Instant): bigint {
    return this.#rates.reduce((sum, { at, rate }, index) => {
      const end = Math.min(until, this.#rates[index + 1]?.at ?? until);
      return end > at ? sum + rate * BigInt(end - at) : sum;
    }, 0n);
  }
}

class Life {
  #house: House;
  readonly #clock: HandClock;
  readonly #open: Reservation[] = [];
  /** They have left and are not settled. */
  readonly #stopped: Reservation[] = [];
  readonly #model = new Model();
  readonly faults: string[] = [];
  /** Some time was not watched. */
  #hadGap = false;

  constructor(house: House, clock: HandClock) {
    this.#house = house;
    this.#clock = clock;
    this.#model.note(START);
    this.#tell();
  }

  #tell(): void {
    const { price, idle, isStarting } = this.#model;
    const source = { kind: "policy" } as const;
    this.#house.accounts.containers.seen({
      ...container({ start: START, minBilled: MINIMUM, phase: isStarting ? "starting" : "ready" }),
      price: { kind: "hour", rate: hourlyRate(price), source } as Container["price"],
      idlePrice: hourlyRate(idle),
    });
  }

  async take(step: Step): Promise<void> {
    const model = this.#model;
    switch (step.kind) {
      case "pass":
        return this.#pass(step.time);
      case "come":
        return this.#come();
      case "leave":
        return this.#leave();
      case "stop":
        return this.#stop();
      case "ready":
        if (!model.isStarting) return;
        model.isStarting = false;
        for (const one of this.#open) one.begin();
        break;
      case "price":
        if (step.price !== model.price) model.since = this.#house.accounts.now();
        ({ price: model.price, idle: model.idle } = step);
        break;
      case "slice":
        return this.#slice();
      case "suspend":
        return this.#suspend();
      case "crash":
        return this.#crash(step);
    }
    model.note(this.#house.accounts.now());
    this.#tell();
  }

  /** With a heartbeat each second. */
  async #pass(time: number): Promise<void> {
    for (let left = time; left > 0; left -= SECOND) {
      this.#clock.pass(Math.min(left, SECOND));
      const before = this.#counted();
      await this.#house.accounts.heartbeat();
      await this.#house.accounts.outbox.settled();
      await turn();
      this.#model.beat(this.#house.accounts.now());
      const after = this.#counted();
      if (!isSame(before, after, this.#hadGap))
        this.faults.push(`a post changed a balance: ${before.flat()} to ${after.flat()}`);
    }
  }

  /** As a decision would see them now, also in a period that no entry lies in yet. */
  #counted(): Counted {
    const { accounts } = this.#house;
    const { at, balance } = accounts.view();
    const facts = { provider: "aws", upstream: "aws", machine: "aws", gpu_tier: "a10g" } as never;
    return accounts.countingContainer(facts).map(({ account, ground }) => {
      const known = [...accounts.book.all()].filter((one) => one.account === account && one.start <= at);
      const starts = new Set([...known.map(({ start }) => start), periodFor(ground, at).start]);
      return [...starts].sort().map((start) => balance(account, start).settled);
    });
  }

  async #come(): Promise<void> {
    if (this.#open.length > 5) return;
    const one = permit(await this.#house.admit(task({ labels: { user: "alice" } })));
    this.#open.push(one);
    if (this.#model.isStarting) one.wait();
    else one.begin();
    this.#model.asked.push(HELD_AT);
    this.#model.note(this.#house.accounts.now());
  }

  async #leave(): Promise<void> {
    this.#stop();
    await this.#stopped.shift()?.settle(RELAYED);
  }

  #stop(): void {
    const one = this.#open.shift();
    if (one === undefined) return;
    this.#left(this.#house.accounts.now(), 1);
    one.stop();
    this.#stopped.push(one);
  }

  /** A tunnel: what it has used is posted. */
  async #slice(): Promise<void> {
    const one = this.#open[0];
    one?.bySlice();
    await one?.extend();
    this.#model.ask(this.#house.accounts.now(), 1);
  }

  #left(at: Instant, count: number): void {
    this.#model.asked.splice(0, count);
    this.#model.lastLeft = at;
    this.#model.note(at);
  }

  async #suspend(): Promise<void> {
    this.#hadGap = true;
    await this.#pass(1);
    if (this.#open.length > 0) this.#left(this.#house.accounts.now(), this.#open.length);
    this.#clock.pass(9 * SECOND);
    await this.#house.accounts.heartbeat();
    await this.#house.accounts.outbox.settled();
    for (const one of this.#open.splice(0)) await one.settle({ ...RELAYED, outcome: "cut" });
    this.#tell();
  }

  /** Its provider may say nothing for a while, until something else happens to it. */
  async #crash({ away, isSilent }: Step & { readonly kind: "crash" }): Promise<void> {
    this.#hadGap = true;
    const asked = this.#model.asked;
    await this.#pass(1);
    const at = this.#house.accounts.now();
    // What this last beat has asked is not in the lease that it wrote: the time until the crash costs as before.
    this.#model.asked = asked;
    this.#model.note(at);
    await this.#house.crash();
    this.#verify();
    this.#clock.pass(away);
    const end = later(at, Math.min(away, SECOND) as DurationUs);
    if (this.#open.length > 0) this.#left(end, this.#open.splice(0).length);
    this.#stopped.length = 0;
    this.#house = await openHouse(this.#house.folder, this.#clock, rules);
    if (!isSilent) this.#tell();
  }

  /** Off, told `late` after it was. */
  async end(late: number): Promise<void> {
    while (this.#open.length + this.#stopped.length > 0) await this.#leave();
    await this.#pass(late);
    const { accounts, folder } = this.#house;
    const { lastLeft, price } = this.#model;
    const stop = Math.max(accounts.now() - late, START) as Instant;
    accounts.containers.off("i-0a1", stop);
    await accounts.heartbeat();
    const end = Math.max(stop, lastLeft) as Instant;
    const missing = Math.max(0, MINIMUM - (end - START)) as DurationUs;
    const due = this.#model.integral(end) / US_PER_HOUR + cost(hourlyRate(price), missing);
    const sql =
      "SELECT sum(amount) AS amount FROM entries WHERE kind NOT IN ('reserved', 'extended', 'released')";
    const posted = rows(folder, sql)[0]?.amount ?? 0n;
    if (posted !== due) this.faults.push(`posted ${posted}, due ${due}`);
    if (accounts.view().balance("", START).settled !== 0n) this.faults.push("an account that nobody has");
    this.#verify();
    await this.#house.crash();
  }

  #verify(): void {
    for (const { findings } of onDisk(this.#house.folder, verify).checks)
      for (const { check, what, where, expected, found } of findings)
        this.faults.push(`${check}: ${what} (${where}): ${found} of ${expected}`);
  }
}

/** By account, and by period in that. */
type Counted = readonly (readonly bigint[])[];

/** Fractions of a nano-dollar that were left before a gap may be posted to the period before it. */
const MOVED = 8n;

function isSame(before: Counted, after: Counted, hadGap: boolean): boolean {
  const sum = (all: readonly bigint[] = []) => all.reduce((one, other) => one + other, 0n);
  return before.every((periods, account) => {
    const found = after[account];
    if (!hadGap) return periods.every((amount, index) => amount === found?.[index]);
    const moved = periods.map((amount, index) => amount - (found?.[index] ?? 0n));
    return sum(periods) === sum(found) && moved.every((by) => by <= MOVED && -by <= MOVED);
  });
}

const SEED = Number(process.env.LAW_SEED ?? 20261128);
const RUNS = Number(process.env.LAW_RUNS ?? 20);

test("requests, start-up, idle, gaps and minimum are what the container cost, in every budget", async (t) => {
  const lives = fc.tuple(
    fc.array(step, { minLength: 5, maxLength: 30 }),
    fc.integer({ min: 0, max: 9_000_001 }),
  );
  const property = fc.asyncProperty(lives, async ([steps, late]) => {
    const clock = new HandClock(START);
    const life = new Life(await openHouse(ledgerFolder(t), clock, rules), clock);
    for (const one of steps) await life.take(one);
    await life.end(late);
    if (life.faults.length > 0) throw new Error(life.faults.join("\n"));
  });
  t.timeout(15_000 * RUNS);
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
  t.pass();
});
