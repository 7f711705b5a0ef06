// A fleet of fake containers: each starts, serves, is turned off under its requests or after them, starts again;
// and is told to the ledger at once, late or not at all, as polls do. What it costs is noted apart (bill.ts).

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { Container } from "../../src/ledger/container.ts";
import { type DurationUs, type Instant, SECOND } from "../../src/metering/time.ts";
import type { Policy, Upstream } from "../../src/policy/policy.ts";
import type { Attempt } from "../../src/proxy/exchange.ts";
import type { Bill } from "./bill.ts";
import type { Random } from "./random.ts";
import type { Stay } from "./upstreams.ts";
import type { World } from "./world.ts";

export interface Machine {
  /** What its provider calls it. */
  readonly id: string;
  /** Upstreams that bill as it, by the names that they had at first. */
  readonly serves: readonly string[];
  state: "off" | "starting" | "ready";
  start: Instant;
  /** Since when it is off. */
  stop: Instant;
  /** As the policy said last. */
  about: Omit<Container, "id" | "start" | "phase">;
  readonly waiting: Set<() => void>;
  readonly breaks: Set<() => void>;
}

interface House {
  readonly world: World;
  readonly random: Random;
  readonly bill: Bill;
  accounts(): LocalAccounts;
  policy(): Policy;
  count(what: string): void;
}

const LONGEST_POLL = 5 * SECOND;

export class Machines {
  readonly #house: House;
  readonly #all: readonly Machine[];
  #life = 0;
  #isClosing = false;

  constructor(house: House, first: Policy) {
    this.#house = house;
    const served = [...first.upstreams.values()].filter(({ hasContainer }) => hasContainer);
    const byMachine = Map.groupBy(served, ({ machine }) => machine);
    this.#all = [...byMachine].map(([machine, upstreams]) => newMachine(machine, upstreams));
  }

