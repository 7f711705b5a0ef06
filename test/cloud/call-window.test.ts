// A rate_limit against a recount that keeps every call, at whatever times the calls come.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { CallWindow } from "../../src/cloud/call-window.ts";
import { type DurationUs, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { CallRate } from "../../src/policy/container.ts";

const at = (seconds: number) => (seconds * SECOND) as DurationUs;
const rate = (calls: number, per: DurationUs = MINUTE): CallRate => ({ calls, per });

function windowOf(...takenAt: readonly number[]): CallWindow {
  const window = new CallWindow(MINUTE);
  for (const seconds of takenAt) window.take(at(seconds));
  return window;
}

function check(t: ExecutionContext, window: CallWindow, calls: number, now: number, expected: number) {
  t.is(window.waitFor(rate(calls), at(now)), at(expected));
}

test("as many calls as the rate allows leave at once, and one more waits until the first has left the window", (t) => {
  check(t, windowOf(0, 0), 3, 0, 0);
  // The first second leaves as a whole, 61 s after it began.
  check(t, windowOf(0, 0, 0), 3, 0, 61);
  check(t, windowOf(0, 0, 0), 3, 60, 1);
  check(t, windowOf(0, 0, 0), 3, 61, 0);
});

test("where the rate was lowered, as many must leave as there are too many", (t) => {
  check(t, windowOf(0, 10, 20, 30), 2, 30, 51);
  check(t, windowOf(0, 10, 20, 30), 4, 30, 31);
});

test("a call that never left is free again, at once and only once", (t) => {
  const window = windowOf(5);
  const slice = window.take(at(6));
  check(t, window, 2, 6, 60);
  window.giveBack(slice);
  check(t, window, 2, 6, 0);
  window.giveBack(slice);
  check(t, window, 1, 6, 60);
});

test("never more than the rate in any window, and never a whole slice too strict", (t) => {
  const steps = fc.array(fc.integer({ min: 0, max: 20_000_000 }), { minLength: 1, maxLength: 120 });
  const rates = fc.record({ calls: fc.integer({ min: 1, max: 20 }), per: fc.constantFrom(SECOND, MINUTE) });
  fc.assert(
    fc.property(steps, rates, (gaps, asked) => {
      const window = new CallWindow(asked.per);
      const taken: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const wait = window.waitFor(asked, now as DurationUs);
        const recent = (span: number) => taken.filter((one) => one > now - span).length;
        if (wait === 0) {
          window.take(now as DurationUs);
          taken.push(now);
          if (recent(asked.per) > asked.calls) return false;
        } else if (recent(asked.per * (1 + 1 / 60)) < asked.calls) return false;
        // What was promised is kept: then, one is free.
        if (wait > 0 && window.waitFor(asked, (now + wait) as DurationUs) !== 0) return false;
        if (wait > 0) now += wait;
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});
