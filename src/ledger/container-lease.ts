// The lease of one container: from its provider's start until it is off, beyond the requests that share it.
//
//   watched ──suspend, restart──► unwatched ──seen, or a request joins──► watched
//      └──────────── off ─────────────┴───────► over
//
// Invariant: while nobody watches nothing accrues; that time is a gap, once it is known that it lived.

import { type Attribution, Lease, type LeaseState, type Part, type RateSince } from "../metering/lease.ts";
import { type HourlyRate, hourlyRate, US_PER_HOUR } from "../metering/money.ts";
import type { HourPrice } from "../metering/price.ts";
import { type Instant, latest } from "../metering/time.ts";
import { type Container, leaseKey } from "./container.ts";
import type { OpenHold } from "./held.ts";
import { Sharing } from "./sharing.ts";

/** As it is stored. What was posted of it is counted beside it, by the entries' own writes. */
export interface StoredContainer {
  readonly about: Container;
  /** All machines that it was counted by: a policy that renames one changes no entry. */
  readonly machines: readonly string[];
  readonly state: LeaseState;
  /** When the last request left it: never later than its end. */
  readonly lastLeft: Instant | undefined;
  /** What accrued to it by the hour since then, oldest first, as decimal digits. */
  readonly rates: readonly (readonly [Instant, string])[];
}

export class ContainerLease {
  about: Container;
  readonly #machines = new Set<string>();
  readonly key: string;
  readonly sharing: Sharing;
  #watched: boolean;
  #lastLeft: Instant | undefined;
  /** What accrued to the container since it was last shared: an earlier stop takes it back at these rates. */
  #rates: RateSince[] = [];

  private constructor(about: Container, sharing: Sharing, watched: boolean) {
    this.about = about;
    this.#machines.add(about.machine);
    this.key = leaseKey(about);
    this.sharing = sharing;
    this.#watched = watched;
  }

  /**
   * `from`: its start, or since when nobody else was charged for it. `shared`: requests that share it
   * already, before the fleet told of it.
   */
  static begin(
    about: Container,
    { from, at }: { readonly from: Instant; readonly at: Instant },
    shared?: Sharing,
  ): ContainerLease {
    const { price, idlePrice, phase } = about;
    const sharing =
      shared ?? new Sharing(new Lease(from, price.rate, idlePrice, phase), price.rate, idlePrice);
    sharing.say(price, idlePrice, at);
    const lease = new ContainerLease(about, sharing, true);
    lease.#note();
    return lease;
  }

  /** After a restart: nobody has watched since. */
  static resume({ about, machines, state, lastLeft, rates }: StoredContainer): ContainerLease {
    const sharing = new Sharing(Lease.resume(state), rateOf(state.P), rateOf(state.I));
    const lease = new ContainerLease(about, sharing, false);
    for (const machine of machines) lease.#machines.add(machine);
    lease.#lastLeft = lastLeft;
    lease.#rates = rates.map(([at, digits]) => ({ at, rate: rateOf(digits) }));
    // Nobody shares it now, whatever was held at.
    sharing.say(about.price, about.idlePrice, sharing.lease.at);
    lease.#note();
    return lease;
  }

  stored(): StoredContainer {
    const rates = this.#rates.map(({ at, rate }) => [at, String(rate)] as const);
    const state = this.sharing.lease.state();
    return { about: this.about, machines: [...this.#machines], state, lastLeft: this.#lastLeft, rates };
  }

  get isWatched(): boolean {
    return this.#watched;
  }

  /** Whether requests that were decided for this machine are its own: it may have been renamed since. */
  wasCalled(machine: string): boolean {
    return this.#machines.has(machine);
  }

  /** What accrues to the container by the hour now. */
  get rate(): HourlyRate {
    return this.#watched ? this.sharing.lease.containerRate : hourlyRate(0n);
  }

  /** Says in parts the gap that this ends: a machine that is sent a request is known to live. */
  join(hold: OpenHold, at: Instant): readonly Part[] {
    const gap = this.#watch(at);
    this.sharing.join(hold, at);
    this.#note();
    return gap;
  }

  leave(hold: OpenHold, at: Instant): readonly Part[] {
    const parts = this.sharing.leave(hold, at);
    this.#lastLeft = this.sharing.lease.at;
    this.#rates = [];
    this.#note();
    return parts;
  }

  /** It lives, and is as `about` says. */
  seen(about: Container, at: Instant): readonly Part[] {
    const gap = this.#watch(at);
    this.about = about;
    this.#machines.add(about.machine);
    this.sharing.say(about.price, about.idlePrice, at);
    if (about.phase === "ready") this.sharing.lease.ready(at);
    this.#note();
    return gap;
  }

  /** Prices of a policy that has come into force. */
  reprice(price: HourPrice, idle: HourlyRate, at: Instant): void {
    if (!this.#watched) return;
    this.sharing.say(price, idle, at);
    this.#note();
  }

  attribute(attribution: Attribution, at: Instant): void {
    this.sharing.attribute(attribution, this.#watched ? at : this.sharing.lease.at);
  }

  /** Nobody watched since `last`: whoever shared it has left then, and says so with its parts. */
  suspend(last: Instant, end: (hold: OpenHold, at: Instant, parts: readonly Part[]) => void): void {
    for (const hold of [...this.sharing.holds]) {
      const parts = this.leave(hold, last);
      end(hold, this.sharing.lease.at, parts);
    }
    this.#watched = false;
  }

  /** What fell due to the container since it was last asked; nothing less than a nano-dollar. */
  due(at: Instant): readonly Part[] {
    const { lease } = this.sharing;
    const until = this.#watched ? at : lease.at;
    lease.advance(until);
    return lease.unposted < US_PER_HOUR ? [] : lease.postIdle(until);
  }

  /** What was posted by now and what comes are taken back apart. */
  cut(at: Instant): void {
    const { active, containerRate: rate } = this.sharing.lease;
    if (active === 0) this.#rates.push({ at, rate });
  }

  advance(at: Instant): void {
    if (this.#watched) this.sharing.lease.advance(at);
  }

  /**
   * Ends at max(its provider's stop, the last request that left it). What was posted beyond is taken back.
   * Whoever still shares it then ends with it.
   */
  off(stop: Instant, end: (hold: OpenHold, at: Instant, parts: readonly Part[]) => void): readonly Part[] {
    const { lease, holds } = this.sharing;
    if (holds.size > 0) this.suspend(latest(stop, lease.at), end);
    const at = latest(stop, this.#lastLeft ?? stop);
    const gap = this.#watched ? [] : lease.gap(at);
    const taken = lease.retract(at, this.#rates);
    return [...gap, ...taken, ...lease.close(at, this.about.minBilled)];
  }

  #watch(at: Instant): readonly Part[] {
    if (this.#watched) return [];
    this.#watched = true;
    return this.sharing.lease.gap(at);
  }

  #note(): void {
    const { lease } = this.sharing;
    if (lease.active > 0) return;
    const rate = lease.containerRate;
    if (this.#rates.at(-1)?.rate !== rate) this.#rates.push({ at: lease.at, rate });
  }
}

function rateOf(digits: string): HourlyRate {
  return hourlyRate(BigInt(digits));
}