  /** With the daemon: what was planned before is gone, and the provider's machines are as they are. */
  begin(): void {
    const { random } = this.#house;
    this.#life += 1;
    for (const machine of this.#all) {
      machine.waiting.clear();
      machine.breaks.clear();
      if (machine.state === "off" && this.#life === 1 && random.chance(0.5))
        this.#start(machine, 10 * SECOND);
      else this.#after(random.whole(0, 3 * SECOND), () => this.#poll(machine));
      if (machine.state === "starting") this.#planReady(machine);
      this.#keepPolling(machine);
    }
  }

  /** A request comes to where this upstream's address is; undefined where nobody answers. */
  enter(attempt: Attempt): Stay | undefined {
    const machine = this.#all.find(({ serves }) => serves.includes(firstNameOf(attempt.upstream.id)));
    if (machine === undefined) return staysUp(attempt);
    const { random, bill } = this.#house;
    if (machine.state === "off") {
      if (this.#isClosing || !random.chance(0.7)) return undefined;
      this.#start(machine, 0);
      this.#house.count("woken");
    }
    // Whoever waits for a start has asked for it: the fleet knows of it.
    if (machine.state === "starting") this.tell(machine);
    const join = () => bill.joined(machine, attempt, this.#now());
    let serve: (() => void) | undefined;
    let breaks: (() => void) | undefined;
    return {
      serve: (call) => {
        serve = () => {
          attempt.held.begin();
          join();
          call();
        };
        if (machine.state === "ready") return serve();
        attempt.held.wait();
        join();
        machine.waiting.add(serve);
      },
      broken: (call) => {
        breaks = call;
        machine.breaks.add(call);
      },
      leave: () => {
        attempt.held.stop();
        bill.left(attempt.held.id, this.#now());
        if (serve !== undefined) machine.waiting.delete(serve);
        if (breaks !== undefined) machine.breaks.delete(breaks);
      },
    };
  }

  /** In the tick of a reload: prices and names are told anew. */
  turned(): void {
    this.#house.bill.repriced(this.#house.policy(), this.#now());
    for (const machine of this.#all) {
      if (machine.state !== "off" && this.#house.bill.isKnown(machine)) this.tell(machine);
    }
  }

  /** Something befalls one of them. */
  shake(): void {
    const { random } = this.#house;
    const machine = this.#all.length === 0 ? undefined : random.pick(this.#all);
    if (machine === undefined || this.#isClosing) return;
    const wasOff = machine.state === "off";
    if (!wasOff) this.#stop(machine);
    if (wasOff || random.chance(0.3)) this.#start(machine, random.whole(0, 10 * SECOND));
  }

  /** The run is over: nothing is left on. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const machine of this.#all) {
      if (machine.state !== "off") this.#stop(machine);
      this.#poll(machine);
    }
  }

  /** It lives, and its start, phase and price are as they are. */
  tell(machine: Machine): void {
    this.#follow(machine);
    this.#house.bill.tell(machine, this.#house.accounts());
  }

  #start(machine: Machine, within: number): void {
    const { random } = this.#house;
    if (machine.state !== "off") return;
    machine.state = "starting";
    // Ledger time may stand still; its provider never starts it twice in one moment.
    machine.start = Math.max(this.#now(), machine.start + 1) as Instant;
    if (within === 0 || random.chance(0.5)) this.tell(machine);
    else this.#after(random.whole(0, within), () => this.#poll(machine));
    this.#planReady(machine);
  }

  #planReady(machine: Machine): void {
    const { start } = machine;
    this.#after(this.#house.random.whole(SECOND / 10, 30 * SECOND), () => {
      if (machine.state !== "starting" || machine.start !== start) return;
      machine.state = "ready";
      // Its requests go there once the fleet knows of it.
      if (machine.waiting.size > 0 || this.#house.random.chance(0.5)) this.tell(machine);
      for (const serve of [...machine.waiting]) serve();
      machine.waiting.clear();
    });
  }

  /** Its requests see that at once, or only after the provider has said so; or they end before it. */
  #stop(machine: Machine): void {
    const { random, bill } = this.#house;
    machine.state = "off";
    machine.stop = this.#now();
    const breakAll = () => {
      for (const call of [...machine.breaks]) call();
      machine.waiting.clear();
    };
    const isToldFirst = random.chance(0.3);
    if (isToldFirst) {
      bill.off(machine, machine.stop, this.#house.accounts());
      this.#house.count("off under requests");
    }
    breakAll();
    if (!isToldFirst) {
      // By the provider's clock it was off a moment before its last byte came.
      if (random.chance(0.3)) machine.stop = Math.max(machine.start, machine.stop - SECOND) as Instant;
      if (random.chance(0.5)) this.#poll(machine);
      else this.#after(random.whole(0, 8 * SECOND), () => this.#poll(machine));
    }
  }

  #poll(machine: Machine): void {
    if (machine.state !== "off") this.tell(machine);
    else this.#house.bill.off(machine, machine.stop, this.#house.accounts());
  }

  #keepPolling(machine: Machine): void {
    if (this.#isClosing) return;
    this.#after(this.#house.random.whole(SECOND, LONGEST_POLL), () => {
      this.#poll(machine);
      this.#keepPolling(machine);
    });
  }

  /** What the policy says of it; one that no upstream names any more stays as it was told last. */
  #follow(machine: Machine): void {
    const { policy } = this.#house;
    const named = [...policy().upstreams.values()].find(({ id }) => machine.serves.includes(firstNameOf(id)));
    if (named !== undefined) machine.about = aboutOf(named, machine.serves.length > 1);
  }

  #after(delay: number, call: () => void): void {
    const life = this.#life;
    this.#house.world.after(delay as DurationUs, () => {
      if (life === this.#life) call();
    });
  }

  #now(): Instant {
    return this.#house.accounts().now();
  }
}

/** An edit renames an upstream by this. */
export const RENAMED = "-anew";

export function firstNameOf(id: string): string {
  return id.endsWith(RENAMED) ? id.slice(0, -RENAMED.length) : id;
}

function newMachine(machine: string, upstreams: readonly Upstream[]): Machine {
  const [first] = upstreams;
  if (first === undefined) throw new Error("a machine that nobody names");
  return {
    id: `i-${machine}`,
    serves: upstreams.map(({ id }) => id),
    state: "off",
    start: 0 as Instant,
    stop: 0 as Instant,
    about: aboutOf(first, upstreams.length > 1),
    waiting: new Set(),
    breaks: new Set(),
  };
}

function aboutOf(upstream: Upstream, isShared: boolean): Machine["about"] {
  const { price, idleRate, minBilled, machine, provider, gpuTier } = upstream;
  if (price.kind !== "hour") throw new Error(`${upstream.id} has a container and no hourly price`);
  const own = { idlePrice: idleRate, idleSource: undefined, minBilled, machine, provider };
  return { ...own, price, tier: gpuTier, upstream: isShared ? undefined : upstream.id };
}

/** Where nothing is started or stopped. */
export function staysUp({ held }: Attempt): Stay {
  return {
    serve: (call) => {
      held.begin();
      call();
    },
    broken: () => undefined,
    leave: () => held.stop(),
  };
}
