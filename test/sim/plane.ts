// The data plane of one life of the simulated daemon: the real fleet and waiting room, and those who look at
// them from outside. A power cut ends it; the next life has one of its own.

import { Fleet } from "../../src/cloud/fleet.ts";
import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { Balances } from "../../src/policy/admission.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { checkSlotsBack, type IdleSlots, UpstreamLoad } from "./load.ts";
import { MoneyLine } from "./money-line.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export interface PlaneParts {
  readonly world: World;
  readonly chance: Random;
  readonly accounts: LocalAccounts;
  readonly idle: IdleSlots;
  /** In force. */
  policy(): Policy;
  count(what: string): void;
}

export class Plane {
  readonly fleet: Fleet;
  readonly room: WaitingRoom;
  readonly line: MoneyLine;
  readonly upstreams: UpstreamLoad;
  readonly #parts: PlaneParts;

  constructor(parts: PlaneParts) {
    const { world, chance, accounts, policy, count } = parts;
    this.#parts = parts;
    this.upstreams = new UpstreamLoad(world);
    this.line = new MoneyLine(
      policy,
      () => accounts.now(),
      (request) => this.room.placeOf(request) !== undefined,
    );
    this.fleet = new Fleet({
      monotonic: () => world.monotonic(),
      random: () => chance.unit(),
      turned: (_upstream, { kind }) => count(kind),
    });
    this.room = this.#openRoom();
  }

  timers() {
    const { accounts, world } = this.#parts;
    return { now: () => accounts.now(), after: world.after.bind(world) };
  }

  /** Limits, balances or routes have changed: whoever waits decides anew in this tick. */
  turned(): void {
    this.line.turned();
    this.room.reconsider();
  }

  /** Timers come late: nobody has been forgotten yet. */
  stalled(): void {
    this.line.stalled();
    this.#parts.idle.stalled();
  }

  check(view: Balances): void {
    const { policy, idle, world } = this.#parts;
    this.upstreams.check(policy());
    this.line.check(view);
    idle.check(policy(), this.fleet, this.room, world.monotonic());
  }

  checkEnd(): void {
    checkSlotsBack(this.#parts.policy(), this.fleet, this.room);
  }

  #openRoom(): WaitingRoom {
    const { fleet } = this;
    const { accounts, policy } = this.#parts;
    const room = new WaitingRoom({
      slots: this.upstreams.watch(fleet),
      timers: this.timers(),
      policy,
      balances: () => accounts.view(),
    });
    accounts.watchFreed((freed) => room.freed(freed));
    fleet.onChange((id, turned) => {
      if (turned?.kind === "ejected") room.reconsider(id);
      else room.offer(id);
    });
    return room;
  }
}
