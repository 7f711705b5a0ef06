// A studio on AWS, on one clock that only the test moves: AWS' own clients against the fake, the fleet's
// watches with their timers, and a real ledger. One second is 0.001 USD.

import { setImmediate as turn } from "node:timers/promises";
import type { ExecutionContext } from "ava";
import type { Adapter, Host } from "../../../src/cloud/adapter.ts";
import { openAws } from "../../../src/cloud/aws/aws-cloud.ts";
import { Containers } from "../../../src/cloud/containers.ts";
import { tellContainer, tellMachine } from "../../../src/daemon/container-bill.ts";
import { MACHINES, MachineMemory } from "../../../src/daemon/machine-memory.ts";
import { verify } from "../../../src/ledger/verify.ts";
import { hourlyRate } from "../../../src/metering/money.ts";
import { type DurationUs, type Instant, seconds } from "../../../src/metering/time.ts";
import type { Machine, Policy, Upstream } from "../../../src/policy/policy.ts";
import { HandClock, type House, ledgerFolder, onDisk, openHouse, rows } from "../ledger.ts";
import { budget, model, perHour, policy, TEN, upstream, usd } from "../policies.ts";
import { AWS_KEY, type AwsFake, awsFake } from "./aws-fake.ts";

const REGION = "us-east-1";
const RATE = { price: perHour("3.6"), idleRate: hourlyRate(usd("3.6")), minBilled: seconds(60) };
/** Later than that without a heartbeat, nobody has watched. */
const BEAT_MS = 4000;

export const nim = (id: string, over: Partial<Upstream> = {}) =>
  upstream(id, {
    ...{ ...RATE, url: undefined, machine: "pool", hasContainer: true, gpuTier: "a10g" },
    container: { kind: "ecs", region: REGION, cluster: "nim", service: id },
    ...over,
  });

const pool: Machine = { id: "pool", ...RATE, group: { kind: "asg", region: REGION, name: "pool" } };

function studioPolicy(upstreams: readonly Upstream[]): Policy {
  return policy({
    ...{ upstreams, models: [model("flux-dev", ["flux"])], machines: new Map([["pool", pool]]) },
    budgets: [budget("day", { limit_usd: "900" })],
  });
}

interface Timer {
  readonly at: number;
  readonly call: () => void;
}

export class Studio {
  readonly fake: AwsFake;
  readonly clock: HandClock;
  house: House;
  containers: Containers;
  serves = true;
  /** Whether the ledger beats, and money is posted: what is slow about a long life. */
  isCounted = true;
  dryRun: string | undefined;
  callsPerMinute = 60;
  readonly said: string[] = [];
  readonly waiting = new Map<string, number>();
  policy: Policy;
  readonly #aws: ReturnType<typeof openAws>;
  readonly #timers = new Set<Timer>();
  #calls = 0;
  #watchedUntil: Instant | undefined;

  private constructor(fake: AwsFake, house: House, clock: HandClock, rules: Policy) {
    this.fake = fake;
    this.house = house;
    this.clock = clock;
    this.policy = rules;
    this.#aws = openAws({ login: { kind: "text", text: AWS_KEY }, endpoint: fake.origin });
    this.containers = this.#watchers();
  }

  static async open(t: ExecutionContext, upstreams: readonly Upstream[], isCounted = true) {
    const fake = await awsFake(TEN / 1000);
    const clock = new HandClock(TEN as Instant);
    const rules = studioPolicy(upstreams);
    const house = await openHouse(ledgerFolder(t), clock, rules);
    const studio = new Studio(fake, house, clock, rules);
    studio.isCounted = isCounted;
    t.teardown(async () => {
      studio.containers.close();
      studio.#aws.close();
      await studio.house.crash();
      await fake.close();
    });
    return studio;
  }

  begin(): Promise<void> {
    this.containers.follow(this.policy);
    return this.#still();
  }

  async order(command: "start" | "stop", id: string) {
    const done = await this.containers.order(command, id);
    await this.#still();
    return done;
  }

