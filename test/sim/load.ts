// What runs at each upstream, counted apart from the code that is checked: by who was really let in there, and when.

import type { Fleet } from "../../src/cloud/fleet.ts";
import type { Policy, Upstream } from "../../src/policy/policy.ts";
import type { Sign } from "../../src/policy/slot.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import type { Slots, WaitingRoom } from "../../src/proxy/waiting-room.ts";
import type { World } from "./world.ts";

export class UpstreamLoad {
  readonly #world: World;
  readonly #running = new Map<string, number>();
  /** When each slot was taken that was not given back unused. */
  readonly #taken = new Map<string, number[]>();

  constructor(world: World) {
    this.#world = world;
  }

  async run({ id }: Upstream, attempt: () => Promise<Relayed>): Promise<Relayed> {
    this.#running.set(id, (this.#running.get(id) ?? 0) + 1);
    try {
      return await attempt();
    } finally {
      this.#running.set(id, (this.#running.get(id) ?? 0) - 1);
    }
  }

  /** The fleet's slots, each noted: never more in any window than `rate_limit` says. */
  watch(slots: Slots): Slots {
    return {
      hindrance: (upstream) => slots.hindrance(upstream),
      take: (upstream) => {
        const slot = slots.take(upstream);
        const at = this.#world.monotonic();
        const taken = this.#taken.get(upstream.id) ?? [];
        this.#taken.set(upstream.id, taken);
        taken.push(at);
        const { calls = Infinity, per = 0 } = upstream.rateLimit ?? {};
        const recent = taken.filter((one) => one > at - per).length;
        if (recent > calls) throw new Error(`${recent} calls of ${upstream.id} in ${per} us, not ${calls}`);
        const free = (sign: Sign) => {
          if (sign.kind === "unused") taken.splice(taken.indexOf(at), 1);
          slot.free(sign);
        };
        return { ...slot, free };
      },
    };
  }

  /** Never more at once than `concurrency`. */
  check(policy: Policy): void {
    for (const [id, running] of this.#running) {
      const most = policy.upstreams.get(id)?.concurrency ?? Infinity;
      if (running > most) throw new Error(`${running} requests run at ${id}, which has ${most} slots`);
    }
  }
}

/** What became free by the clock alone is given away by a timer, which comes this much later at most. */
const GRACE = 6_000;

/** Nobody waits for what is free: a wakeup that is lost would be seen here. */
export class IdleSlots {
  readonly #since = new Map<string, number>();

  /** Timers come late. */
  stalled(): void {
    this.#since.clear();
  }

  check(policy: Policy, fleet: Fleet, room: WaitingRoom, now: number): void {
    for (const upstream of policy.upstreams.values()) {
      const { id } = upstream;
      const waiting = room.waitingFor(id);
      if (waiting === 0 || fleet.hindrance(upstream) !== undefined) {
        this.#since.delete(id);
        continue;
      }
      const since = this.#since.get(id) ?? now;
      this.#since.set(id, since);
      if (now - since > GRACE) throw new Error(`${waiting} requests wait for ${id}, which is free`);
    }
  }
}

/** At the end: every slot was given back, and nobody waits. */
export function checkSlotsBack(policy: Policy, fleet: Fleet, room: WaitingRoom): void {
  if (room.size > 0) throw new Error(`${room.size} requests wait, though all have ended`);
  for (const { id } of policy.upstreams.values()) {
    if (fleet.inFlight(id) > 0) throw new Error(`${fleet.inFlight(id)} slots of ${id} were never given back`);
  }
}
