import test, { type ExecutionContext } from "ava";
import { FAILURES, Health, type Turned } from "../../src/cloud/health.ts";
import { type DurationUs, SECOND } from "../../src/metering/time.ts";
import type { Sign } from "../../src/policy/slot.ts";
import { seeded } from "../sim/random.ts";

const WELL: Sign = { kind: "well" };
const MISSED: Sign = { kind: "ill", why: "connect ECONNREFUSED", missed: true };
const ANSWERED_503: Sign = { kind: "ill", why: "it answered 503", missed: false };
const DOWN = { kind: "down", why: "it answered 503" } as const;

const at = (seconds: number) => (seconds * SECOND) as DurationUs;

/** Chance in the middle: no jitter. */
function health(...signs: readonly Sign[]): Health {
  const made = new Health(() => 0.5);
  for (const sign of signs) made.end(made.begin(), sign, at(0));
  return made;
}

function ejected(sign = MISSED): Health {
  return health(...Array.from({ length: FAILURES }, () => sign));
}

/** How long it is left alone; undefined: it is not. */
function restOf(one: Health, now = at(0)): number | undefined {
  const hindrance = one.hindrance(now);
  return hindrance?.kind === "ejected" ? hindrance.again / SECOND : undefined;
}

function fail(one: Health, now: DurationUs, sign = MISSED): Turned | undefined {
  return one.end(one.begin(), sign, now);
}

test("three failures in a row eject, two do not, and one that goes well between them begins the count anew", (t) => {
  t.is(restOf(health(MISSED, MISSED)), undefined);
  t.is(restOf(health(MISSED, MISSED, MISSED)), 5);
  t.is(restOf(health(MISSED, MISSED, WELL, MISSED, MISSED)), undefined);
});

for (const kind of ["unclear", "unused"] as const) {
  test(`what is ${kind} neither counts nor begins the count anew`, (t) => {
    t.is(restOf(health(MISSED, { kind }, MISSED)), undefined);
    t.is(restOf(health(MISSED, { kind }, MISSED, { kind }, MISSED)), 5);
  });
}

test("the ejection is told once, with its cause", (t) => {
  const one = health(MISSED, MISSED);
  t.deepEqual(fail(one, at(0), ANSWERED_503), {
    kind: "ejected",
    failures: 3,
    why: "it answered 503",
    time: at(5),
  });
  t.is(fail(one, at(6)), undefined, "a trial that failed is no news");
});

test("after its time exactly one request tries it, and that one decides", (t) => {
  const one = ejected();
  t.is(one.hindrance(at(4.9))?.kind, "ejected");
  t.is(one.hindrance(at(5)), undefined);
  const trial = one.begin();
  t.is(one.hindrance(at(5))?.kind, "trial");
  t.throws(() => one.begin(), { message: /second request/ });
  t.deepEqual(one.end(trial, WELL, at(6)), { kind: "recovered", by: "request" });
  t.is(one.hindrance(at(6)), undefined);
});

test("each ejection is twice as long, to a minute, until a request goes well", (t) => {
  const one = ejected();
  const rests: (number | undefined)[] = [];
  for (let now = 100; now < 1000; now += 100) {
    fail(one, at(now));
    rests.push(restOf(one, at(now)));
  }
  t.deepEqual(rests, [10, 20, 40, 60, 60, 60, 60, 60, 60]);
  one.end(one.begin(), WELL, at(1000));
  for (let failures = 0; failures < FAILURES; failures += 1) fail(one, at(1001));
  t.is(restOf(one, at(1001)), 5);
});

test("a trial that says nothing leaves the next request to try", (t) => {
  const one = ejected();
  one.end(one.begin(), { kind: "unclear" }, at(6));
  t.is(one.hindrance(at(6)), undefined);
  t.not(one.begin(), undefined);
});

