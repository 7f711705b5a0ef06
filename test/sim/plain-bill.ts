// What each second costs on machines without a container, counted apart (MONEY §2): requests that run there share
// the price, or each pays all of it; a fall counts at once, a rise once each of them was asked, which is within
// a slice. At the end every request was charged what it used, up to what it held.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { priceOf } from "../../src/ledger/held.ts";
import { sliceOf } from "../../src/metering/quote.ts";
import { type Instant, SECOND } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Attempt } from "../../src/proxy/exchange.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { RAW } from "./lease-model.ts";
import type { Stay } from "./upstreams.ts";

/** A share is counted in parts of a raw unit, as it need not divide. */
const PARTS = 1_000_000n;
/** A slow disk and a heartbeat besides. */
const GRACE = 45 * SECOND;

interface Guest {
  readonly held: Reservation;
  readonly used: Used;
  /** By the hour, as it was asked last. */
  asked: bigint;
  /** Since when it shares at less than its machine is said to cost, by the monotonic clock. */
  late: number | undefined;
}

/** What one request used of one upstream, whatever it was held for. */
interface Used {
  readonly request: string;
  readonly upstream: string;
  raw: bigint;
  /** It ended later than it held for, or a crash ended it: then it pays no more than this. */
  mayBeLess: boolean;
}

interface Place {
  at: number;
  readonly guests: Map<string, Guest>;
}

export class PlainBill {
  readonly #places = new Map<string, Place>();
  readonly #used = new Map<string, Used>();
  #said = new Map<string, bigint>();
  #isExclusive = false;

  /** A policy comes into force. */
  turned(policy: Policy, now: Instant): void {
    for (const place of this.#places.values()) this.#advance(place, now);
    this.#isExclusive = policy.attribution === "exclusive";
    for (const { machine, price } of policy.upstreams.values())
      if (price.kind === "hour") this.#said.set(machine, price.rate);
  }

  /** Where nothing is started or stopped. */
  enter({ held, upstream }: Attempt, now: () => Instant): Stay {
    return {
      serve: (call) => {
        held.begin();
        const { price } = held.quote.upstream;
        if (price.kind === "hour" && price.rate > 0n && !held.isLost)
          this.#join(held, upstream.id, price.rate, now());
        call();
      },
      broken: () => undefined,
      leave: () => {
        held.stop();
        this.#leave(held, now());
      },
    };
  }

  stalled(): void {
    for (const guest of this.#all()) guest.late = undefined;
  }

  /** After every event: who was asked another price, and whom nobody watched. */
  check(accounts: LocalAccounts, disk: FakeDisk, monotonic: number): void {
    const now = accounts.now();
    for (const [machine, place] of this.#places) {
      for (const guest of place.guests.values()) {
        if (guest.held.isLost) this.#leave(guest.held, guest.held.horizon);
        const row = disk.holds.get(guest.held.id);
        const price = row && priceOf(row);
        if (price?.kind === "hour" && price.rate !== guest.asked) {
          this.#advance(place, now);
          guest.asked = price.rate;
        }
        const isLate = guest.asked < (this.#said.get(machine) ?? 0n);
        guest.late = isLate ? (guest.late ?? monotonic) : undefined;
        if (guest.late !== undefined && monotonic - guest.late > sliceOf(guest.held.quote.time) + GRACE)
          throw new Error(`${guest.used.request} was never asked what ${machine} costs now`);
      }
    }
  }

  /** Whoever was open pays up to the last sign of life, which nobody here saw. */
  powerCut(disk: FakeDisk): void {
    this.#places.clear();
    const open = new Set([...disk.holds.values()].map(({ request }) => request));
    for (const used of this.#used.values()) {
      const isEnded = disk.endings.has(used.request) && !open.has(used.request);
      if (!isEnded) this.#used.delete(keyOf(used));
    }
  }

  checkEnd(disk: FakeDisk): void {
    for (const { request, upstream, raw, mayBeLess } of this.#used.values()) {
      const own = disk.entries.filter(
        (entry) =>
          entry.request === request &&
          entry.facts.upstream === upstream &&
          (entry.kind === "settled" || entry.kind === "startup"),
      );
      const charged = own.reduce((sum, { amount }) => sum + amount, 0n);
      const due = raw / PARTS / RAW;
      if (charged > due + 1n || (!mayBeLess && charged < due - 1n))
        throw new Error(`${request} was charged ${charged} for ${upstream}, and used ${due}`);
    }
  }

  #join(held: Reservation, upstream: string, asked: bigint, now: Instant): void {
    const { machine } = held.quote.upstream;
    const place = this.#places.get(machine) ?? { at: now, guests: new Map<string, Guest>() };
    this.#places.set(machine, place);
    this.#advance(place, now);
    const fresh = { request: held.task.id, upstream, raw: 0n, mayBeLess: false };
    const used = this.#used.get(keyOf(fresh)) ?? fresh;
    this.#used.set(keyOf(used), used);
    place.guests.set(held.id, { held, used, asked, late: undefined });
  }

  #leave(held: Reservation, now: Instant): void {
    const place = this.#places.get(held.quote.upstream.machine);
    const guest = place?.guests.get(held.id);
    if (place === undefined || guest === undefined) return;
    this.#advance(place, held.isLost ? held.horizon : now);
    place.guests.delete(held.id);
    // Of one that is lost, nobody says any more until when it was held.
    guest.used.mayBeLess ||= held.isLost === true || place.at > held.horizon;
  }

  #advance(place: Place, now: number): void {
    const elapsed = BigInt(Math.max(0, now - place.at));
    place.at = Math.max(place.at, now);
    const guests = [...place.guests.values()];
    const machine = guests[0]?.held.quote.upstream.machine ?? "";
    const prices = [...guests.map(({ asked }) => asked), this.#said.get(machine)];
    const rate = prices.reduce<bigint | undefined>(
      (least, one) => (one !== undefined && (least === undefined || one < least) ? one : least),
      undefined,
    );
    const by = this.#isExclusive ? 1n : BigInt(Math.max(1, guests.length));
    for (const { used } of guests) used.raw += ((rate ?? 0n) * elapsed * PARTS) / by;
  }

  #all(): readonly Guest[] {
    return [...this.#places.values()].flatMap(({ guests }) => [...guests.values()]);
  }
}

function keyOf({ request, upstream }: Pick<Used, "request" | "upstream">): string {
  return `${request} ${upstream}`;
}
