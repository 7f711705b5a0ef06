// What a machine's billable life costs and who pays for it (MONEY §2). Requests that run at the same time
// share its price; what they do not pay is the container's own: unwaited start-up, idle, remainders.
//
//   starting ──ready──► ready ──┐     join, leave, reprice, postIdle in both; who waits is active
//       └──────────close────────┴──► closed     gap and close only when no request is active
//
// Invariant: once it is closed, all parts but the minimum sum to floor(integral of the rate). Where each
// request pays the whole price (exclusive), what that is more than the machine has cost is counted beside it:
// `beyond`.
// Raw amounts are nano-dollar microseconds per hour, exact; US_PER_HOUR of them are one nano-dollar.

import {
  accrue,
  cutPiece,
  endStartup,
  forgetMarks,
  noTime,
  type RateSince,
  retract,
  shareOf,
  takePosts,
  unposted,
} from "./accrual.ts";
import { type Attribution, freeze, type Join, type LeaseState, type LiveState, thaw } from "./lease-state.ts";
import { cost, type HourlyRate, hourlyRate, type NanoUsd, nanoUsd, US_PER_HOUR } from "./money.ts";
import { cutAtQuarters, type Part } from "./part.ts";
import { between, type DurationUs, durationUs, type Instant, latest, quarterHourOf } from "./time.ts";

export type { RateSince } from "./accrual.ts";
export type { Attribution, Join, LeaseState } from "./lease-state.ts";
export type { Part } from "./part.ts";

/** Time that nobody watched, and what a container without requests costs by the hour then. */
export interface Skipped {
  readonly from: Instant;
  readonly to: Instant;
  readonly rate: HourlyRate;
  /** The machine's own. */
  readonly price: HourlyRate;
}

/**
 * Every `at` that lies before the last event counts as that event's instant: a lease never runs backwards.
 */
export class Lease {
  #live: LiveState;
  #closed = false;

