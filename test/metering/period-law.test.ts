// Properties of periods over many zones: they contain, they touch, they turn on UTC quarter-hours, and the
// memo never shows.

import test from "ava";
import fc from "fast-check";
import { contains, nextPeriod, periodOf } from "../../src/metering/period.ts";
import { HOUR, type Instant, instantUs, later, QUARTER_HOUR } from "../../src/metering/time.ts";

const RUNS = { seed: 20261123, numRuns: 500 };

const TURNING = ["hourly", "daily", "weekly", "monthly", "yearly"] as const;

/**
 * Every manner of clock: whole, half and quarter offsets, both hemispheres, changes at midnight, half-hour
 * steps.
 */
const ZONES = [
  "UTC",
  "Europe/Berlin",
  "Europe/London",
  "America/New_York",
  "America/Los_Angeles",
  "America/St_Johns",
  "America/Havana",
  "America/Santiago",
  "America/Nuuk",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Asia/Beirut",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Australia/Lord_Howe",
  "Australia/Eucla",
  "Australia/Adelaide",
  "Pacific/Chatham",
  "Pacific/Apia",
  "Pacific/Kiritimati",
  "Antarctica/Casey",
  "Antarctica/Troll",
] as const;

function utc(iso: string): Instant {
  return instantUs(Date.parse(iso) * 1000);
}

const turning = fc.constantFrom(...TURNING);
const zones = fc.constantFrom(...ZONES);
const days = fc.integer({ min: 1, max: 7 });
const FIRST = utc("2023-01-01T00:00Z");
const LAST = utc("2101-01-01T00:00Z");

interface Place {
  readonly zone: string;
  readonly at: Instant;
}

// Most places lie within an hour and a half of a turn or of a clock change, where mistakes live.
const places: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ zone: zones, at: fc.integer({ min: FIRST, max: LAST }).map(instantUs) }),
  near(({ zone, at }) => periodOf("daily", zone, 1, at).end),
  near(({ zone, at }) => periodOf("monthly", zone, 1, at).end),
  near(({ zone, at }) => {
    const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(at / 1000)).toZonedDateTimeISO(zone);
    const change = local.getTimeZoneTransition("next");
    return change === null ? at : instantUs(change.epochMilliseconds * 1000);
  }),
);

function near(turn: (place: Place) => Instant): fc.Arbitrary<Place> {
  const somewhen = fc
    .integer({ min: utc("2024-01-01T00:00Z"), max: utc("2036-01-01T00:00Z") })
    .map(instantUs);
  return fc
    .tuple(zones, somewhen, fc.integer({ min: -6, max: 6 }), fc.constantFrom(-1, 0, 1))
    .map(([zone, at, quarters, beside]) => {
      return { zone, at: instantUs(turn({ zone, at }) + quarters * QUARTER_HOUR + beside) };
    });
}

test("a period contains its instant, meets its neighbours and turns on UTC quarter-hours", (t) => {
  const property = fc.property(turning, days, places, (kind, day, { zone, at }) => {
    const period = periodOf(kind, zone, day, at);
    const next = nextPeriod(kind, zone, day, period);
    const before = periodOf(kind, zone, day, instantUs(period.start - 1));
    return (
      contains(period, at) &&
      next.start === period.end &&
      before.end === period.start &&
      before.start < before.end &&
      next.start < next.end &&
      period.start % QUARTER_HOUR === 0 &&
      period.end % QUARTER_HOUR === 0
    );
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("every instant of a period has that same period, whatever was asked in between", (t) => {
  const shares = fc.double({ min: 0, max: 1, noNaN: true });
  const property = fc.property(turning, days, places, shares, (kind, day, { zone, at }, share) => {
    const period = periodOf(kind, zone, day, at);
    const inside = instantUs(period.start + share * (period.end - period.start - 1));
    periodOf(kind, zone, day, period.end);
    periodOf(kind, zone, day, later(period.end, HOUR));
    return [inside, instantUs(period.end - 1)].every((one) => {
      const same = periodOf(kind, zone, day, one);
      return same.start === period.start && same.end === period.end;
    });
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("the hours of any day make up that day", (t) => {
  const property = fc.property(places, ({ zone, at }) => {
    const day = periodOf("daily", zone, 1, at);
    let reached = day.start;
    while (reached < day.end) reached = periodOf("hourly", zone, 1, reached).end;
    return reached === day.end;
  });
  t.notThrows(() => fc.assert(property, { ...RUNS, numRuns: 100 }));
});