test("what was sent before the ejection changes nothing by failing, and ends it by succeeding", (t) => {
  const one = new Health(() => 0.5);
  const early = Array.from({ length: 6 }, () => one.begin());
  for (const trial of early.slice(0, 5)) one.end(trial, MISSED, at(0));
  t.is(restOf(one), 5, "failures that came late made it longer");
  const trial = one.begin();
  one.end(early[4], MISSED, at(7));
  t.is(one.hindrance(at(7))?.kind, "trial", "an early request ended a trial that is not its own");
  t.deepEqual(one.end(early[5], WELL, at(8)), { kind: "recovered", by: "request" });
  t.is(one.end(trial, MISSED, at(9)), undefined);
  t.is(one.hindrance(at(9)), undefined);
});

test("a probe ends the ejection of what could not be reached, at once", (t) => {
  const one = ejected(MISSED);
  t.deepEqual(one.probed({ kind: "up" }, at(1)), { kind: "recovered", by: "probe" });
  t.is(one.hindrance(at(1)), undefined);
});

test("a NIM that calls itself ready while it answers 503 is left alone for its time, unless a probe saw it down", (t) => {
  const one = ejected(ANSWERED_503);
  t.is(one.probed({ kind: "up" }, at(1)), undefined);
  t.is(restOf(one, at(1)), 4);
  t.deepEqual(ejected(ANSWERED_503).probed({ kind: "up" }, at(5)), { kind: "recovered", by: "probe" });
  one.probed(DOWN, at(2));
  t.deepEqual(one.probed({ kind: "up" }, at(3)), { kind: "recovered", by: "probe" });
});

test("while a request is on trial it decides, not a probe that cannot know better", (t) => {
  const one = ejected(ANSWERED_503);
  const trial = one.begin();
  t.is(one.probed({ kind: "up" }, at(6)), undefined);
  one.end(trial, ANSWERED_503, at(7));
  t.is(restOf(one, at(7)), 10);
});

test("what was ejected and then asked by nobody for five minutes is shown as not known", (t) => {
  const one = ejected();
  t.is(one.shown(at(304)), "ejected");
  t.is(one.shown(at(306)), "unknown");
  one.begin();
  t.is(one.shown(at(306)), "ejected");
});

test("a probe that found it up does not make the next ejection short again", (t) => {
  const one = ejected(MISSED);
  one.probed({ kind: "up" }, at(1));
  for (let failures = 0; failures < FAILURES; failures += 1) fail(one, at(2));
  t.is(restOf(one, at(2)), 10);
});

test("probes alone eject what is down, and a good one in between begins their count anew", (t) => {
  const one = health();
  one.probed(DOWN, at(0));
  one.probed(DOWN, at(1));
  one.probed({ kind: "up" }, at(2));
  one.probed(DOWN, at(3));
  one.probed(DOWN, at(4));
  t.is(restOf(one, at(4)), undefined);
  t.like(one.probed(DOWN, at(5)), { kind: "ejected", why: "it answered 503" });
});

test("a good probe does not pardon what requests met", (t) => {
  const one = health(ANSWERED_503, ANSWERED_503);
  one.probed({ kind: "up" }, at(0));
  t.like(fail(one, at(0), ANSWERED_503), { kind: "ejected" });
});

test("a bad probe spares requests the trial once its time has come, and not while one runs", (t) => {
  const one = ejected();
  one.probed(DOWN, at(5));
  t.is(restOf(one, at(5)), 10);
  const trial = one.begin();
  one.probed(DOWN, at(20));
  t.deepEqual(one.end(trial, WELL, at(21)), { kind: "recovered", by: "request" });
});

test("the time is spread by a fifth up and down, the same for the same seed", (t) => {
  const rests = (seed: number) => {
    const random = seeded(seed);
    return Array.from({ length: 40 }, () => {
      const one = new Health(random.unit);
      for (let failures = 0; failures < FAILURES; failures += 1) fail(one, at(0));
      return restOf(one) ?? 0;
    });
  };
  spread(t, rests(7));
  t.deepEqual(rests(7), rests(7));
  t.notDeepEqual(rests(7), rests(8));
});

function spread(t: ExecutionContext, rests: readonly number[]) {
  t.true(Math.min(...rests) >= 4 && Math.min(...rests) < 4.4, String(rests));
  t.true(Math.max(...rests) <= 6 && Math.max(...rests) > 5.6, String(rests));
}
