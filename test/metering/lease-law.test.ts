// Random leases against a naive recount: money is conserved to the nano-dollar, a request's cost depends on
// the set of instants and not on the order of arrival, and a restart in the middle changes nothing.

import test from "ava";
import fc from "fast-check";
import { type Join, Lease, type LeaseState, type Part } from "../../src/metering/lease.ts";
import { cost, hourlyRate, US_PER_HOUR } from "../../src/metering/money.ts";
import {
  type DurationUs,
  type Instant,
  instantUs,
  later,
  QUARTER_HOUR,
  quarterHourOf,
} from "../../src/metering/time.ts";

const RUNS = { seed: 20261122, numRuns: 400 };
const START = instantUs(Date.UTC(2026, 9, 25, 0, 59, 58) * 1000 + 123_457);

type Event =
  | { readonly at: Instant; readonly kind: "join" | "leave"; readonly request: number }
  | { readonly at: Instant; readonly kind: "reprice"; readonly price: bigint; readonly idle: bigint }
  | { readonly at: Instant; readonly kind: "ready" };

interface Script {
  readonly price: bigint;
  readonly idle: bigint;
  readonly waited: boolean;
  readonly events: readonly Event[];
  readonly end: Instant;
}

// Few distinct instants, so that simultaneous events are common; odd microseconds, so that nothing divides.
const moment = fc
  .tuple(fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, 0, 1, 333_333))
  .map(([step, odd]) => later(START, (step * 61_000_003 + odd) as DurationUs));
const rate = fc.oneof(fc.constantFrom(0n, 1n, 7n), fc.bigInt({ min: 40_000_000n, max: 99_000_000_019n }));

const scripts: fc.Arbitrary<Script> = fc
  .record({
    price: rate,
    idle: rate,
    requests: fc.array(fc.tuple(moment, moment), { maxLength: 12 }),
    // At one instant only one price change has a defined meaning.
    reprices: fc.uniqueArray(fc.tuple(moment, rate, rate), { maxLength: 4, selector: ([at]) => at }),
    ready: fc.option(moment, { nil: undefined }),
  })
  .map(({ price, idle, requests, reprices, ready }) => {
    const events: Event[] = [];
    for (const [request, [a, b]] of requests.entries()) {
      const [from, until] = a < b ? [a, b] : [b, later(a, 1 as DurationUs)];
      events.push({ at: from, kind: "join", request }, { at: until, kind: "leave", request });
    }
    for (const [at, p, i] of reprices) events.push({ at, kind: "reprice", price: p, idle: i });
    if (ready !== undefined) events.push({ at: ready, kind: "ready" });
    events.sort((x, y) => x.at - y.at);
    const end = later(events.at(-1)?.at ?? START, QUARTER_HOUR);
    return { price, idle, waited: ready !== undefined, events, end };
  });

interface Played {
  readonly parts: readonly Part[];
  readonly requests: ReadonlyMap<number, readonly Part[]>;
  readonly lease: Lease;
}

/** Plays a script. `between` may look at or replace the lease before each event. */
function play(
  script: Script,
  between = (lease: Lease, _at: Instant, _posted: Part[]): Lease => lease,
): Played {
  const phase = script.waited ? "starting" : "ready";
  let lease = new Lease(START, hourlyRate(script.price), hourlyRate(script.idle), phase);
  const joins = new Map<number, Join>();
  const requests = new Map<number, readonly Part[]>();
  const container: Part[] = [];
  for (const event of script.events) {
    lease = between(lease, event.at, container);
    switch (event.kind) {
      case "join":
        joins.set(event.request, lease.join(event.at));
        break;
      case "leave": {
        const join = joins.get(event.request);
        if (join === undefined) throw new Error("the script lets a request leave that never joined");
        requests.set(event.request, lease.leave(event.at, join));
        break;
      }
      case "reprice":
        lease.reprice(event.at, hourlyRate(event.price), hourlyRate(event.idle));
        break;
      case "ready":
        lease.ready(event.at);
    }
  }
  container.push(...lease.close(script.end, 0 as DurationUs));
  return { parts: [...[...requests.values()].flat(), ...container], requests, lease };
}

interface Recount {
  /** Raw: the integral of the rate, and what each request's exact share comes to. */
  readonly integral: bigint;
  readonly shares: ReadonlyMap<number, bigint>;
}

/** Second by second in spirit: every stretch between two events on its own, no running sums. */
function recount(script: Script): Recount {
  const instants = [...new Set([START, ...script.events.map(({ at }) => at), script.end])].sort(
    (a, b) => a - b,
  );
  let { price, idle } = script;
  let starting = script.waited;
  let integral = 0n;
  const active = new Set<number>();
  const shares = new Map<number, bigint>();
  for (const [index, at] of instants.entries()) {
    for (const event of script.events.filter((one) => one.at === at)) {
      if (event.kind === "join") active.add(event.request);
      if (event.kind === "leave") active.delete(event.request);
      if (event.kind === "ready") starting = false;
      if (event.kind === "reprice") ({ price, idle } = event);
    }
    const elapsed = BigInt((instants[index + 1] ?? at) - at);
    const busy = active.size > 0;
    integral += (busy || starting ? price : idle) * elapsed;
    for (const one of active) {
      shares.set(one, (shares.get(one) ?? 0n) + (price * elapsed) / BigInt(active.size));
    }
  }
  return { integral, shares };
}

function total(parts: readonly Part[]): bigint {
  return parts.reduce((sum, part) => sum + part.amount, 0n);
}

