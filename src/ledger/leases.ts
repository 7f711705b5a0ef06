// The leases of machines in use: who shares an hourly price now (MONEY §2). A machine that nobody uses has
// none; its next request starts one afresh, at the price that it was held at.
//
// Invariant: a machine costs no more than the policy says, and no more than anyone who shares it has held
// at. So a fall counts at once, and a rise once nobody runs on who was asked the lower price.

import { type Join, Lease, type Part } from "../metering/lease.ts";
import { type HourlyRate, hourlyRate } from "../metering/money.ts";
import { isFree } from "../metering/price.ts";
import type { Instant } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import type { OpenHold } from "./held.ts";
import type { Write } from "./store.ts";

const NO_IDLE = hourlyRate(0n);

interface Use {
  readonly lease: Lease;
  readonly holds: Set<OpenHold>;
  rate: HourlyRate;
  /** What the policy says since it was last changed; undefined while it is as they were held at. */
  said: HourlyRate | undefined;
}

export class Leases {
  readonly #uses = new Map<string, Use>();
  /** Joins that were not handed to the disk yet, by the hold's id. */
  readonly #joined = new Map<string, Join>();

  /** Nothing where time costs nothing. */
  join(hold: OpenHold, at: Instant): void {
    const { machine } = hold.row;
    const rate = rateOf(hold);
    if (rate === undefined) return;
    const use = this.#uses.get(machine) ?? {
      lease: new Lease(at, rate, NO_IDLE, "ready"),
      holds: new Set(),
      rate,
      said: undefined,
    };
    this.#uses.set(machine, use);
    use.holds.add(hold);
    reprice(use, at);
    hold.join = use.lease.join(at);
    this.#joined.set(hold.row.id, hold.join);
  }

  /** What the request has taken so far, in parts; undefined where it shares no lease. */
  share(hold: OpenHold, at: Instant): readonly Part[] | undefined {
    return hold.join && this.#uses.get(hold.row.machine)?.lease.share(at, hold.join);
  }

  /** What the request pays, in parts; none where it joined no lease. */
  leave(hold: OpenHold, at: Instant): readonly Part[] {
    const { machine } = hold.row;
    const use = this.#uses.get(machine);
    if (hold.join === undefined || use === undefined) return [];
    // Its join goes with its ending all the same: one that is refused must be known to have shared.
    const parts = use.lease.leave(at, hold.join);
    use.holds.delete(hold);
    if (use.lease.active === 0) this.#uses.delete(machine);
    else reprice(use, at);
    return parts;
  }

  /** The prices of a policy that has come into force. */
  follow(policy: Policy, at: Instant): void {
    for (const { machine, price } of policy.upstreams.values()) {
      const use = this.#uses.get(machine);
      if (use === undefined || price.kind !== "hour") continue;
      use.said = price.rate;
      reprice(use, at);
    }
  }

  /**
   * Leases in use, and every join since they were last asked for: they go with every ending and every
   * heartbeat. Each is said once: a crowd of n that repeated them would say n² of them.
   */
  rows(at: Instant): Required<Pick<Write, "leases" | "joins">> {
    const leases = [...this.#uses].map(([machine, { lease }]) => {
      lease.advance(at);
      return { machine, state: lease.state() };
    });
    const joins = [...this.#joined].map(([id, join]) => ({ id, join }));
    this.#joined.clear();
    return { leases, joins };
  }

  /** The disk refused them: they go with whatever is written next. */
  refused(joins: NonNullable<Write["joins"]>): void {
    for (const { id, join } of joins) this.#joined.set(id, join);
  }
}

function reprice(use: Use, at: Instant): void {
  let lowest = use.said;
  for (const hold of use.holds) {
    const rate = rateOf(hold);
    if (rate !== undefined && (lowest === undefined || rate < lowest)) lowest = rate;
  }
  lowest ??= use.rate;
  if (lowest === use.rate) return;
  use.rate = lowest;
  use.lease.reprice(at, lowest, NO_IDLE);
}

function rateOf({ row: { price } }: OpenHold): HourlyRate | undefined {
  return price.kind === "hour" && !isFree(price) ? price.rate : undefined;
}
