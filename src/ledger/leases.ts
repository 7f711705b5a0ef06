// The leases of machines in use: who shares an hourly price now (MONEY §2). A machine that nobody uses has
// none; its next request starts one afresh, at the price that it was held at.
//
// Invariant: a machine costs no more than the policy says, and no more than anyone who shares it has held
// at. So a fall counts at once, and a rise once nobody runs on who was asked the lower price.

import { Lease, type Part } from "../metering/lease.ts";
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
  /** Holds of which neither the join nor the ending is known to be on disk, by their id. */
  readonly #joined = new Map<string, OpenHold>();

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
    this.#joined.set(hold.row.id, hold);
  }

  /** What the request pays, in parts; none where it joined no lease. */
  leave(hold: OpenHold, at: Instant): readonly Part[] {
    const { machine } = hold.row;
    const use = this.#uses.get(machine);
    if (hold.join === undefined || use === undefined) return [];
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

  /** Leases in use, and joins that may not be on disk yet: they go with every ending and every heartbeat. */
  rows(at: Instant): Required<Pick<Write, "leases" | "joins">> {
    const leases = [...this.#uses].map(([machine, { lease }]) => {
      lease.advance(at);
      return { machine, state: lease.state() };
    });
    const joins = [...this.#joined].flatMap(([id, { join }]) => (join === undefined ? [] : [{ id, join }]));
    return { leases, joins };
  }

  /** They, or their endings, are on disk, and need not be said again. */
  written(holds: readonly { readonly id: string }[]): void {
    for (const { id } of holds) this.#joined.delete(id);
  }
}

function reprice(use: Use, at: Instant): void {
  const rates = [...use.holds].flatMap((hold) => rateOf(hold) ?? []);
  const lowest = rates.reduce(
    (least, rate) => (rate < least ? rate : least),
    use.said ?? rates[0] ?? use.rate,
  );
  if (lowest === use.rate) return;
  use.rate = lowest;
  use.lease.reprice(at, lowest, NO_IDLE);
}

function rateOf({ row: { price } }: OpenHold): HourlyRate | undefined {
  return price.kind === "hour" && !isFree(price) ? price.rate : undefined;
}
