// The leases of machines in use: who shares an hourly price now (MONEY §2). A machine that nobody uses has
// none; its next request starts one afresh, at the price that it was held at.

import { Lease, type Part } from "../metering/lease.ts";
import { hourlyRate } from "../metering/money.ts";
import { isFree } from "../metering/price.ts";
import type { Instant } from "../metering/time.ts";
import type { OpenHold } from "./held.ts";
import type { Write } from "./store.ts";

const NO_IDLE = hourlyRate(0n);

export class Leases {
  readonly #leases = new Map<string, Lease>();
  /** Holds whose join is not on disk yet. */
  readonly #joined = new Set<OpenHold>();

  /** Nothing where time costs nothing. */
  join(hold: OpenHold, at: Instant): void {
    const { price, machine } = hold.row;
    if (price.kind !== "hour" || isFree(price)) return;
    const lease = this.#leases.get(machine) ?? new Lease(at, price.rate, NO_IDLE, "ready");
    this.#leases.set(machine, lease);
    hold.join = lease.join(at);
    this.#joined.add(hold);
  }

  /** What the request pays, in parts; none where it joined no lease. */
  leave(hold: OpenHold, at: Instant): readonly Part[] {
    const { machine } = hold.row;
    const lease = this.#leases.get(machine);
    this.#joined.delete(hold);
    if (hold.join === undefined || lease === undefined) return [];
    const parts = lease.leave(at, hold.join);
    if (lease.active === 0) this.#leases.delete(machine);
    return parts;
  }

  /** Leases in use, and joins that are not on disk yet: they go with every ending and every heartbeat. */
  rows(at: Instant): Pick<Write, "leases" | "joins"> {
    const leases = [...this.#leases].map(([machine, lease]) => {
      lease.advance(at);
      return { machine, state: lease.state() };
    });
    const joins = [...this.#joined].flatMap(({ row, join }) =>
      join === undefined ? [] : [{ id: row.id, join }],
    );
    this.#joined.clear();
    return { leases, joins };
  }
}
