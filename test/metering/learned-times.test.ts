// What is learned of how long requests take: by whom, from how many, and for how long it is remembered.

import test from "ava";
import { LearnedTimes, type Lesson } from "../../src/metering/learned-times.ts";
import { DAY, type DurationUs, type Instant, later, SECOND, seconds } from "../../src/metering/time.ts";

const TEN = (Date.UTC(2026, 10, 22, 10) * 1000) as Instant;

function lesson(over: Partial<Lesson> = {}): Lesson {
  return {
    ...{ model: "flux-dev", bucket: "p24", upstream: "flux-aws", tier: undefined, at: TEN },
    ...{ elapsed: seconds(10), isWhole: true, expected: undefined },
    ...over,
  };
}

/** Taught each time once. */
function taught(times: readonly number[], over: Partial<Lesson> = {}, known = new LearnedTimes()) {
  for (const time of times) known.learn(lesson({ ...over, elapsed: seconds(time) }));
  return known;
}

const at = (known: LearnedTimes, now = TEN, upstream = "flux-aws", tier?: string) =>
  known.like("flux-dev", "p24")?.learned(upstream, tier, now);

test("five requests are enough, four are not", (t) => {
  const known = taught([9, 10, 11, 12]);
  t.is(at(known), undefined);
  taught([30], {}, known);
  t.deepEqual(at(known), { median: seconds(11), upper: seconds(30), requests: 5, from: "upstream" });
});

test("what is seven days old has been forgotten, a moment before it had not", (t) => {
  const known = taught([10, 10, 10, 10, 10]);
  t.is(at(known, later(TEN, (7 * DAY - 1) as DurationUs))?.requests, 5);
  t.is(at(known, later(TEN, (7 * DAY) as DurationUs)), undefined);
});

test("old ones make room one by one, as the window moves on", (t) => {
  const known = taught([10, 10, 10, 10, 10]);
  taught([20, 20], { at: later(TEN, DAY) }, known);
  t.is(at(known, later(TEN, DAY))?.requests, 7);
  t.is(at(known, later(TEN, (7 * DAY) as DurationUs)), undefined);
  taught([20, 20, 20], { at: later(TEN, (7 * DAY) as DurationUs) }, known);
  t.is(at(known, later(TEN, (7 * DAY) as DurationUs))?.median, seconds(20));
});

test("the newest 48 are what counts", (t) => {
  const known = taught(Array.from({ length: 100 }, () => 100));
  taught(
    Array.from({ length: 48 }, () => 1),
    {},
    known,
  );
  t.like(at(known), { upper: seconds(1), requests: 48 });
});

test("models, buckets and upstreams are kept apart; a tier is known by all its upstreams", (t) => {
  const known = taught([10, 10, 10], { tier: "a10g" });
  taught([20, 20], { upstream: "flux-azure", tier: "a10g" }, known);
  t.is(known.like("sdxl", "p24"), undefined);
  t.is(known.like("flux-dev", "p25"), undefined);
  t.is(at(known), undefined);
  t.like(at(known, TEN, "flux-gcp", "a10g"), { median: seconds(10), requests: 5, from: "tier" });
  t.is(at(known, TEN, "flux-gcp", "a100"), undefined);
});

test("requests that were ended teach nothing alone, and raise what others have taught", (t) => {
  const known = taught([60, 60, 60, 60, 60, 60], { isWhole: false });
  t.is(at(known), undefined);
  t.is(known.like("flux-dev", "p24")?.atLeast("flux-aws", TEN), seconds(60));
  taught([10, 10, 10, 10, 10], {}, known);
  t.like(at(known), { median: seconds(60), requests: 5 });
});

test("a single one that was ended after an hour is no bound for others", (t) => {
  const known = taught([3600, 1, 1, 1, 1], { isWhole: false });
  t.is(known.like("flux-dev", "p24")?.atLeast("flux-aws", TEN), seconds(1));
  const few = taught([3600, 3600, 3600, 3600], { isWhole: false });
  t.is(few.like("flux-dev", "p24")?.atLeast("flux-aws", TEN), undefined);
});

test("the fastest is the shortest median that is known anywhere", (t) => {
  const known = taught([10, 10, 10, 10, 10]);
  taught([4, 4, 4, 4], { upstream: "flux-gcp" }, known);
  t.is(known.like("flux-dev", "p24")?.fastest(TEN), seconds(10));
  taught([4], { upstream: "flux-gcp" }, known);
  t.is(known.like("flux-dev", "p24")?.fastest(TEN), seconds(4));
});

test("the error is what was off over what it took, by model, each request once", (t) => {
  const known = taught([10], { tier: "a10g", expected: seconds(12) });
  taught([30], { expected: seconds(22), bucket: "p25" }, known);
  taught([7], { expected: undefined }, known);
  taught([1000], { expected: seconds(1), isWhole: false }, known);
  taught([1], { model: "sdxl", expected: seconds(1) }, known);
  t.deepEqual(
    [...known.errors(TEN)],
    [
      ["flux-dev", 0.25],
      ["sdxl", 0],
    ],
  );
  t.deepEqual([...known.errors(later(TEN, (7 * DAY) as DurationUs))], []);
});

test("buckets without end fill no memory: what was not taught for longest goes first", (t) => {
  const known = taught([10, 10, 10, 10, 10]);
  for (let each = 0; each < 3_999; each += 1) known.learn(lesson({ bucket: `t${each}` }));
  t.is(at(known)?.requests, 5);
  known.learn(lesson({ bucket: "one more", at: later(TEN, SECOND) }));
  t.is(known.like("flux-dev", "p24"), undefined);
  t.not(known.like("flux-dev", "t0"), undefined);
});
