// Random lives under a price that rises and falls, through the real exchange and the real keeping of holds:
// budgets that cut are never passed, nothing beyond a hold is ever needed, what is posted is what the machine
// has cost, and a slice after a rise everybody runs at it. LAW_SEED and LAW_RUNS repeat and lengthen it.

import test from "ava";
import fc from "fast-check";
import type { Container } from "../../src/ledger/container.ts";
import { formatUsd, hourlyRate } from "../../src/metering/money.ts";
import { sliceOf } from "../../src/metering/quote.ts";
import { type Instant, instantUs, SECOND, seconds } from "../../src/metering/time.ts";
import { enforcedLimit, groundsOf } from "../../src/policy/match.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { container } from "../support/containers.ts";
import { type Asker, MoneyRig } from "../support/money-rig.ts";
import { budget, model, policy, upstream, usd } from "../support/policies.ts";

const MIDNIGHT = instantUs(Date.UTC(2026, 10, 23) * 1000);
const FIRST = usd("3.6");

interface Scene {
  readonly estimate: number;
  /** Seconds before midnight: holds lie in two days, and two hours. */
  readonly early: number;
  /** In cents. */
  readonly limits: readonly number[];
  readonly steps: readonly Step[];
}

type Step =
  | { readonly kind: "come"; readonly user: string }
  | { readonly kind: "leave"; readonly which: number }
  | { readonly kind: "pass"; readonly time: number }
  | { readonly kind: "price"; readonly rate: bigint };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("come" as const), user: fc.constantFrom("ann", "bob") }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("leave" as const), which: fc.nat({ max: 5 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), time: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("price" as const),
      rate: fc.bigInt({ min: 1_000_000n, max: 40_123_456_789n }),
    }),
  },
);

const scenes: fc.Arbitrary<Scene> = fc.record({
  estimate: fc.constantFrom(4, 12, 60, 120),
  early: fc.integer({ min: 10, max: 400 }),
  limits: fc.tuple(...[60, 40, 90].map((most) => fc.integer({ min: 2, max: most }))),
  steps: fc.array(step, { minLength: 8, maxLength: 40 }),
});

function policyOf({ estimate, limits }: Scene, rate: bigint): Policy {
  const [day = 0, each = 0, hour = 0] = limits;
  const cents = (limit: number) => (limit / 100).toFixed(2);
  const common = { overrun: "cut", includeIdle: false } as const;
  const price = { kind: "hour", rate: hourlyRate(rate), source: { kind: "policy" } } as const;
  return policy({
    upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g", price, concurrency: undefined })],
    models: [model("flux-dev", ["aws"], { estimate: seconds(estimate) })],
    budgets: [
      budget("day", { limit_usd: cents(day), ...common }),
      budget("each", { limit_usd: cents(each), per: "user", ...common }),
      budget("hour", { limit_usd: cents(hour), period: "hourly", ...common }),
      budget("time", { limits: { seconds: limits.length > 0 ? day * 10 : 0 }, ...common }),
      budget("finishing", { limit_usd: "0.03", when: { user: "bob" }, period: "hourly", includeIdle: false }),
    ],
  });
}

