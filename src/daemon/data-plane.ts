// The data plane as one thing that opens, follows the policy and closes: listeners, front, waiting room,
// probes, pools.

import type { Metrics } from "../admin/metrics.ts";
import type { Fleet } from "../cloud/fleet.ts";
import { Readiness } from "../cloud/readiness.ts";
import { type DurationUs, milliseconds } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import { Front, type FrontHouse } from "../proxy/front.ts";
import { Listeners, type Wanted } from "../proxy/listener.ts";
import { type Answered, askReady } from "../proxy/ready-probe.ts";
import type { Running } from "../proxy/running.ts";
import type { Timers } from "../proxy/timers.ts";
import { TunnelFront } from "../proxy/tunnel-front.ts";
import { type Place, WaitingRoom } from "../proxy/waiting-room.ts";
import { Wakes } from "../proxy/wakes.ts";
import type { Books } from "./books.ts";
import type { Certificate } from "./certificate.ts";
import { systemClock } from "./clock.ts";
import type { InForce } from "./in-force.ts";
import type { AccessLog, Logger } from "./log.ts";
import { observePassed, observeTask } from "./observe.ts";
import type { Listening } from "./options.ts";
import { Secrets } from "./secrets.ts";
import type { Tokens } from "./tokens.ts";

export interface DataPlaneParts {
  readonly inForce: InForce;
  readonly books: Books;
  readonly fleet: Fleet;
  readonly running: Running;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
  readonly log: Logger;
  readonly version: string;
  /** The gateway's own address. */
  readonly listen: string;
  readonly certificate: Certificate | undefined;
}

/** After the drain, what was broken off has this long to be settled and told. */
const SETTLE_MS = 10_000;

export class DataPlane {
  /** Who waits for a container to start. */
  readonly wakes: Wakes;
  readonly #parts: DataPlaneParts;
  readonly #front: Front;
  readonly #listeners: Listeners;
  readonly #room: WaitingRoom;
  readonly #readiness: Readiness;
  readonly #ask: (upstream: Upstream, signal: AbortSignal) => Promise<Answered>;

