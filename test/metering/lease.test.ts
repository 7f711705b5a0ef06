// The sharing law: the worked example to the nano-dollar, then what each method promises.

import test, { type ExecutionContext } from "ava";
import { type Join, Lease, type Part } from "../../src/metering/lease.ts";
import { cost, hourlyRate, type NanoUsd } from "../../src/metering/money.ts";
import {
  DAY,
  type DurationUs,
  type Instant,
  instantUs,
  later,
  MINUTE,
  QUARTER_HOUR,
  SECOND,
  seconds,
} from "../../src/metering/time.ts";

const MIDNIGHT = instantUs(Date.UTC(2026, 10, 23) * 1000);
const P = hourlyRate(3_600_000_000n); // 1 s = 1 000 000 nano-dollars
const I = hourlyRate(1_800_000_000n);
const NO_MINIMUM = 0 as DurationUs;

/** `clock(-10)` is ten seconds before midnight. */
function clock(fromMidnight: number): Instant {
  return later(MIDNIGHT, seconds(fromMidnight));
}

function sum(parts: readonly Part[], kind?: Part["kind"]): bigint {
  return parts.filter((part) => kind === undefined || part.kind === kind).reduce((n, p) => n + p.amount, 0n);
}

/** Amounts by kind, before and from midnight. */
function byDay(parts: readonly Part[], kind: Part["kind"]): readonly [bigint, bigint] {
  const of = parts.filter((part) => part.kind === kind);
  return [sum(of.filter((part) => part.at < MIDNIGHT)), sum(of.filter((part) => part.at >= MIDNIGHT))];
}

test("the worked example comes out to the nano-dollar, day by day", (t) => {
  const lease = new Lease(clock(-10), P, I, "starting");
  const a = lease.join(clock(-10));
  lease.ready(clock(-8));
  const b = lease.join(clock(-4));
  const ofB = lease.leave(clock(2), b);
  const ofA = lease.leave(clock(4), a);
  const c = lease.join(clock(14));
  const ofC = lease.leave(clock(20), c);
  const container = lease.close(clock(25), MINUTE);

  t.deepEqual(byDay(ofA, "startup"), [2_000_000n, 0n]);
  t.deepEqual(byDay(ofA, "request"), [6_000_000n, 3_000_000n]);
  t.deepEqual(byDay(ofB, "request"), [2_000_000n, 1_000_000n]);
  t.deepEqual(byDay(ofC, "request"), [0n, 6_000_000n]);
  t.deepEqual(byDay(container, "idle"), [0n, 7_500_000n]);
  t.deepEqual(byDay(container, "minimum"), [0n, 25_000_000n]);
  const all = [...ofA, ...ofB, ...ofC, ...container];
  t.is(sum(all.filter((part) => part.at < MIDNIGHT)), 10_000_000n);
  t.is(sum(all), 52_500_000n);
  t.is(lease.total as bigint, 27_500_000n);
  t.is(lease.idleDiscount as bigint, 7_500_000n);
});

test("a request alone on the machine pays cost(price, elapsed), whatever the price and the time", (t) => {
  for (const [rate, elapsed] of [
    [1_006_000_000n, 1],
    [1_006_000_000n, 12_345_678],
    [40_000_000n, 1_000],
    [21_957_642_000n, 3_600_000_001],
  ] as const) {
    const price = hourlyRate(rate);
    const lease = new Lease(clock(-1), price, I, "ready");
    const join = lease.join(clock(-0.5));
    const until = later(clock(-0.5), elapsed as DurationUs);
    t.is(lease.accrued(until, join), cost(price, elapsed as DurationUs));
    t.is(sum(lease.leave(until, join)), cost(price, elapsed as DurationUs) as bigint);
  }
});

test("three requests share a price that does not divide, and the container takes the remainder", (t) => {
  const lease = new Lease(clock(0), hourlyRate(100n * 3_600_000_000n), I, "ready");
  const joins = [lease.join(clock(0)), lease.join(clock(0)), lease.join(clock(0))];
  const at = later(clock(0), 1 as DurationUs);
  const shares = joins.map((join) => sum(lease.leave(at, join)));
  t.deepEqual(shares, [33n, 33n, 33n]);
  t.is(sum(lease.close(at, NO_MINIMUM)), 1n);
});

test("a request's parts are cut at UTC quarter-hours and its time adds up", (t) => {
  const lease = new Lease(clock(-1000), P, I, "ready");
  const join = lease.join(clock(-901));
  const parts = lease.leave(clock(901), join);
  t.deepEqual(
    parts.map((part) => [part.at, part.elapsed / SECOND]),
    [
      [clock(-901), 1],
      [clock(-900), 900],
      [clock(0), 900],
      [clock(900), 1],
    ],
  );
  t.is(sum(parts), 1_802_000_000n);
});