class Life {
  readonly #scene: Scene;
  readonly #rig: MoneyRig;
  #rate: bigint = FIRST;
  readonly #start: Instant;
  #since: Instant;
  readonly #running: Asker[] = [];
  #count = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#start = (MIDNIGHT - seconds(scene.early)) as Instant;
    this.#since = this.#start;
    this.#rig = new MoneyRig(policyOf(scene, FIRST), this.#start);
    this.#rig.fleet.follow(this.#rig.policy);
    this.#tell();
  }

  async live(): Promise<void> {
    await this.#rig.reload(policyOf(this.#scene, FIRST));
    for (const one of this.#scene.steps) await this.#take(one);
    await this.#end();
  }

  #tell(): void {
    this.#rig.accounts.containers.seen({
      ...container({ start: this.#start }),
      price: { kind: "hour", rate: hourlyRate(this.#rate), source: { kind: "policy" } } as Container["price"],
      idlePrice: hourlyRate(this.#rate),
    });
  }

  async #take(one: Step): Promise<void> {
    switch (one.kind) {
      case "come":
        this.#count += 1;
        this.#running.push(this.#rig.ask(`r${this.#count}`, one.user));
        return this.#rig.settle();
      case "leave": {
        const running = this.#running.filter(({ attempt }) => attempt !== undefined);
        running[one.which % Math.max(1, running.length)]?.end();
        return this.#rig.settle();
      }
      case "pass":
        for (let second = 0; second < one.time; second += 1) await this.#second();
        return;
      case "price":
        this.#rate = one.rate;
        this.#since = this.#rig.accounts.now();
        await this.#rig.reload(policyOf(this.#scene, one.rate));
        this.#tell();
    }
  }

  async #second(): Promise<void> {
    await this.#rig.pass(1);
    await this.#rig.accounts.heartbeat();
    await this.#rig.settle();
    this.#checkLimits();
    this.#checkPrice();
    this.#checkTime();
  }

  /** Nothing can be refused that is settled or held here: container money and `finish` aside. */
  #checkLimits(): void {
    for (const { account, balance } of this.#rig.accounts.book.all()) {
      const ground = groundsOf(this.#rig.policy).find(
        ({ key }) => account === key || account.startsWith(`${key}=`),
      );
      const limit = ground === undefined ? undefined : enforcedLimit(ground);
      if (limit === undefined || ground?.budget.overrun !== "cut") continue;
      const taken = balance.settled + balance.held;
      if (taken > limit) throw new Error(`${account}: ${taken} of ${limit}`);
    }
  }

  /** Of time each holds what lies before its horizon, whatever became of its price. */
  #checkTime(): void {
    const { accounts } = this.#rig;
    const due = accounts.openHolds().reduce((sum, { at, horizon }) => sum + (horizon - at), 0);
    const times = [...accounts.book.all()].filter(({ account }) => account.startsWith("seconds|"));
    const held = times.reduce((sum, { balance }) => sum + Number(balance.held), 0);
    if (held !== due) throw new Error(`${held} us of time are held for ${due}`);
  }

  #checkPrice(): void {
    const lease = this.#rig.accounts.leases.find("i-0a1")?.sharing.lease;
    const late = this.#since + sliceOf(seconds(this.#scene.estimate)) + 5 * SECOND;
    const P = BigInt(lease?.state().P ?? 0);
    if (P > this.#rate) throw new Error(`a fall did not count at once: ${P}, not ${this.#rate}`);
    if (this.#rig.accounts.now() >= late && P !== this.#rate)
      throw new Error(`it runs at ${P} still, not at ${this.#rate}`);
  }

  async #end(): Promise<void> {
    for (const one of this.#running) one.end();
    await this.#second();
    for (const one of this.#running) one.cancel();
    await this.#rig.settle();
    if (this.#rig.accounts.open > 0) throw new Error(`${this.#rig.accounts.open} holds are open at the end`);
    for (const { account, balance } of this.#rig.accounts.book.all())
      if (balance.held !== 0n) throw new Error(`${account} still holds ${balance.held}`);
    const lease = this.#rig.accounts.leases.find("i-0a1")?.sharing.lease;
    this.#rig.accounts.containers.off("i-0a1", this.#rig.accounts.now());
    await this.#rig.accounts.heartbeat();
    await this.#rig.settle();
    const { entries } = this.#rig.disk;
    const posted = entries
      .filter(({ kind }) => !["reserved", "extended", "released"].includes(kind))
      .reduce((sum, { amount }) => sum + amount, 0n);
    if (posted !== lease?.total) throw new Error(`posted ${posted}, cost ${lease?.total}`);
    const unheld = entries.filter(({ priceSource }) => priceSource.includes("unheld"));
    if (unheld.length > 0)
      throw new Error(`beyond a hold: ${unheld.map(({ amount }) => formatUsd(amount)).join(", ")}`);
  }
}

const SEED = Number(process.env.LAW_SEED ?? 20261128);
const RUNS = Number(process.env.LAW_RUNS ?? 60);

test("a price that rises and falls breaks no limit, needs nothing beyond a hold, and counts in time", async (t) => {
  t.timeout(300_000);
  let wrong = "";
  const property = fc.asyncProperty(scenes, async (scene) => {
    const fault = await new Life(scene).live().then(
      () => "",
      (error: Error) => String(error.stack),
    );
    if (fault !== "") wrong = fault;
    return fault === "";
  });
  const { failed, counterexample } = await fc.check(property, { seed: SEED, numRuns: RUNS });
  const digits = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
  t.false(failed, `${wrong}\n${JSON.stringify(counterexample, digits)}`);
});
