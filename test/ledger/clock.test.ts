// Ledger time under a wall clock that somebody sets: never back, never a jump that nobody confirmed.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { LedgerClock } from "../../src/ledger/clock.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/metering/time.ts";
import { HandClock } from "../support/ledger.ts";
import { TEN } from "../support/policies.ts";

const RUNS = { seed: 20261122, numRuns: 300 };

function started(highWater = TEN) {
  const hand = new HandClock();
  return { hand, clock: new LedgerClock(hand, highWater) };
}

/** Heartbeats for that long, one a second, with nothing metered. */
function beat({ hand, clock }: ReturnType<typeof started>, time: number): void {
  for (let passed = 0; passed < time; passed += SECOND) {
    hand.pass(SECOND);
    clock.follow();
  }
}

function check(t: ExecutionContext, clock: LedgerClock, expected: number): void {
  t.is(clock.now() - TEN, expected);
}

test("time goes on from the high-water mark when the wall clock stands before it", (t) => {
  const { hand, clock } = started((TEN + HOUR) as typeof TEN);
  check(t, clock, HOUR);
  hand.pass(SECOND);
  check(t, clock, HOUR + SECOND);
});

test("a wall clock that is set back takes nothing back", (t) => {
  const given = started();
  given.hand.step(-DAY);
  check(t, given.clock, 0);
  given.hand.pass(3 * SECOND);
  check(t, given.clock, 3 * SECOND);
});

test("while nothing is metered, a clock that was set back is waited for, and then followed", (t) => {
  const given = started();
  given.hand.step(-10 * SECOND);
  for (let second = 0; second < 10; second += 1) beat(given, SECOND);
  check(t, given.clock, 0);
  beat(given, SECOND);
  check(t, given.clock, SECOND);
});

test("small drift is followed with the next heartbeat", (t) => {
  const given = started();
  given.hand.step(1500);
  check(t, given.clock, 0);
  beat(given, SECOND);
  check(t, given.clock, SECOND + 1500);
});

test("no step of the wall clock moves time between two heartbeats", (t) => {
  const { hand, clock } = started();
  hand.step(4 * MINUTE);
  hand.pass(SECOND);
  check(t, clock, SECOND);
});

test("a forward jump of more than five minutes is doubted, and time goes on without it", (t) => {
  const given = started();
  given.hand.step(5 * MINUTE + SECOND);
  beat(given, MINUTE);
  t.true(given.clock.doubts);
  check(t, given.clock, MINUTE);
});

test("exactly five minutes are believed", (t) => {
  const given = started();
  given.hand.step(5 * MINUTE);
  beat(given, SECOND);
  t.false(given.clock.doubts);
  check(t, given.clock, 5 * MINUTE + SECOND);
});

test("a jump that has stood for ten minutes is adopted", (t) => {
  const given = started();
  given.hand.step(DAY);
  beat(given, 10 * MINUTE);
  check(t, given.clock, 10 * MINUTE);
  beat(given, SECOND);
  t.false(given.clock.doubts);
  check(t, given.clock, DAY + 10 * MINUTE + SECOND);
});

test("a wall clock that comes back within the ten minutes was never believed", (t) => {
  const given = started();
  given.hand.step(DAY);
  beat(given, 9 * MINUTE);
  given.hand.step(-DAY);
  beat(given, MINUTE);
  t.false(given.clock.doubts);
  check(t, given.clock, 10 * MINUTE);
});

test("a clock that jumps again has not stood: the ten minutes begin anew", (t) => {
  const given = started();
  given.hand.step(HOUR);
  beat(given, 9 * MINUTE);
  given.hand.step(365 * DAY);
  beat(given, 2 * MINUTE);
  check(t, given.clock, 11 * MINUTE);
  beat(given, 9 * MINUTE);
  check(t, given.clock, HOUR + 365 * DAY + 20 * MINUTE);
});

test("an operator's word adopts a jump at once", (t) => {
  const given = started();
  given.hand.step(DAY);
  given.clock.now();
  given.clock.accept();
  check(t, given.clock, DAY);
});

test("accepting a clock that was set back changes nothing", (t) => {
  const { hand, clock } = started();
  hand.step(-DAY);
  clock.accept();
  check(t, clock, 0);
});

test("an operator's word that comes while something is metered waits for the next follow()", (t) => {
  const { hand, clock } = started();
  hand.step(DAY);
  clock.believe();
  check(t, clock, 0);
  t.like(clock.doubt, { isAccepted: true });
  hand.pass(SECOND);
  clock.follow();
  check(t, clock, DAY + SECOND);
  t.is(clock.doubt, undefined);
});

test("a clock that jumps again after the word was not what was accepted", (t) => {
  const given = started();
  given.hand.step(DAY);
  given.clock.believe();
  given.hand.step(DAY);
  beat(given, MINUTE);
  check(t, given.clock, MINUTE);
  t.like(given.clock.doubt, { isAccepted: false });
});

test("a doubt says how long it has stood, and how long it must", (t) => {
  const given = started();
  t.is(given.clock.doubt, undefined);
  given.hand.step(HOUR);
  given.clock.now();
  given.hand.pass(4 * MINUTE);
  given.clock.now();
  t.deepEqual(given.clock.doubt as unknown, { stood: 4 * MINUTE, left: 6 * MINUTE, isAccepted: false });
});

const events = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("pass" as const), by: fc.integer({ min: 0, max: 20 * MINUTE }) }),
    fc.record({ kind: fc.constant("step" as const), by: fc.integer({ min: -DAY, max: DAY }) }),
    fc.record({ kind: fc.constant("step" as const), by: fc.integer({ min: -MINUTE, max: MINUTE }) }),
    fc.record({ kind: fc.constantFrom("follow" as const, "now" as const), by: fc.constant(0) }),
  ),
  { maxLength: 60 },
);

test("whatever the wall does, time never goes back, and only follow() moves it by more than passed", (t) => {
  const law = fc.property(events, (script) => {
    const { hand, clock } = started();
    let doubtedSince: number | undefined;
    for (const { kind, by } of script) {
      const before = { now: clock.now(), monotonic: hand.monotonic() };
      if (kind === "pass") hand.pass(by);
      else if (kind === "step") hand.step(by);
      const ahead = hand.wall() - clock.now();
      if (ahead <= 5 * MINUTE) doubtedSince = undefined;
      else doubtedSince ??= hand.monotonic();
      if (kind === "follow") clock.follow();
      const moved = clock.now() - before.now;
      const passed = hand.monotonic() - before.monotonic;
      if (moved < passed) return false;
      if (kind !== "follow") {
        if (moved !== passed) return false;
      } else if (moved > 5 * MINUTE) {
        // Naive: it had stood ahead for ten minutes at the least.
        if (doubtedSince === undefined || hand.monotonic() - doubtedSince < 10 * MINUTE) return false;
        doubtedSince = undefined;
      }
    }
    return true;
  });
  t.notThrows(() => fc.assert(law, RUNS));
});
