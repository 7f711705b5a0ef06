// The middle and the upper end of how long work takes, also where some of it was ended early.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { byTime, type Observed, quantile } from "../../src/metering/quantile.ts";
import { type DurationUs, seconds } from "../../src/metering/time.ts";

const RUNS = { seed: 20261128, numRuns: 500 };
const whole = (...times: number[]): Observed[] =>
  times.map((time) => ({ elapsed: seconds(time), isWhole: true }));
const ended = (...times: number[]): Observed[] =>
  times.map((time) => ({ elapsed: seconds(time), isWhole: false }));

function check(t: ExecutionContext, all: readonly Observed[], percent: number, expected: number): void {
  t.is(quantile([...all].sort(byTime), percent), seconds(expected));
}

test("the median is the middle one, of an even number the lower", (t) => {
  check(t, whole(5, 1, 3, 2, 4), 50, 3);
  check(t, whole(1, 2, 3, 4), 50, 2);
  check(t, whole(7), 50, 7);
});

test("one that took an hour moves neither the median nor, among twenty, the upper end", (t) => {
  const plain = Array.from({ length: 20 }, () => 10);
  check(t, whole(...plain, 3600), 50, 10);
  check(t, whole(...plain, 3600), 90, 10);
  check(t, whole(1, 2, 3, 4, 3600), 90, 3600);
});

test("work that was ended early counts as longer than it ran", (t) => {
  check(t, [...whole(1, 2, 3), ...ended(2.5, 2.5)], 50, 3);
  check(t, [...whole(1, 2, 3), ...ended(0.5, 0.5)], 50, 2);
  check(t, [...whole(1), ...ended(9, 9, 9)], 50, 9);
});

const time = fc.integer({ min: 1, max: 100 }).map((us) => us as DurationUs);
const observed: fc.Arbitrary<Observed> = fc.record({ elapsed: time, isWhole: fc.boolean() });

test("without work that was ended it is the nearest rank", (t) => {
  const percents = fc.integer({ min: 1, max: 100 });
  const law = fc.property(fc.array(time, { minLength: 1, maxLength: 60 }), percents, (times, percent) => {
    const sorted = [...times].sort((a, b) => a - b);
    const all = sorted.map((elapsed) => ({ elapsed, isWhole: true }));
    const rank = Math.ceil((percent * times.length) / 100);
    t.is(quantile(all, percent), sorted[rank - 1] as DurationUs);
  });
  fc.assert(law, RUNS);
});

test("work that was ended can raise a quantile and never lowers it", (t) => {
  const all = fc.array(observed, { minLength: 1, maxLength: 40 });
  const law = fc.property(all, time, fc.constantFrom(50, 90), (before, elapsed, percent) => {
    const after = [...before, { elapsed, isWhole: false }].sort(byTime);
    t.true(quantile(after, percent) >= quantile([...before].sort(byTime), percent));
  });
  fc.assert(law, RUNS);
});
