// Who shares one machine's hourly price now, and which price that is (MONEY §2).
//
// Invariant: a machine costs no more than the policy says, and no more than anyone who shares it has held
// at. So a fall counts at once, and a rise once nobody runs on who was asked the lower price.

import type { Lease, Part } from "../metering/lease.ts";
import type { HourlyRate } from "../metering/money.ts";
import { isFree } from "../metering/price.ts";
import type { Instant } from "../metering/time.ts";
import type { OpenHold } from "./held.ts";

export class Sharing {
  readonly lease: Lease;
  readonly holds = new Set<OpenHold>();
  /** They have left and are not settled. */
  readonly leaving = new Set<OpenHold>();
  /** What capped requests used beyond their holds while nobody knew whose machine it was. */
  readonly unheld: Part[] = [];
  #rate: HourlyRate;
  #idle: HourlyRate;
  /** What the policy or the fleet said last; undefined while it is as they were held at. */
  #said: HourlyRate | undefined;

  constructor(lease: Lease, rate: HourlyRate, idle: HourlyRate) {
    this.lease = lease;
    this.#rate = rate;
    this.#idle = idle;
  }

  join(hold: OpenHold, at: Instant): void {
    this.holds.add(hold);
    this.#reprice(at);
    hold.join = this.lease.join(at);
  }

  /** What the request pays, in parts. */
  leave(hold: OpenHold, at: Instant): readonly Part[] {
    if (hold.join === undefined) return [];
    const parts = this.lease.leave(at, hold.join);
    this.holds.delete(hold);
    this.#reprice(at);
    return parts;
  }

  /** Undefined: as it was. */
  say(price: HourlyRate, idle: HourlyRate | undefined, at: Instant): void {
    this.#said = price;
    this.#reprice(at, idle);
  }

  #reprice(at: Instant, idle = this.#idle): void {
    let lowest = this.#said;
    for (const hold of this.holds) {
      const rate = timedRate(hold);
      if (rate !== undefined && (lowest === undefined || rate < lowest)) lowest = rate;
    }
    lowest ??= this.#rate;
    if (lowest === this.#rate && idle === this.#idle) return;
    this.#rate = lowest;
    this.#idle = idle;
    this.lease.reprice(at, lowest, idle);
  }
}

/** Undefined where time costs nothing. */
export function timedRate({ row: { price } }: OpenHold): HourlyRate | undefined {
  return price.kind === "hour" && !isFree(price) ? price.rate : undefined;
}