test("all parts sum to the floor of the integral, whatever joins, leaves and changes", (t) => {
  const property = fc.property(scripts, (script) => {
    const { parts, lease } = play(script);
    const { integral } = recount(script);
    return total(parts) === integral / US_PER_HOUR && lease.total === integral / US_PER_HOUR;
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("not even a fraction of a nano-dollar is lost on the way", (t) => {
  const property = fc.property(scripts, (script) => {
    const { requests, lease } = play(script);
    const { total: integral, idle, startup } = lease.state();
    const paid = total([...requests.values()].flat()) * US_PER_HOUR;
    return BigInt(integral) === paid + BigInt(idle.raw) + BigInt(startup.raw);
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("a request pays the floor of its exact share, and its time adds up", (t) => {
  const property = fc.property(scripts, (script) => {
    const { requests } = play(script);
    const { shares } = recount(script);
    return [...requests].every(([request, parts]) => {
      const instants = script.events.filter((event) => "request" in event && event.request === request);
      const [from, until] = instants.map(({ at }) => at);
      const elapsed = parts.reduce((sum, part) => sum + part.elapsed, 0);
      return (
        total(parts) === (shares.get(request) ?? 0n) / US_PER_HOUR && elapsed === Number(until) - Number(from)
      );
    });
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("no part is negative, and none but free idle time leaves its quarter-hour", (t) => {
  const property = fc.property(scripts, (script) =>
    play(script).parts.every((part) => {
      const inside = part.at + part.elapsed <= quarterHourOf(part.at) + QUARTER_HOUR;
      return part.amount >= 0n && part.elapsed >= 0 && (inside || part.amount === 0n);
    }),
  );
  t.notThrows(() => fc.assert(property, RUNS));
});

test("simultaneous events may come in any order: everybody pays the same", (t) => {
  const property = fc.property(scripts, fc.infiniteStream(fc.nat()), (script, luck) => {
    const keys = script.events.map(() => luck.next().value ?? 0);
    const order = script.events.map((_, index) => index);
    order.sort((x, y) => timeOf(script, x) - timeOf(script, y) || Number(keys[x]) - Number(keys[y]));
    const shuffled = order.flatMap((index) => script.events[index] ?? []);
    const other = play({ ...script, events: swapTwins(shuffled) });
    const { requests, lease } = play(script);
    const amounts = (played: ReadonlyMap<number, readonly Part[]>) =>
      JSON.stringify([...played].sort(([x], [y]) => x - y).map(([id, parts]) => [id, parts.map(show)]));
    return amounts(requests) === amounts(other.requests) && lease.idleDiscount === other.lease.idleDiscount;
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

function timeOf(script: Script, index: number): number {
  return script.events[index]?.at ?? 0;
}

/** Of requests that join at the same instant, lets each leave with the other's join. */
function swapTwins(events: readonly Event[]): readonly Event[] {
  const joined = new Map<Instant, number[]>();
  for (const event of events) {
    if (event.kind === "join") joined.set(event.at, [...(joined.get(event.at) ?? []), event.request]);
  }
  const twin = new Map<number, number>();
  for (const same of joined.values()) {
    for (const [index, request] of same.entries()) twin.set(request, same.at(index - 1) ?? request);
  }
  // Joining under the twin's name gives the twin's join to this request when it leaves.
  return events.map((event) =>
    event.kind === "join" ? { ...event, request: twin.get(event.request) ?? event.request } : event,
  );
}

function show(part: Part): string {
  return `${part.kind} ${part.at} ${part.elapsed} ${part.amount}`;
}

test("a restart from JSON before every event, and heartbeats in between, change nothing", (t) => {
  const property = fc.property(scripts, (script) => {
    const plain = play(script);
    const restarted = play(script, (lease, at, posted) => {
      posted.push(...lease.postIdle(instantUs((lease.state().t + at) / 2)));
      const state: LeaseState = JSON.parse(JSON.stringify(lease.state()));
      return Lease.resume(state);
    });
    const requests = (played: Played) => JSON.stringify([...played.requests.values()].flat().map(show));
    return (
      requests(plain) === requests(restarted) &&
      total(plain.parts) === total(restarted.parts) &&
      ["V", "total", "discount"].every((key) => raw(plain.lease, key) === raw(restarted.lease, key))
    );
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

function raw(lease: Lease, key: string): unknown {
  return Object.entries(lease.state()).find(([name]) => name === key)?.[1];
}

test("gaps and a minimum conserve too", (t) => {
  const pieces = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 2_000_000_011 })), {
    maxLength: 8,
  });
  const property = fc.property(rate, rate, pieces, fc.boolean(), (price, idle, stretches, waited) => {
    const lease = new Lease(START, hourlyRate(price), hourlyRate(idle), waited ? "starting" : "ready");
    let at: Instant = START;
    const parts: Part[] = [];
    for (const [watched, elapsed] of stretches) {
      at = later(at, elapsed as DurationUs);
      if (watched) lease.advance(at);
      else parts.push(...lease.gap(at));
    }
    parts.push(...lease.close(at, QUARTER_HOUR));
    const missing = Math.max(0, QUARTER_HOUR - (at - START)) as DurationUs;
    const integral = (waited ? price : idle) * BigInt(at - START);
    return total(parts) === integral / US_PER_HOUR + cost(hourlyRate(price), missing);
  });
  t.notThrows(() => fc.assert(property, RUNS));
});
