// Instants and durations: whole microseconds, quarter-hours, and how an instant is shown.

import test from "ava";
import fc from "fast-check";
import {
  between,
  durationUs,
  EPOCH,
  earlier,
  earliest,
  FOREVER,
  formatInstant,
  instantUs,
  later,
  latest,
  milliseconds,
  QUARTER_HOUR,
  quarterHourOf,
  SECOND,
  seconds,
} from "../../src/metering/time.ts";

const RUNS = { seed: 20261125, numRuns: 500 };
const NOON = instantUs(Date.UTC(2026, 10, 22, 12) * 1000);

test("instants and durations are whole microseconds", (t) => {
  t.is(instantUs(1.9) as number, 1);
  t.is(durationUs(1.9) as number, 1);
  t.is(seconds(0.1) as number, 100_000);
  t.is(seconds(1.0000004) as number, SECOND);
  t.is(milliseconds(seconds(1.5)), 1500);
});

test("later and earlier are each other's inverse, and between measures what they move", (t) => {
  t.is(earlier(later(NOON, SECOND), SECOND), NOON);
  t.is(between(NOON, later(NOON, SECOND)), SECOND);
  t.is(between(later(NOON, SECOND), NOON) as number, -SECOND);
  t.is(latest(NOON, EPOCH), NOON);
  t.is(earliest(NOON, EPOCH), EPOCH);
});

test("an instant lies in its quarter-hour, and a quarter-hour begins in itself", (t) => {
  const property = fc.property(fc.integer({ min: 0, max: FOREVER }).map(instantUs), (at) => {
    const start = quarterHourOf(at);
    return (
      start <= at && at - start < QUARTER_HOUR && quarterHourOf(start) === start && start % QUARTER_HOUR === 0
    );
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("an instant is shown in UTC to the microsecond", (t) => {
  t.is(formatInstant(NOON), "2026-11-22T12:00:00.000000Z");
  t.is(formatInstant(later(NOON, durationUs(1))), "2026-11-22T12:00:00.000001Z");
  t.is(formatInstant(earlier(NOON, durationUs(1))), "2026-11-22T11:59:59.999999Z");
  t.is(formatInstant(EPOCH), "1970-01-01T00:00:00.000000Z");
});

test("what is shown is the instant, for every microsecond until the year 2255", (t) => {
  const property = fc.property(fc.integer({ min: 0, max: FOREVER }).map(instantUs), (at) => {
    const text = formatInstant(at);
    return Temporal.Instant.from(text).epochNanoseconds === BigInt(at) * 1000n;
  });
  t.notThrows(() => fc.assert(property, RUNS));
});