  /** With everything that happens meanwhile, at AWS and here. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    while (this.#now < until) {
      const next = Math.min(
        ...[...this.#timers].map(({ at }) => at),
        this.#now + (this.isCounted ? BEAT_MS : ms),
        until,
      );
      const step = Math.max(0, next - this.#now);
      this.fake.world.pass(step);
      this.clock.pass(step * 1000);
      for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
        this.#timers.delete(timer);
        timer.call();
      }
      await this.#still();
      if (this.isCounted) await this.house.accounts.heartbeat();
    }
  }

  /** The gateway is killed, and comes again later; `meanwhile` others do something, half way. */
  async crash(awayMs: number, meanwhile: () => void = () => undefined): Promise<void> {
    await this.house.accounts.heartbeat();
    this.#watchedUntil = this.house.accounts.now();
    this.containers.close();
    this.#timers.clear();
    await this.house.crash();
    this.fake.world.pass(awayMs / 2);
    meanwhile();
    this.fake.world.pass(awayMs / 2);
    this.clock.pass(awayMs * 1000);
    this.house = await openHouse(this.house.folder, this.clock, this.policy);
    this.containers = this.#watchers();
    await this.begin();
  }

  state(id: string): string | undefined {
    return this.containers.find(id)?.view.state.kind;
  }

  get machine() {
    return this.containers.list()[0]?.machine;
  }

  /** In nano-dollars: all that was posted. */
  get posted(): bigint {
    const sql =
      "SELECT sum(amount) AS amount FROM entries WHERE kind NOT IN ('reserved', 'extended', 'released')";
    return (rows(this.house.folder, sql)[0]?.amount ?? 0n) as bigint;
  }

  /** What AWS bills: each instance from its launch until its end, a minute at least. */
  get billed(): bigint {
    const all = this.fake.world.state.instances;
    const times = all.map(({ launched, ended = this.#now }) => Math.max(60_000, ended - launched));
    return BigInt(times.reduce((sum, ms) => sum + ms, 0)) * 1000n;
  }

  findings(): readonly string[] {
    return onDisk(this.house.folder, verify).checks.flatMap(({ findings }) =>
      findings.map(
        ({ check, what, where, expected, found }) => `${check}: ${what} (${where}): ${found} of ${expected}`,
      ),
    );
  }

  get #now(): number {
    return this.clock.wall() / 1000;
  }

  /** Nobody asks anybody any more. */
  async #still(): Promise<void> {
    for (let quiet = 0; quiet < 5; quiet = this.#calls === 0 ? quiet + 1 : 0) await turn();
  }

  #watchers(): Containers {
    const { accounts, disk, folder } = this.house;
    const ledger = accounts.containers;
    const [kept] = rows(folder, `SELECT value FROM switches WHERE name = '${MACHINES}'`);
    const parts = { store: disk.store, log: { warn: () => undefined }, now: () => accounts.now() };
    const memory = new MachineMemory(parts, kept?.value as string | undefined);
    return new Containers({
      adapterFor: (container) =>
        container.kind === "ecs" ? this.#counted(this.#aws.adapterFor(container), ADAPTER) : undefined,
      hosts: {
        hostFor: (group) =>
          group.kind === "asg" ? this.#counted(this.#aws.hostFor(group), HOST) : undefined,
        waiting: (id) => this.waiting.get(id) ?? 0,
        watchedUntil: this.#watchedUntil,
        kept: (key) => memory.kept(key),
        keep: (key, one) => memory.keep(key, one),
        seen: (place, instance, phase) => tellMachine(ledger, place, instance, phase),
        lived: (place, instance, stopped) => tellMachine(ledger, place, instance, "starting", stopped),
        only: (machine, upstreams, ids) => ledger.onlyOn(machine, upstreams, ids),
        changed: () => undefined,
      },
      callsPerMinute: () => this.callsPerMinute,
      dryRun: () => this.dryRun,
      would: (text) => this.said.push(text),
      running: () => 0,
      isServing: async () => this.serves,
      seen: (one, up, phase) => tellContainer(ledger, one, up, phase),
      off: (id, stopped) => ledger.off(id, stopped),
      only: (id, container) => ledger.only(id, container),
      bug: (error) => {
        throw error;
      },
      changed: () => undefined,
      now: () => accounts.now(),
      after: (delay: DurationUs, call) => {
        const timer = { at: Math.ceil((this.#now + delay / 1000) / 1000) * 1000, call };
        this.#timers.add(timer);
        return () => this.#timers.delete(timer);
      },
      random: () => 0.5,
    });
  }

  #counted<T extends Adapter | Host>(given: T, methods: readonly (keyof T)[]): T {
    const counted = methods.map((name) => {
      const call = given[name] as (signal: AbortSignal) => Promise<unknown>;
      const counting = async (signal: AbortSignal) => {
        this.#calls += 1;
        try {
          return await call.call(given, signal);
        } finally {
          this.#calls -= 1;
        }
      };
      return [name, counting];
    });
    return Object.fromEntries(counted) as T;
  }
}

const ADAPTER = ["observe", "start", "stop"] as const;
const HOST = ["observe", "raise", "lower"] as const;
