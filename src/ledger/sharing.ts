// Who shares one machine's hourly price now, and which price that is (MONEY §2).
//
// Invariant: a machine costs no more than the policy says, and no more than anyone who shares it holds at.
// So a fall counts at once, and a rise once everybody who runs there has been asked the higher price
// (raising.ts) or has ended: one slice after it was said.

import type { Attribution, Lease, Part } from "../metering/lease.ts";
import type { HourlyRate } from "../metering/money.ts";
import { type HourPrice, isFree } from "../metering/price.ts";
import type { Instant } from "../metering/time.ts";
import type { OpenHold } from "./held.ts";

/** What the policy or the fleet says that a machine costs, and since when. */
export interface SaidPrice {
  readonly price: HourPrice;
  readonly since: Instant;
}

/** Said again, a price changes nothing: providers are polled. */
export function saidAt(price: HourPrice, at: Instant, before: SaidPrice | undefined): SaidPrice {
  return before?.price.rate === price.rate ? { price, since: before.since } : { price, since: at };
}

export class Sharing {
  readonly lease: Lease;
  readonly holds = new Set<OpenHold>();
  /** They have left and are not settled. */
  readonly leaving = new Set<OpenHold>();
  /** What capped requests used beyond their holds while nobody knew whose machine it was. */
  readonly unheld: Part[] = [];
  #rate: HourlyRate;
  #idle: HourlyRate;
  /** Undefined while it is as they were held at. */
  #said: SaidPrice | undefined;

  constructor(lease: Lease, rate: HourlyRate, idle: HourlyRate, said?: SaidPrice) {
    this.lease = lease;
    this.#rate = rate;
    this.#idle = idle;
    this.#said = said;
  }

  join(hold: OpenHold, at: Instant): void {
    this.holds.add(hold);
    this.reprice(at);
    hold.join = this.lease.join(at);
    if (this.lease.attribution === "exclusive") hold.isExclusive = true;
  }

  /** Whether they share the price from now on, or each pays all of it: which is what each holds. */
  attribute(attribution: Attribution, at: Instant): void {
    this.lease.attribute(at, attribution);
    for (const hold of this.holds) hold.isExclusive ||= attribution === "exclusive";
  }

  /** What the request pays, in parts. */
  leave(hold: OpenHold, at: Instant): readonly Part[] {
    if (hold.join === undefined) return [];
    const parts = this.lease.leave(at, hold.join);
    this.holds.delete(hold);
    this.reprice(at);
    return parts;
  }

  /** `idle` undefined: as it was. */
  say(price: HourPrice, idle: HourlyRate | undefined, at: Instant): void {
    this.#said = saidAt(price, at, this.#said);
    this.reprice(at, idle);
  }

  /** What one that shares it is still to be asked; undefined where it holds at no less. */
  risen(hold: OpenHold): SaidPrice | undefined {
    const rate = timedRate(hold);
    if (this.#said === undefined || rate === undefined || !this.holds.has(hold)) return undefined;
    return rate < this.#said.price.rate ? this.#said : undefined;
  }

  /** Somebody came, left or was asked a higher price. */
  reprice(at: Instant, idle = this.#idle): void {
    let lowest = this.#said?.price.rate;
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
export function timedRate({ price }: OpenHold): HourlyRate | undefined {
  return price.kind === "hour" && !isFree(price) ? price.rate : undefined;
}
