// Which lease the requests of a machine share (MONEY §2): its container's, where the fleet has told of one,
// which lives beyond them; else one of their own that ends with the last of them, at the price that they
// were held at.

import { type Attribution, Lease, type Part } from "../metering/lease.ts";
import { freezeParts } from "../metering/lease-state.ts";
import { hourlyRate } from "../metering/money.ts";
import { earliest, type Instant, latest } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import { Awaiting } from "./awaiting.ts";
import { type Container, leaseKey } from "./container.ts";
import { ContainerLease, type StoredContainer } from "./container-lease.ts";
import type { HeldJoin, OpenHold } from "./held.ts";
import { LeaseEnds } from "./lease-ends.ts";
import { type SaidPrice, Sharing, saidAt, timedRate } from "./sharing.ts";
import type { Write } from "./store.ts";
import { Unsaid } from "./unsaid.ts";

const NO_IDLE = hourlyRate(0n);

/** Told in the tick in which a container's money changed its pace; these are to be posted. */
export type OnContainer = (
  lease: ContainerLease,
  at: Instant,
  parts: readonly Part[],
  /** What requests used beyond their holds before it was told of. */
  unheld?: readonly Part[],
) => void;

export class Leases {
  readonly #uses = new Map<string, Sharing>();
  /** When a machine was last used without a container: no container is charged for that time again. */
  readonly #ended = new Map<string, Instant>();
  readonly #containers = new Map<string, ContainerLease>();
  readonly #over = new LeaseEnds();
  readonly #of = new WeakMap<OpenHold, ContainerLease>();
  /** What those shared who have left a machine without a container. */
  readonly #used = new WeakMap<OpenHold, Sharing>();
  readonly #awaiting = new Awaiting();
  readonly #unsaid = new Unsaid();
  #attribution: Attribution = "shared";
  /** What the policy in force says of machines. */
  readonly #prices = new Map<string, SaidPrice>();
  #onContainer: OnContainer = () => undefined;

  watch(call: OnContainer): void {
    this.#onContainer = call;
  }