  constructor(at: Instant, price: HourlyRate, idlePrice: HourlyRate, phase: "starting" | "ready") {
    this.#live = {
      start: at,
      t: at,
      phase: phase === "starting" ? { kind: phase } : { kind: phase, at, V: 0n },
      P: price,
      I: idlePrice,
      n: 0,
      V: 0n,
      c: 0n,
      total: 0n,
      attribution: "shared",
      beyond: 0n,
      idle: { raw: 0n, posted: 0n },
      startup: { raw: 0n, posted: 0n },
      discount: 0n,
      piece: noTime(at),
      marks: new Map(),
      joined: new Map(),
      pending: [],
    };
  }

  /**
   * Goes on where `state()` was taken. What happened between then and a crash is to be replayed or left as
   * a gap.
   */
  static resume(state: LeaseState): Lease {
    const lease = new Lease(state.start, hourlyRate(0n), hourlyRate(0n), "starting");
    lease.#live = thaw(state);
    return lease;
  }

  state(): LeaseState {
    return freeze(this.#live);
  }

  get phase(): "starting" | "ready" {
    return this.#live.phase.kind;
  }

  /** Requests that share the price now, waiting ones included. */
  get active(): number {
    return this.#live.n;
  }

  /** What accrues to the container by the hour at this moment: 0 while requests share the price. */
  get containerRate(): HourlyRate {
    if (this.#live.n > 0) return hourlyRate(0n);
    return this.phase === "starting" ? this.#live.P : this.#live.I;
  }

  /** What the lease cost up to its last event, the minimum aside; what all parts must sum to in the end. */
  get total(): NanoUsd {
    return nanoUsd(this.#live.total / US_PER_HOUR);
  }

  get attribution(): Attribution {
    return this.#live.attribution;
  }

  /** What requests are charged above `total`, because each paid the whole price. */
  get beyond(): NanoUsd {
    return nanoUsd((this.#live.total + this.#live.beyond) / US_PER_HOUR - this.total);
  }

  /** Container money that was accrued and not handed out as parts yet, raw: its floor is what is due. */
  get unposted(): bigint {
    return unposted(this.#live);
  }

  /** The last event. */
  get at(): Instant {
    return this.#live.t;
  }

  /** How much more idle time would have cost at the machine's price; negative where idle is dearer. */
  get idleDiscount(): NanoUsd {
    return nanoUsd(this.#live.discount / US_PER_HOUR);
  }

  /** A request begins to wait (starting) or to run (ready). */
  join(at: Instant): Join {
    const live = this.#change(at);
    const quarter = quarterHourOf(live.t);
    live.joined.set(quarter, (live.joined.get(quarter) ?? 0) + 1);
    live.n += 1;
    return { start: live.t, V0: String(live.V) };
  }

  /** What the request pays: the floor of its exact share, cut at quarter-hours and at `ready`. */
  leave(at: Instant, join: Join): readonly Part[] {
    const quarter = quarterHourOf(join.start);
    const joined = this.#live.joined.get(quarter);
    if (joined === undefined) throw new Error(`no request that joined at ${join.start} is active here`);
    const live = this.#change(at);
    const parts = shareOf(live, join);
    live.idle.raw += (live.V - BigInt(join.V0)) % US_PER_HOUR;
    live.n -= 1;
    if (joined === 1) live.joined.delete(quarter);
    else live.joined.set(quarter, joined - 1);
    forgetMarks(live);
    return parts;
  }

  /** Brings V, the carry and idle up to `at`, for the heartbeat that writes them down. */
  advance(at: Instant): void {
    this.#advance(at);
  }

  /** The parts of what the request has taken up to `at`; it stays. */
  share(at: Instant, join: Join): readonly Part[] {
    return shareOf(this.#advance(at), join);
  }

  /** What the request would pay if it left at `at`. */
  accrued(at: Instant, join: Join): NanoUsd {
    const live = this.#advance(at);
    return nanoUsd((live.V - BigInt(join.V0)) / US_PER_HOUR);
  }

  reprice(at: Instant, price: HourlyRate, idlePrice: HourlyRate): void {
    const live = this.#change(at);
    live.P = price;
    live.I = idlePrice;
  }

  /** From `at` on requests that run together share the price, or each pays all of it. */
  attribute(at: Instant, attribution: Attribution): void {
    if (attribution === this.#live.attribution) return;
    this.#change(at).attribution = attribution;
  }

  /** The machine can serve. Said again it changes nothing: providers are polled. */
  ready(at: Instant): void {
    if (this.phase === "ready") return;
    const live = this.#change(at);
    live.phase = { kind: "ready", at: live.t, V: live.V };
  }

  /** Container money that fell due since it was last asked for. */
  postIdle(at: Instant): readonly Part[] {
    return takePosts(this.#advance(at));
  }

  /**
   * Time up to `at` that nobody watched (suspend, death), as parts to be posted once the provider says that
   * the machine lived. The requests of that time ended before it: one that is still active throws.
   */
  gap(at: Instant): readonly Part[] {
    return this.lived(this.skip(at));
  }

  /** That time, of which nobody knows yet whether the machine lived: until that is known it costs nothing. */
  skip(at: Instant): Skipped {
    const live = this.#quiet("skip time");
    cutPiece(live);
    const from = live.t;
    live.t = latest(at, from);
    live.piece = noTime(live.t);
    return { from, to: live.t, rate: this.containerRate, price: live.P };
  }

  /** It lived then: what that costs, in parts. */
  lived({ from, to, rate, price }: Skipped): readonly Part[] {
    const live = this.#live;
    const rawAt = (upTo: Instant) => rate * BigInt(between(from, upTo));
    live.total += rawAt(to);
    live.discount += (price - rate) * BigInt(between(from, to));
    live.idle.raw += rawAt(to) % US_PER_HOUR;
    return cutAtQuarters("gap", from, to, rawAt);
  }

  /** The machine turns out to have run since `start`, earlier than anyone watched: that time, as a gap. */
  precede(start: Instant): readonly Part[] {
    const live = this.#live;
    const until = live.start;
    if (this.#closed || start >= until) return [];
    const rate = this.phase === "starting" ? live.P : live.I;
    const rawAt = (upTo: Instant) => rate * BigInt(between(start, upTo));
    live.start = start;
    live.total += rawAt(until);
    live.discount += (live.P - rate) * BigInt(between(start, until));
    live.idle.raw += rawAt(until) % US_PER_HOUR;
    return cutAtQuarters("gap", start, until, rawAt);
  }

  /**
   * The machine was off from `at` on, which is earlier than the last event: the container money of that
   * time, at the rates that it had, is taken back as negative parts, one a quarter-hour and rate. Then it can
   * only be closed.
   */
  retract(at: Instant, rates: readonly RateSince[]): readonly Part[] {
    const live = this.#quiet("take time back");
    if (at >= live.t) return [];
    endStartup(live);
    return [...takePosts(live), ...retract(live, latest(at, live.start), rates)];
  }

  /** The machine is off: the last container money, and what its provider bills below `minBilled`. */
  close(at: Instant, minBilled: DurationUs): readonly Part[] {
    this.#quiet("close");
    const live = this.#advance(at);
    endStartup(live);
    const parts = takePosts(live);
    this.#closed = true;
    const missing = durationUs(minBilled - between(live.start, live.t));
    if (missing <= 0) return parts;
    return [...parts, { kind: "minimum", at: live.t, elapsed: missing, amount: cost(live.P, missing) }];
  }

  #advance(at: Instant): LiveState {
    if (this.#closed) throw new Error("this lease is closed; a machine that runs again has a new one");
    accrue(this.#live, at);
    return this.#live;
  }

  /** Before n, price or phase change: what does not divide goes to the container, never to a request. */
  #change(at: Instant): LiveState {
    const live = this.#advance(at);
    live.idle.raw += live.c;
    live.c = 0n;
    return live;
  }

  #quiet(what: string): LiveState {
    if (this.#closed) throw new Error(`a closed lease cannot ${what}`);
    if (this.#live.n > 0) throw new Error(`a lease cannot ${what} while ${this.#live.n} requests are active`);
    return this.#live;
  }
}
