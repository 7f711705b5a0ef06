// Windows in the policy's zone: both clock changes, zones that skip midnight or step by half an hour, month
// ends, leap days, the year 2100. Properties over many zones are in period-law.test.ts.

import test, { type ExecutionContext } from "ava";
import {
  dayRange,
  formatLocal,
  isZone,
  nextPeriod,
  type Period,
  type PeriodKind,
  periodOf,
} from "../../src/metering/period.ts";
import {
  EPOCH,
  FOREVER,
  formatInstant,
  HOUR,
  type Instant,
  instantUs,
  later,
  QUARTER_HOUR,
} from "../../src/metering/time.ts";

function utc(iso: string): Instant {
  return instantUs(Date.parse(iso) * 1000);
}

function hours(period: Period): number {
  return (period.end - period.start) / HOUR;
}

/** `expected` are the first and the last instant, as the zone's wall clock shows them. */
function check(
  t: ExecutionContext,
  given: { kind: PeriodKind; zone: string; day?: number; at: string },
  expected: readonly [string, string],
): void {
  const period = periodOf(given.kind, given.zone, given.day ?? 1, utc(given.at));
  const shown = [period.start, period.end].map((at) => formatLocal(at, given.zone).slice(0, 16));
  t.deepEqual(shown, [...expected], `${given.kind} ${given.zone} ${given.at}`);
}

test("a day has 23 or 25 hours where the clock changes", (t) => {
  t.is(hours(periodOf("daily", "Europe/Berlin", 1, utc("2026-03-29T12:00Z"))), 23);
  t.is(hours(periodOf("daily", "Europe/Berlin", 1, utc("2026-10-25T12:00Z"))), 25);
  t.is(hours(periodOf("daily", "America/New_York", 1, utc("2026-03-08T12:00Z"))), 23);
  t.is(hours(periodOf("daily", "Australia/Lord_Howe", 1, utc("2026-04-05T00:00Z"))), 24.5);
  t.is(hours(periodOf("daily", "Australia/Lord_Howe", 1, utc("2026-10-04T00:00Z"))), 23.5);
  t.is(hours(periodOf("weekly", "Europe/Berlin", 1, utc("2026-10-25T12:00Z"))), 7 * 24 + 1);
});

test("a day whose midnight is skipped begins when the clock first shows its date", (t) => {
  check(t, { kind: "daily", zone: "Africa/Cairo", at: "2026-04-24T10:00Z" }, [
    "2026-04-24 01:00",
    "2026-04-25 00:00",
  ]);
  check(t, { kind: "daily", zone: "Africa/Cairo", at: "2026-04-23T10:00Z" }, [
    "2026-04-23 00:00",
    "2026-04-24 01:00",
  ]);
  check(t, { kind: "daily", zone: "Asia/Beirut", at: "2026-03-29T10:00Z" }, [
    "2026-03-29 01:00",
    "2026-03-30 00:00",
  ]);
});

test("a day whose last hour is shown twice has both of them", (t) => {
  t.is(hours(periodOf("daily", "Asia/Beirut", 1, utc("2026-10-24T20:30Z"))), 25);
  t.is(hours(periodOf("daily", "Asia/Beirut", 1, utc("2026-10-24T21:30Z"))), 25);
});

test("a day is over for good, even where the clock is set back past midnight", (t) => {
  // Until 2011 St. John's went from 00:01 back to 23:01 of the day before, whose period had ended at 00:00.
  const again = periodOf("daily", "America/St_Johns", 1, utc("2010-11-07T03:00Z"));
  t.is(formatInstant(again.start), "2010-11-07T02:30:00.000000Z");
});

test("weeks begin on the reset day, months on theirs, years on 1 January", (t) => {
  const zone = "Europe/Berlin";
  check(t, { kind: "weekly", zone, day: 1, at: "2026-11-22T22:59Z" }, [
    "2026-11-16 00:00",
    "2026-11-23 00:00",
  ]);
  check(t, { kind: "weekly", zone, day: 1, at: "2026-11-22T23:00Z" }, [
    "2026-11-23 00:00",
    "2026-11-30 00:00",
  ]);
  check(t, { kind: "weekly", zone, day: 7, at: "2026-11-22T12:00Z" }, [
    "2026-11-22 00:00",
    "2026-11-29 00:00",
  ]);
  check(t, { kind: "monthly", zone, day: 1, at: "2026-11-22T12:00Z" }, [
    "2026-11-01 00:00",
    "2026-12-01 00:00",
  ]);
  check(t, { kind: "monthly", zone, day: 28, at: "2026-11-22T12:00Z" }, [
    "2026-10-28 00:00",
    "2026-11-28 00:00",
  ]);
  check(t, { kind: "monthly", zone, day: 15, at: "2026-01-03T12:00Z" }, [
    "2025-12-15 00:00",
    "2026-01-15 00:00",
  ]);
  check(t, { kind: "yearly", zone, day: 9, at: "2026-12-31T23:00Z" }, [
    "2027-01-01 00:00",
    "2028-01-01 00:00",
  ]);
});