  constructor(parts: DataPlaneParts) {
    this.#parts = parts;
    const { inForce, fleet, log } = parts;
    const timers = { now: () => parts.books.clock.now(), after };
    this.#room = new WaitingRoom({
      slots: fleet,
      timers,
      policy: () => inForce.policy,
      balances: () => parts.books.accounts.view(),
    });
    this.wakes = new Wakes(timers);
    parts.books.accounts.watchFreed((accounts) => this.#room.freed(accounts));
    fleet.onChange((id, turned) => {
      // Those who wait for one that is ejected may have somewhere better to go.
      if (turned?.kind === "ejected") this.#room.reconsider(id);
      else this.#room.offer(id);
    });
    const secrets = new Secrets((why) => log.warn(`a secret of the policy is missing: ${why}`));
    this.#ask = (upstream, signal) => {
      const { pools } = this.#front;
      return askReady(upstream, signal, { pools, secretOf: (ref) => secrets.of(ref) });
    };
    const house = makeFrontHouse(parts, { room: this.#room, wakes: this.wakes, timers, secrets });
    this.#front = new Front(house);
    const tunnels = new TunnelFront(house);
    this.#readiness = new Readiness({
      fleet,
      ask: async (upstream, signal) =>
        fleet.isAway(upstream.id) ? { kind: "unclear" } : this.#ask(upstream, signal),
      monotonic: () => systemClock.monotonic(),
      random: Math.random,
    });
    this.#listeners = new Listeners(
      (request, response, place, path) => this.#front.serve(request, response, place, path),
      () => {
        const { hosts, origins, limits } = inForce.policy;
        return { hosts, origins, body: limits.body, connections: limits.connections };
      },
      (text) => log.info(text),
      { tunnel: (asked, place, path) => tunnels.serve(asked, place, path), certificate: parts.certificate },
    );
  }

  /** The sentences of what could not be opened. */
  async open(): Promise<readonly string[]> {
    this.#readiness.follow(this.#parts.inForce.policy);
    return this.#listen();
  }

  /** In the tick in which a policy or a mode is put in force: whoever waits decides anew. */
  turn(): void {
    const { fleet, inForce } = this.#parts;
    fleet.follow(inForce.policy);
    this.#readiness.follow(inForce.policy);
    this.#room.reconsider();
  }

  /** Undefined: it could not be asked. */
  async isServing(upstream: Upstream, signal: AbortSignal): Promise<boolean | undefined> {
    const { kind } = await this.#ask(upstream, signal);
    return kind === "unclear" ? undefined : kind === "up";
  }

  /** Requests that wait, in all or for one upstream: for a slot, for money, or for its container to start. */
  waiting(upstream?: string): number {
    const inRoom = upstream === undefined ? this.#room.size : this.#room.waitingFor(upstream);
    return inRoom + this.wakes.waiting(upstream);
  }

  /** The live balances, beside what those who wait have a claim to. */
  balances(): Balances {
    return this.#room.seenByNewcomer(this.#parts.books.accounts.view());
  }

  /** Where a request stands among those that wait for the same; undefined where it does not wait. */
  placeOf(request: string): Place | undefined {
    return this.#room.placeOf(request) ?? this.wakes.placeOf(request);
  }

  /** Opens and closes what a new policy asks for; connections to upstreams it no longer names end. */
  async follow(policy: Policy): Promise<readonly string[]> {
    const urls = [...policy.upstreams.values()].flatMap(({ url }) =>
      url === undefined ? [] : [new URL(url).origin],
    );
    this.#front.pools.retain(new Set(urls));
    return this.#listen();
  }

  listening(): readonly Listening[] {
    const models = new Map(this.#wanted().map(({ address, model }) => [address, model]));
    return this.#listeners.addresses().map(({ wanted, host, port, scheme }) => ({
      address: `${host.includes(":") ? `[${host}]` : host}:${port}`,
      model: models.get(wanted),
      scheme,
    }));
  }

  /** Who is still served after `graceMs` is told so where nothing was sent yet, and broken off elsewhere. */
  async close(graceMs: number): Promise<void> {
    this.#readiness.close();
    this.#room.close();
    const last = setTimeout(() => this.#parts.running.cancelAll("because the gateway is stopping"), graceMs);
    await this.#listeners.close(graceMs + SETTLE_MS);
    clearTimeout(last);
    const { accounts } = this.#parts.books;
    for (let waited = 0; accounts.open > 0 && waited < SETTLE_MS; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#front.pools.destroy();
  }

  async #listen(): Promise<readonly string[]> {
    return (await this.#listeners.adopt(this.#wanted())).map(({ text }) => text);
  }

  #wanted(): readonly Wanted[] {
    const { inForce, listen } = this.#parts;
    const ports = [...inForce.policy.models.values()].flatMap(({ id, port }) =>
      port === undefined ? [] : [{ address: `localhost:${port}`, model: id }],
    );
    return [{ address: listen }, ...ports];
  }
}

interface FrontParts {
  readonly room: WaitingRoom;
  readonly wakes: Wakes;
  readonly timers: Timers;
  readonly secrets: Secrets;
}

function makeFrontHouse(parts: DataPlaneParts, { room, wakes, timers, secrets }: FrontParts): FrontHouse {
  const { inForce, books, fleet, running, tokens, log } = parts;
  const { now } = timers;
  const observer = { metrics: parts.metrics, accessLog: parts.accessLog, now };
  return {
    version: parts.version,
    policy: () => inForce.policy,
    accounts: books.accounts,
    learning: books.learning,
    sessions: books.sessions,
    candidates: (policy, model) => fleet.candidates(policy, model),
    call: (upstream) => fleet.call(upstream),
    room,
    wakes,
    timers,
    running,
    tokens: (sha256) => tokens.find(sha256),
    secretOf: (ref) => secrets.of(ref),
    ended: (event) => observeTask(observer, event),
    passed: (event) => observePassed(observer, event),
    bug: (error) => log.error({ err: error }, "the gateway made a mistake"),
  };
}

/** setTimeout takes no more than 31 bits, and calls back at once for more. */
const LONGEST_WAIT_MS = 2_147_483_647;

/** Waits as long as it is told, however long that is. */
export function after(delay: DurationUs, call: () => void): () => void {
  let leftMs = milliseconds(delay);
  let timer: NodeJS.Timeout;
  const arm = () => {
    const waitMs = Math.min(leftMs, LONGEST_WAIT_MS);
    leftMs -= waitMs;
    timer = setTimeout(leftMs > 0 ? arm : call, waitMs);
  };
  arm();
  return () => clearTimeout(timer);
}