test("a wait that turns into a run inside a quarter-hour is two parts, and the time adds up", (t) => {
  const lease = new Lease(clock(1), P, I, "starting");
  const join = lease.join(clock(2));
  lease.ready(clock(5));
  const parts = lease.leave(clock(6), join);
  t.deepEqual(
    parts.map((part) => [part.kind, part.elapsed / SECOND, part.amount as bigint]),
    [
      ["startup", 3, 3_000_000n],
      ["request", 1, 1_000_000n],
    ],
  );
  t.is(sum(lease.postIdle(clock(6)), "startup"), 1_000_000n);
});

test("start-up that nobody waits for costs the machine's price and is the container's", (t) => {
  const lease = new Lease(clock(0), P, I, "starting");
  t.is(lease.containerRate, P);
  lease.ready(clock(3));
  t.is(lease.containerRate, I);
  const parts = lease.postIdle(clock(5));
  t.is(sum(parts, "startup"), 3_000_000n);
  t.is(sum(parts, "idle"), 1_000_000n);
  t.is(lease.idleDiscount as bigint, 1_000_000n);
});

test("idle is posted once, cut at quarter-hours, and not at all while a request runs", (t) => {
  const lease = new Lease(clock(-10), P, I, "ready");
  t.is(sum(lease.postIdle(clock(-5))), 2_500_000n);
  t.is(sum(lease.postIdle(clock(-5))), 0n);
  const parts = lease.postIdle(clock(5));
  t.deepEqual(
    parts.map((part) => [part.at, part.amount as bigint]),
    [
      [clock(-5), 2_500_000n],
      [clock(0), 2_500_000n],
    ],
  );
  lease.join(clock(5));
  t.is(lease.containerRate as bigint, 0n);
  t.deepEqual(lease.postIdle(clock(50)), []);
});

test("an event that comes late counts as the last one's instant", (t) => {
  const lease = new Lease(clock(0), P, I, "ready");
  const join = lease.join(clock(10));
  lease.advance(clock(20));
  t.is(lease.join(clock(5)).start, clock(20));
  t.is(sum(lease.leave(clock(15), join)), 10_000_000n);
});

test("a gap costs the container's rate, is split like all else, and lasts until the new instant", (t) => {
  const lease = new Lease(clock(-20), P, I, "ready");
  lease.advance(clock(-10));
  const gap = lease.gap(clock(10));
  t.deepEqual(byDay(gap, "gap"), [5_000_000n, 5_000_000n]);
  const rest = lease.close(clock(20), NO_MINIMUM);
  t.deepEqual(byDay(rest, "idle"), [5_000_000n, 5_000_000n]);
  t.is(lease.total as bigint, 20_000_000n);
  t.is(lease.idleDiscount as bigint, 20_000_000n);
});

test("B52: the minimum is billed for a shorter life only, at the price of the end", (t) => {
  const life = (length: number) => {
    const lease = new Lease(clock(0), P, I, "ready");
    lease.reprice(clock(1), I, I);
    return sum(lease.close(clock(length), MINUTE), "minimum");
  };
  t.is(life(60), 0n);
  t.is(life(50), 5_000_000n);
});

test("quarter-hours are forgotten with the last request that passed them", (t) => {
  const lease = new Lease(clock(0), P, I, "ready");
  const long = lease.join(clock(1));
  const short = lease.join(later(clock(0), QUARTER_HOUR));
  lease.advance(later(clock(1), DAY));
  t.is(lease.state().marks.length, 96);
  lease.leave(later(clock(2), DAY), long);
  t.is(lease.state().marks.length, 95);
  lease.leave(later(clock(3), DAY), short);
  t.is(lease.state().marks.length, 0);
});

test("free idle time is remembered as one part, however long nobody asks for it", (t) => {
  const free = hourlyRate(0n);
  const lease = new Lease(clock(0), free, free, "ready");
  lease.advance(later(clock(0), DAY));
  t.is(lease.state().pending.length, 1);
  t.deepEqual(lease.postIdle(later(clock(1), DAY)), [
    { kind: "idle", at: clock(0), elapsed: (DAY + SECOND) as DurationUs, amount: 0n as NanoUsd },
  ]);
});

test("what only a bug does throws: a stranger leaves, an end with one running, life after the end", (t) => {
  const lease = new Lease(clock(0), P, I, "ready");
  const stranger: Join = { start: clock(0), V0: "0" };
  throwsError(t, () => lease.leave(clock(1), stranger), /no request that joined/);
  const join = lease.join(clock(1));
  throwsError(t, () => lease.close(clock(2), NO_MINIMUM), /while 1 requests/);
  throwsError(t, () => lease.gap(clock(2)), /while 1 requests/);
  lease.leave(clock(3), join);
  lease.close(clock(4), NO_MINIMUM);
  throwsError(t, () => lease.join(clock(5)), /closed/);
  throwsError(t, () => lease.close(clock(5), NO_MINIMUM), /closed/);
});

function throwsError(t: ExecutionContext, act: () => unknown, message: RegExp): void {
  t.throws(act, { instanceOf: Error, message });
}