test("29 February is a day, and 2100 has none", (t) => {
  check(t, { kind: "daily", zone: "UTC", at: "2028-02-29T23:59Z" }, ["2028-02-29 00:00", "2028-03-01 00:00"]);
  check(t, { kind: "daily", zone: "UTC", at: "2100-02-28T23:59Z" }, ["2100-02-28 00:00", "2100-03-01 00:00"]);
  check(t, { kind: "monthly", zone: "Asia/Kolkata", day: 28, at: "2100-03-01T00:00Z" }, [
    "2100-02-28 00:00",
    "2100-03-28 00:00",
  ]);
  t.is(hours(periodOf("yearly", "UTC", 1, utc("2028-06-01T00:00Z"))), 366 * 24);
  t.is(hours(periodOf("yearly", "UTC", 1, utc("2100-06-01T00:00Z"))), 365 * 24);
});

test("an hour is the one that the wall clock shows, until the clock is set", (t) => {
  check(t, { kind: "hourly", zone: "Asia/Kathmandu", at: "2026-11-22T10:00Z" }, [
    "2026-11-22 15:00",
    "2026-11-22 16:00",
  ]);
  const berlin = (at: string) => formatInstant(periodOf("hourly", "Europe/Berlin", 1, utc(at)).start);
  t.is(berlin("2026-10-25T00:30Z"), "2026-10-25T00:00:00.000000Z", "02:30 summer time");
  t.is(berlin("2026-10-25T01:30Z"), "2026-10-25T01:00:00.000000Z", "02:30 again is another hour");
  const halves = ["2026-10-03T15:10Z", "2026-10-03T15:40Z", "2026-10-03T16:10Z"].map((at) =>
    formatLocal(periodOf("hourly", "Australia/Lord_Howe", 1, utc(at)).start, "Australia/Lord_Howe").slice(
      11,
      16,
    ),
  );
  t.deepEqual(halves, ["01:00", "02:30", "03:00"], "02:00 to 02:30 is skipped there");
  t.is(hours(periodOf("hourly", "Australia/Lord_Howe", 1, utc("2026-10-03T15:40Z"))), 0.5);
});

test("infinite, per_session and per_task never turn", (t) => {
  for (const kind of ["infinite", "per_session", "per_task"] as const) {
    const period = periodOf(kind, "Europe/Berlin", 1, utc("2026-11-22T00:00Z"));
    t.deepEqual(period, { start: EPOCH, end: FOREVER });
    t.deepEqual(nextPeriod(kind, "Europe/Berlin", 1, period), { start: FOREVER, end: FOREVER });
  }
});

test("a range of days has its last day whole", (t) => {
  t.deepEqual(dayRange("Europe/Berlin", "2026-12-01", "2026-12-31"), {
    start: utc("2026-11-30T23:00Z"),
    end: utc("2026-12-31T23:00Z"),
  });
  t.is(hours(dayRange("Europe/Berlin", "2026-10-25", "2026-10-25")), 25);
  t.throws(() => dayRange("UTC", "2026-12-02", "2026-12-01"), { instanceOf: RangeError });
  t.throws(() => dayRange("UTC", "2026-02-30", "2026-12-01"), { instanceOf: RangeError });
});

test("a zone is an IANA name, not an offset and not a date that carries a zone", (t) => {
  const good = ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Ushuaia", "EST5EDT"];
  const bad = ["", "Europe/Atlantis", "+01:00", "+00:07", "2020-01-01T00:00[Europe/Berlin]", "local"];
  t.deepEqual(good.filter(isZone), good);
  t.deepEqual(bad.filter(isZone), []);
});

test("a local time is shown with its zone", (t) => {
  t.is(formatLocal(utc("2026-11-22T23:00:59Z"), "Europe/Berlin"), "2026-11-23 00:00 Europe/Berlin");
});

test("a reset day that no week or month has throws", (t) => {
  const at = utc("2026-11-22T00:00Z");
  for (const [kind, day] of [
    ["weekly", 0],
    ["weekly", 8],
    ["monthly", 29],
    ["monthly", 1.5],
  ] as const) {
    t.throws(() => periodOf(kind, "UTC", day, at), { instanceOf: RangeError }, `${kind} ${day}`);
  }
});

test("in every zone there is, days turn on UTC quarter-hours", (t) => {
  const wrong = Intl.supportedValuesOf("timeZone").filter((zone) =>
    ["2026-04-05T12:00Z", "2026-10-25T12:00Z"].some((at) => {
      const { start, end } = periodOf("daily", zone, 1, utc(at));
      return start % QUARTER_HOUR !== 0 || end % QUARTER_HOUR !== 0;
    }),
  );
  t.deepEqual(wrong, []);
});

test("asking again costs no look-up in the zone's rules", (t) => {
  const at = utc("2026-11-22T12:00Z");
  t.is(periodOf("daily", "Europe/Berlin", 1, at), periodOf("daily", "Europe/Berlin", 1, later(at, HOUR)));
  const next = periodOf("daily", "Europe/Berlin", 1, utc("2026-11-23T12:00Z"));
  t.is(
    periodOf("daily", "Europe/Berlin", 1, utc("2026-11-22T13:00Z")),
    periodOf("daily", "Europe/Berlin", 1, at),
  );
  t.is(periodOf("daily", "Europe/Berlin", 1, utc("2026-11-23T13:00Z")), next);
});
