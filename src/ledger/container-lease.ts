// The lease of one container: from its provider's start until it is off, beyond the requests that share it.
//
//   watched ──suspend, restart──► unwatched ──seen──► watched
//      └──────────── off ─────────────┴───────► over
//
// Invariant: while nobody watches nothing accrues but to requests that share it; the time without any is a
// gap, once its provider says that it lived.

import {
  type Attribution,
  Lease,
  type LeaseState,
  type Part,
  type RateSince,
  type Skipped,
} from "../metering/lease.ts";
import { type HourlyRate, hourlyRate, US_PER_HOUR } from "../metering/money.ts";
import type { HourPrice } from "../metering/price.ts";
import { earliest, type Instant, latest } from "../metering/time.ts";
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
  /** Absent while somebody watches it; else the time before each request that came, as it was skipped. */
  readonly unwatched?: readonly SkippedRow[];
}

/** From, to, and decimal digits: what accrued to it by the hour, and its price. */
export type SkippedRow = readonly [from: Instant, to: Instant, rate: string, price: string];

export class ContainerLease {
  about: Container;
  readonly #machines = new Set<string>();
  readonly key: string;
  readonly sharing: Sharing;
  #watched: boolean;
  /** Time before requests that came while nobody watched: nobody has said yet that it lived then. */
  #skipped: Skipped[] = [];
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

  /** Of one that is over, and that nobody watched: what it cost is told when it ends. */
  static past(about: Container): ContainerLease {
    const lease = ContainerLease.begin(about, { from: about.start, at: about.start });
    lease.#watched = false;
    return lease;
  }

  /** After a restart: nobody has watched since. */
  static resume({ about, machines, state, lastLeft, rates, ...stored }: StoredContainer): ContainerLease {
    const sharing = new Sharing(Lease.resume(state), rateOf(state.P), rateOf(state.I));
    const lease = new ContainerLease(about, sharing, false);
    for (const machine of machines) lease.#machines.add(machine);
    lease.#lastLeft = lastLeft;
    lease.#skipped = (stored.unwatched ?? []).map(([from, to, rate, price]) => {
      return { from, to, rate: rateOf(rate), price: rateOf(price) };
    });
    lease.#rates = rates.map(([at, digits]) => ({ at, rate: rateOf(digits) }));
    // Nobody shares it now, whatever was held at.
    sharing.say(about.price, about.idlePrice, sharing.lease.at);
    lease.#note();
    return lease;
  }

  stored(): StoredContainer {
    const rates = this.#rates.map(({ at, rate }) => [at, String(rate)] as const);
    const state = this.sharing.lease.state();
    const unwatched = this.#skipped.map(skippedRow);
    return {
      ...{ about: this.about, machines: [...this.#machines], state, lastLeft: this.#lastLeft, rates },
      ...(!this.#watched && { unwatched }),
    };
  }

  get isWatched(): boolean {
    return this.#watched;
  }

  /** Of one that nobody watches: since when. */
  get watchedUntil(): Instant {
    return this.#skipped[0]?.from ?? this.sharing.lease.at;
  }

  /** Whether requests that were decided for this machine are its own: it may have been renamed since. */
  wasCalled(machine: string): boolean {
    return this.#machines.has(machine);
  }

  /** What accrues to the container by the hour now. */
  get rate(): HourlyRate {
    return this.#watched ? this.sharing.lease.containerRate : hourlyRate(0n);
  }

  /** Whether time passes for it: it is watched, or charged to requests. */
  get #runs(): boolean {
    return this.#watched || this.sharing.lease.active > 0;
  }

  /** That it is sent a request says nothing of the time before. */
  join(hold: OpenHold, at: Instant): void {
    if (!this.#runs) this.#skip(at);
    this.sharing.join(hold, at);
    this.#note();
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
    if (!this.#runs) this.#skip(at);
    this.#watched = true;
    const gap = this.#lived(this.#skipped.splice(0));
    this.about = about;
    this.#machines.add(about.machine);
    this.sharing.say(about.price, about.idlePrice, at);
    if (about.phase === "ready") this.sharing.lease.ready(at);
    this.#note();
    return gap;
  }

  /** Prices of a policy that has come into force. */
  reprice(price: HourPrice, idle: HourlyRate, at: Instant): void {
    if (!this.#runs) return;
    this.sharing.say(price, idle, at);
    this.#note();
  }

  attribute(attribution: Attribution, at: Instant): void {
    this.sharing.attribute(attribution, this.#runs ? at : this.sharing.lease.at);
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
    const until = this.#runs ? at : lease.at;
    lease.advance(until);
    return lease.unposted < US_PER_HOUR ? [] : lease.postIdle(until);
  }

  /** What was posted by now and what comes are taken back apart. */
  cut(at: Instant): void {
    const { active, containerRate: rate } = this.sharing.lease;
    if (active === 0) this.#rates.push({ at, rate });
  }

  advance(at: Instant): void {
    if (this.#runs) this.sharing.lease.advance(at);
  }

  /**
   * Ends at max(its provider's stop, the last request that left it). What was posted beyond is taken back.
   * Whoever still shares it then ends with it. `again`: when it, or what took its place, has started since;
   * who came while nobody watched may have run there.
   */
  off(
    stop: Instant,
    end: (hold: OpenHold, at: Instant, parts: readonly Part[]) => void,
    again?: Instant,
  ): readonly Part[] {
    const { lease, holds } = this.sharing;
    if (holds.size > 0) this.suspend(latest(stop, lease.at), end);
    const at = latest(stop, this.#lastLeft ?? stop);
    if (!this.#watched) this.#skip(at);
    const gap = this.#lived(this.#skipped.flatMap((one) => without(one, stop, again ?? stop)));
    const taken = lease.retract(at, this.#rates);
    return [...gap, ...taken, ...lease.close(at, this.about.minBilled)];
  }

  #skip(at: Instant): void {
    const skipped = this.sharing.lease.skip(at);
    if (skipped.to > skipped.from) this.#skipped.push(skipped);
  }

  #lived(skipped: readonly Skipped[]): readonly Part[] {
    return skipped.flatMap((one) => this.sharing.lease.lived(one));
  }

  #note(): void {
    const { lease } = this.sharing;
    if (lease.active > 0) return;
    const rate = lease.containerRate;
    if (this.#rates.at(-1)?.rate !== rate) this.#rates.push({ at: lease.at, rate });
  }
}

export function skippedRow({ from, to, rate, price }: Skipped): SkippedRow {
  return [from, to, String(rate), String(price)];
}

/** What is left of it before `from` and from `to` on. */
function without(one: Skipped, from: Instant, to: Instant): readonly Skipped[] {
  const [before, after] = [earliest(one.to, from), latest(one.from, to)];
  if (to <= from) return [one];
  return [
    ...(before > one.from ? [{ ...one, to: before }] : []),
    ...(after < one.to ? [{ ...one, from: after }] : []),
  ];
}

function rateOf(digits: string): HourlyRate {
  return hourlyRate(BigInt(digits));
}