  containers(): readonly ContainerLease[] {
    return [...this.#containers.values()];
  }

  /** The container whose price it shares or has shared. */
  containerOf(hold: OpenHold): ContainerLease | undefined {
    return this.#of.get(hold);
  }

  /** Its machine is to start: it shares that from its provider's start on, from now where that is past. */
  wait(hold: OpenHold, at: Instant): void {
    if (timedRate(hold) === undefined) return;
    if (this.#serving(hold.row.machine) === undefined) this.#awaiting.add(hold, at);
    else this.join(hold, at);
  }

  /** Nothing where time costs nothing. */
  join(hold: OpenHold, at: Instant): void {
    this.#awaiting.remove(hold);
    const { machine } = hold.row;
    const rate = timedRate(hold);
    if (rate === undefined || hold.join !== undefined) return;
    const container = this.#serving(machine);
    if (container === undefined) {
      const use =
        this.#uses.get(machine) ??
        new Sharing(new Lease(at, rate, NO_IDLE, "ready"), rate, NO_IDLE, this.#prices.get(machine));
      this.#uses.set(machine, use);
      use.attribute(this.#attribution, at);
      use.join(hold, at);
      this.#unsaid.add(hold);
    } else {
      this.#share(hold, container, at);
      this.#onContainer(container, at, []);
    }
  }

  #share(hold: OpenHold, container: ContainerLease, at: Instant): void {
    this.#of.set(hold, container);
    container.join(hold, at);
    const joined = hold.join as HeldJoin | undefined;
    if (joined !== undefined) hold.join = { ...joined, lease: container.key };
    this.#unsaid.add(hold);
  }

  /** What the request pays, in parts; none where it joined no lease. */
  leave(hold: OpenHold, at: Instant): readonly Part[] {
    const { machine } = hold.row;
    if (this.#awaiting.remove(hold)) return [];
    const container = this.#of.get(hold);
    if (container !== undefined) {
      // It ended with its machine, or with the time in which nobody watched.
      if (!container.sharing.holds.has(hold)) return hold.parts;
      const parts = container.leave(hold, at);
      this.left(hold, container.sharing.lease.at, parts);
      this.#onContainer(container, at, []);
      return parts;
    }
    const use = this.#uses.get(machine);
    if (hold.join === undefined || use === undefined) return [];
    const parts = use.leave(hold, at);
    this.left(hold, use.lease.at, parts);
    this.#used.set(hold, use);
    use.leaving.add(hold);
    if (use.lease.active === 0) {
      this.#uses.delete(machine);
      this.#ended.set(machine, use.lease.at);
    }
    return parts;
  }

  /**
   * It has left its lease at `at`, and pays these. Said with the next write, as its join is: a crash before
   * its ending is written must not take it for one that ran on.
   */
  left(hold: OpenHold, at: Instant, parts: readonly Part[]): void {
    if (hold.join === undefined) return;
    hold.join = { ...hold.join, left: { at, parts: freezeParts(parts) } };
    this.#unsaid.add(hold);
  }

  /** One without a container is settled: what it used beyond its hold is for whoever may take over yet. */
  settled(hold: OpenHold, unheld: readonly Part[]): void {
    const use = this.#used.get(hold);
    use?.leaving.delete(hold);
    use?.unheld.push(...unheld);
  }

  /** What the request has taken so far, in parts; undefined where it shares no lease. */
  share(hold: OpenHold, at: Instant): readonly Part[] | undefined {
    const use = this.#sharingOf(hold);
    if (hold.join === undefined || use === undefined || !use.holds.has(hold)) return undefined;
    return use.lease.share(at, hold.join);
  }

  /** Nobody watched since `last`: who shares a machine without a container has left then. */
  suspend(last: Instant, end: (hold: OpenHold, at: Instant, parts: readonly Part[]) => void): void {
    for (const hold of this.#awaiting.takeAll()) end(hold, last, []);
    for (const { holds, lease } of [...this.#uses.values()]) {
      for (const hold of [...holds]) {
        const parts = this.leave(hold, last);
        end(hold, lease.at, parts);
      }
    }
  }

  /** The higher price that a hold is still to be asked, where there is one. */
  risen(hold: OpenHold): SaidPrice | undefined {
    return this.#sharingOf(hold)?.risen(hold);
  }

  /** It holds at another price now. */
  repriced(hold: OpenHold, at: Instant): void {
    this.#sharingOf(hold)?.reprice(at);
    const container = this.#of.get(hold);
    if (container !== undefined) this.#onContainer(container, at, []);
  }

  /** The prices of a policy that has come into force, and who pays them. */
  follow(policy: Policy, at: Instant): void {
    this.#attribution = policy.attribution;
    for (const use of this.#uses.values()) use.attribute(policy.attribution, at);
    for (const container of this.containers()) container.attribute(policy.attribution, at);
    for (const { machine, price, idleRate } of policy.upstreams.values()) {
      if (price.kind !== "hour") continue;
      this.#prices.set(machine, saidAt(price, at, this.#prices.get(machine)));
      this.#uses.get(machine)?.say(price, undefined, at);
      for (const container of this.containers()) {
        if (container.about.machine !== machine) continue;
        container.reprice(price, idleRate, at);
        this.#onContainer(container, at, []);
      }
    }
  }

  /**
   * Of one that the fleet sees for the first time it takes over the requests that run there already. `after`:
   * until when its life before is charged for.
   */
  seen(about: Container, at: Instant, after = about.start): void {
    const known = this.#containers.get(about.id);
    if (known !== undefined && known.key === leaseKey(about)) {
      this.#onContainer(known, at, known.seen(about, at));
      return;
    }
    const { machine } = about;
    const shared = this.#serving(machine) === undefined ? this.#uses.get(machine) : undefined;
    const from = earliest(latest(after, latest(about.start, this.#ended.get(machine) ?? about.start)), at);
    const waiting = this.#awaiting.take(machine);
    // Whoever waits for it shares its start, also where it serves already when it is first seen.
    const first = waiting.length === 0 ? about : { ...about, phase: "starting" as const };
    const lease = ContainerLease.begin(first, { from, at }, shared);
    lease.attribute(this.#attribution, from);
    const before = shared === undefined ? [] : lease.sharing.lease.precede(from);
    if (shared !== undefined) this.#uses.delete(machine);
    const { holds = [], leaving = [], unheld = [] } = shared ?? {};
    for (const hold of [...holds, ...leaving]) this.#takeOver(hold, lease);
    for (const { hold, since } of waiting) this.#share(hold, lease, latest(since, from));
    if (waiting.length > 0) lease.seen(about, at);
    this.#containers.set(about.id, lease);
    this.#onContainer(lease, at, [...before, ...lease.due(at)], unheld);
  }

  /** Its join says so from now on: who recounts the lease finds who shares it. */
  #takeOver(hold: OpenHold, lease: ContainerLease): void {
    this.#of.set(hold, lease);
    if (hold.join === undefined) return;
    hold.join = { ...hold.join, lease: lease.key };
    this.#unsaid.add(hold);
  }

  /** After a restart. */
  resume(stored: StoredContainer): void {
    const lease = ContainerLease.resume(stored);
    this.#containers.set(stored.about.id, lease);
  }

  /** Another container takes the place of one on a machine that is theirs alone. */
  replaced({ about, sharing }: ContainerLease): void {
    this.#ended.set(about.machine, sharing.lease.at);
  }

  /** It has ended: nobody finds it any more. */
  over(lease: ContainerLease): void {
    const { id } = lease.about;
    if (this.#containers.get(id) === lease) this.#containers.delete(id);
    this.#over.add(id, lease.sharing.lease.at);
  }

  /** After a restart: ends of leases, oldest first, and until when machines without a container were used. */
  recall(ends: readonly (readonly [string, Instant])[], used: typeof ends): void {
    for (const [id, end] of ends) this.#over.add(id, end);
    for (const [machine, end] of used) this.#ended.set(machine, end);
  }

  /** As it is to be charged: no time of one container is charged twice, whatever is said of its start. */
  after(given: Container): Container {
    const from = this.#containers.get(given.id)?.about.start ?? this.#over.of(given.id);
    return from === undefined || from <= given.start ? given : { ...given, start: from };
  }

  find(id: string): ContainerLease | undefined {
    return this.#containers.get(id);
  }

  /**
   * Leases of requests alone, and every join and leaving since they were last asked for: they go with every
   * ending, every heartbeat and whatever else is written of a container.
   */
  rows(at: Instant): Required<Pick<Write, "leases" | "joins">> {
    const leases = [...this.#uses].map(([machine, { lease }]) => {
      lease.advance(at);
      return { machine, state: lease.state() };
    });
    return { leases, joins: this.#unsaid.take() };
  }

  refused(joins: Required<Write>["joins"]): void {
    this.#unsaid.refused(joins);
  }

  #sharingOf(hold: OpenHold): Sharing | undefined {
    return this.#of.get(hold)?.sharing ?? this.#uses.get(hold.row.machine);
  }

  /**
   * Of several that bill as one machine: one that is called so now, then one that somebody watches, then one
   * that can serve, and of those the one that started last.
   */
  #serving(machine: string): ContainerLease | undefined {
    let best: ContainerLease | undefined;
    for (const lease of this.#containers.values()) {
      if (lease.wasCalled(machine) && (best === undefined || isBetter(lease, best, machine))) best = lease;
    }
    return best;
  }
}

function isBetter(
  { about, sharing, isWatched }: ContainerLease,
  than: ContainerLease,
  machine: string,
): boolean {
  const { phase } = sharing.lease;
  const isCalledSo = about.machine === machine;
  if (isCalledSo !== (than.about.machine === machine)) return isCalledSo;
  if (isWatched !== than.isWatched) return isWatched;
  if (phase !== than.sharing.lease.phase) return phase === "ready";
  return about.start > than.about.start;
}
