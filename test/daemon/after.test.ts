// The daemon's timers, for delays that setTimeout cannot hold.

import { mock } from "node:test";
import test from "ava";
import { after } from "../../src/daemon/data-plane.ts";
import { DAY, type DurationUs } from "../../src/metering/time.ts";

const DAY_MS = 86_400_000;

test.before(() => mock.timers.enable({ apis: ["setTimeout"] }));
test.after(() => mock.timers.reset());

/** Day by day: a timer that is set in a tick counts from that tick's end. */
function pass(days: number): void {
  for (let day = 0; day < days; day++) mock.timers.tick(DAY_MS);
}

/** A wait of that many days, and how often it has ended. */
function wait(days: number) {
  const seen = { calls: 0 };
  const forget = after((days * DAY) as DurationUs, () => {
    seen.calls++;
  });
  return { seen, forget };
}

test.serial("a wait of sixty days ends after sixty days, not at once", (t) => {
  const asked = mock.method(globalThis, "setTimeout");
  const { seen } = wait(60);
  pass(59);
  t.is(seen.calls, 0);
  pass(2);
  t.is(seen.calls, 1);
  for (const { arguments: given } of asked.mock.calls) t.true(Number(given[1]) < 2 ** 31);
  asked.mock.restore();
});

test.serial("a long wait that is forgotten never ends", (t) => {
  const { seen, forget } = wait(60);
  pass(30);
  forget();
  pass(60);
  t.is(seen.calls, 0);
});
