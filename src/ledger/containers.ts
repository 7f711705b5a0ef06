// The money of containers: posts what no request pays, as entries and in the balances that count it, and
// keeps what accrues between two posts in the accounts (accruing.ts). It starts and stops nothing.

import type { Part } from "../metering/lease.ts";
import { add, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import { earliest, type Instant, quarterHourOf } from "../metering/time.ts";
import { type Coverage, type Facts, periodFor } from "../policy/match.ts";
import { Accruing } from "./accruing.ts";
import type { BalanceChange, Book } from "./book.ts";
import { type Container, type ContainerEvents, factsOfContainer, leaseKey } from "./container.ts";
import { ContainerLease } from "./container-lease.ts";
import type { OpenHold } from "./held.ts";
import type { Leases } from "./leases.ts";
import type { Outbox } from "./outbox.ts";
import { once, post } from "./posting.ts";
import { containerEntry, type Mark } from "./rows.ts";
import type { ContainerRow, Unstamped } from "./store.ts";

/** What it needs of the accounts. */
export interface ContainerTill {
  readonly book: Book;
  readonly leases: Leases;
  readonly outbox: Outbox;
  now(): Instant;
  /** Tells whoever waits for money what one event has moved. */
  moved(changes: readonly BalanceChange[]): void;
  /** All accounts that count a container's money. */
  countingContainer(facts: Facts): readonly Coverage[];
}

type Posts = Required<Pick<Unstamped, "entries" | "balances" | "containers">>;
const NO_POSTS: Posts = { entries: [], balances: [], containers: [] };

export class Containers implements ContainerEvents {
  readonly #till: ContainerTill;
  readonly #accruing = new Accruing();
  #quarter: Instant;

  constructor(till: ContainerTill) {
    this.#till = till;
    this.#quarter = quarterHourOf(till.now());
    till.leases.watch((...change) => this.#changed(...change));
  }

  seen(given: Container, stoppedBefore?: Instant): void {
    const { leases } = this.#till;
    const known = leases.find(given.id);
    const container = leases.after(given);
    const isFree = container.price.rate === 0n && container.idlePrice === 0n;
    if (known === undefined && isFree) return;
    if (known === undefined) {
      leases.seen(container, this.#till.now());
      this.#told(container.id);
      return;
    }
    if (known.key === leaseKey(container)) {
      leases.seen(container, this.#till.now());
      return;
    }
    // Who came since the restart runs, and is charged the whole price: nothing else is until then.
    if (!known.isWatched && known.sharing.lease.active > 0) return;
    // An end before its own start is another life's.
    const isIts = stoppedBefore !== undefined && stoppedBefore >= known.about.start;
    const stop = isIts ? earliest(stoppedBefore, container.start) : container.start;
    this.#end(known, earliest(stop, this.#till.now()), container.start);
    leases.seen(container, this.#till.now(), known.sharing.lease.at);
    this.#told(container.id);
  }

  /** Before anybody is let in there: a crash must not take who runs on it for one that ran alone. */
  #told(id: string): void {
    const lease = this.#till.leases.find(id);
    if (lease !== undefined) this.#write(this.#post(lease, []));
  }

  lived(given: Container, stop: Instant): void {
    const { leases } = this.#till;
    const isFree = given.price.rate === 0n && given.idlePrice === 0n;
    if (leases.find(given.id) !== undefined || isFree) return;
    const container = leases.after(given);
    if (container.start < stop) this.#end(ContainerLease.past(container), earliest(stop, this.#till.now()));
  }

  off(id: string, stop: Instant): void {
    const known = this.#till.leases.find(id);
    // A provider's clock may be ahead: nothing is charged that has not been yet.
    if (known !== undefined) this.#end(known, earliest(stop, this.#till.now()));
  }

  only(upstream: string, id: string | undefined, since?: Instant): void {
    for (const lease of this.#till.leases.containers()) {
      if (lease.about.upstream !== upstream || lease.about.id === id) continue;
      this.#end(lease, lease.isWatched ? this.#till.now() : lease.watchedUntil, since);
      this.#till.leases.replaced(lease);
    }
  }

  onlyOn(machine: string, upstreams: readonly string[], ids: readonly string[]): void {
    for (const lease of this.#till.leases.containers()) {
      const { about, isWatched, sharing } = lease;
      const isOnIt = about.machine === machine || upstreams.includes(about.upstream ?? "");
      if (!isOnIt || ids.includes(about.id)) continue;
      this.#end(lease, isWatched ? this.#till.now() : sharing.lease.at);
    }
  }

  /** Nobody watched since `last`: whoever ran has ended then, and what came after is a gap, or nothing. */
  suspend(last: Instant): void {
    this.#till.leases.suspend(last, this.#endLost);
    for (const lease of this.#till.leases.containers()) {
      if (lease.isWatched || lease.sharing.holds.size > 0) lease.suspend(last, this.#endLost);
      this.#keepPace(lease);
    }
  }

  /** What the account's containers cost by `at` and no entry says yet. */
  accrued(account: string, start: Instant, at: Instant) {
    return this.#accruing.on(account, start, at);
  }

  /** Before a decision: what is not posted yet must lie in the quarter-hour of `at`. */
  turn(at: Instant): void {
    if (quarterHourOf(at) === this.#quarter) return;
    this.#quarter = quarterHourOf(at);
    this.#write(this.#postAll(at));
  }

  /** Other budgets count from now on. */
  follow(): void {
    for (const lease of this.#till.leases.containers()) this.#keepPace(lease);
  }

  /**
   * For the heartbeat's write: what fell due, and every lease of a container as it stands. Nothing at all
   * without containers: such a heartbeat needs not be kept when the disk refuses it.
   */
  beat(at: Instant): Unstamped {
    this.#quarter = quarterHourOf(at);
    const posts = this.#postAll(at);
    return posts.containers.length === 0 ? {} : posts;
  }

  /** For a reset: all that is due is posted, and can be taken back apart from what comes after. */
  cut(at: Instant): void {
    const posts = this.#postAll(at, (lease) => lease.cut(at));
    this.#write(posts);
  }

  /** With the ending of a request: its container's lease, and the time that it ran beyond its hold. */
  ending(hold: OpenHold, unheld: readonly Part[]): Posts {
    const { leases } = this.#till;
    const lease = leases.containerOf(hold);
    if (lease === undefined) {
      leases.settled(hold, unheld);
      return NO_POSTS;
    }
    const posts = this.#post(lease, unheld, "unheld");
    return { ...posts, containers: [rowOf(lease, [], this.#isOver(lease))] };
  }

  /** With a slice of a request that runs on: its container's lease as it stands. */
  standing(hold: OpenHold): readonly ContainerRow[] {
    const lease = this.#till.leases.containerOf(hold);
    return lease === undefined ? [] : [rowOf(lease, [], this.#isOver(lease))];
  }

  #changed(lease: ContainerLease, at: Instant, parts: readonly Part[], unheld: readonly Part[] = []): void {
    this.turn(at);
    if (parts.length + unheld.length > 0)
      this.#write(together([this.#post(lease, parts), this.#post(lease, unheld, "unheld")]));
    this.#keepPace(lease);
  }

  #end(lease: ContainerLease, stop: Instant, again?: Instant): void {
    this.turn(this.#till.now());
    const parts = lease.off(stop, this.#endLost, again);
    this.#till.leases.over(lease);
    this.#accruing.drop(lease.key, this.#till.now());
    const posts = this.#post(lease, parts);
    this.#write({ ...posts, containers: [rowOf(lease, parts, true)] });
    this.#till.moved(posts.balances);
  }

  #postAll(at: Instant, then: (lease: ContainerLease) => void = () => undefined): Posts {
    return together(
      this.#till.leases.containers().map((lease) => {
        const due = lease.due(at);
        then(lease);
        const posts = this.#post(lease, due);
        this.#keepPace(lease);
        return posts;
      }),
    );
  }

  #post(lease: ContainerLease, parts: readonly Part[], mark?: Mark): Posts {
    const { book } = this.#till;
    const entries = parts
      .filter(({ amount }) => amount !== 0n)
      .map((part) => containerEntry(lease.about, part, mark));
    const counting = this.#till.countingContainer(factsOfContainer(lease.about));
    const balances = post(book, counting, entries);
    // What requests left beyond their holds was never the lease's own.
    return { entries, balances, containers: [rowOf(lease, mark === "unheld" ? [] : parts, false)] };
  }

  /** With who shares which lease by now: after a crash nobody is taken for one who came or stayed later. */
  #write(posts: Posts): void {
    if (posts.containers.length === 0) return;
    const { leases, outbox } = this.#till;
    const shares = leases.rows(this.#till.now());
    // A failure is kept for the next heartbeat and reported by the outbox.
    outbox.write({ ...posts, ...shares }).catch(() => leases.refused(shares.joins));
  }

  readonly #endLost = (hold: OpenHold, at: Instant, parts: readonly Part[]): void => {
    hold.step(["running", "waiting"], "stopped");
    hold.parts = parts;
    hold.stopped = at;
    hold.isLost = true;
    this.#till.leases.left(hold, at, parts);
    hold.shortened();
  };

  #keepPace(lease: ContainerLease): void {
    if (this.#isOver(lease)) return;
    const now = this.#till.now();
    lease.advance(now);
    const counting = once(this.#till.countingContainer(factsOfContainer(lease.about)));
    const accounts = counting.map(({ account, ground }) => ({
      account,
      start: periodFor(ground, now).start,
    }));
    const { unposted, at } = lease.sharing.lease;
    const from = lease.isWatched ? at : now;
    this.#accruing.set(lease.key, { rate: lease.rate, raw: unposted, at: from }, accounts);
  }

  #isOver(lease: ContainerLease): boolean {
    return this.#till.leases.find(lease.about.id) !== lease;
  }
}

function rowOf(lease: ContainerLease, parts: readonly Part[], isOver: boolean): ContainerRow {
  const posted = (kind: Part["kind"]) => sumOf(parts.filter((part) => part.kind === kind));
  return { ...lease.stored(), isOver, idlePosted: posted("idle"), startupPosted: posted("startup") };
}

function sumOf(parts: readonly Part[]): NanoUsd {
  return add(ZERO_USD, ...parts.map(({ amount }) => amount));
}

function together(all: readonly Posts[]): Posts {
  return {
    entries: all.flatMap(({ entries }) => entries),
    balances: all.flatMap(({ balances }) => balances),
    containers: all.flatMap(({ containers }) => containers),
  };
}
