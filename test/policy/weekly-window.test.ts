// Windows of the week against a naive clock: minute by minute, what the wall shows, over every change of it.

import test from "ava";
import { type Instant, MINUTE } from "../../src/metering/time.ts";
import type { WeeklyWindow } from "../../src/policy/container.ts";
import { isOpen, nextTurn } from "../../src/policy/weekly-window.ts";
import { seeded } from "../sim/random.ts";

const at = (text: string) => (Temporal.Instant.from(text).epochMilliseconds * 1000) as Instant;
const shown = (instant: Instant, zone: string) =>
  Temporal.Instant.fromEpochMilliseconds(instant / 1000).toZonedDateTimeISO(zone);

const WORK: WeeklyWindow = { firstDay: 1, lastDay: 5, opens: 9 * 60, closes: 18 * 60 };

test("it opens with its first minute and closes with its last, on its days only", (t) => {
  const zone = "Europe/Berlin";
  const open = (text: string) => isOpen(WORK, zone, at(text));
  t.false(open("2026-11-23T07:59:59.999Z"));
  t.true(open("2026-11-23T08:00:00Z"));
  t.true(open("2026-11-27T16:59:59.999Z"));
  t.false(open("2026-11-27T17:00:00Z"));
  t.false(open("2026-11-28T12:00:00Z"), "Saturday");
  t.is(nextTurn(WORK, zone, at("2026-11-27T17:00:00Z")), at("2026-11-30T08:00:00Z"), "over the weekend");
});

test("days may run over the week's end, and a window may have no end at all", (t) => {
  const weekend: WeeklyWindow = { firstDay: 6, lastDay: 1, opens: 0, closes: 24 * 60 };
  t.true(isOpen(weekend, "UTC", at("2026-11-30T23:59:00Z")), "Monday");
  t.false(isOpen(weekend, "UTC", at("2026-12-01T00:00:00Z")));
  t.is(nextTurn(weekend, "UTC", at("2026-11-28T12:00:00Z")), at("2026-12-01T00:00:00Z"), "one stretch");
  const always: WeeklyWindow = { firstDay: 1, lastDay: 7, opens: 0, closes: 24 * 60 };
  t.is(nextTurn(always, "UTC", at("2026-11-28T12:00:00Z")), Number.MAX_SAFE_INTEGER as Instant);
});

test("a minute that the clock skips comes with the end of the skip, one that is shown twice the first time", (t) => {
  const night: WeeklyWindow = { firstDay: 7, lastDay: 7, opens: 2 * 60 + 30, closes: 4 * 60 };
  t.is(
    nextTurn(night, "Europe/Berlin", at("2027-03-28T00:00:00Z")),
    at("2027-03-28T01:00:00Z"),
    "02:30 is not",
  );
  t.is(
    nextTurn(night, "Europe/Berlin", at("2026-10-25T00:00:00Z")),
    at("2026-10-25T00:30:00Z"),
    "the first 02:30",
  );
  t.true(isOpen(night, "Europe/Berlin", at("2026-10-25T01:10:00Z")), "the second 02:10 lies in it");
});

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Africa/Cairo",
  "Asia/Kathmandu",
];

for (let seed = 1; seed <= 40; seed += 1) {
  test(`over two days it is open just while the wall is in it, and turns just there, seed ${seed}`, (t) => {
    const random = seeded(seed);
    const zone = random.pick(ZONES);
    const opens = random.whole(0, 24 * 60 - 1);
    const window: WeeklyWindow = {
      ...{ firstDay: random.whole(1, 7), lastDay: random.whole(1, 7), opens },
      closes: random.whole(opens + 1, 24 * 60),
    };
    // Half of them over a change of the clock.
    const days = [
      "2026-10-24",
      "2027-03-27",
      "2026-10-31",
      "2027-03-13",
      "2027-04-03",
      "2026-04-23",
      "2026-07-10",
    ];
    const start = at(`${random.pick(days)}T${String(random.whole(0, 23)).padStart(2, "0")}:00:00Z`);
    let turn = nextTurn(window, zone, (start - 1) as Instant);
    for (let minute = 0; minute < 2 * 24 * 60; minute += 1) {
      const now = (start + minute * MINUTE) as Instant;
      const found = isOpen(window, zone, now);
      if (now > start) {
        const before = isOpen(window, zone, (now - MINUTE) as Instant);
        t.is(found !== before, turn === now, `${shown(now, zone)} ${JSON.stringify(window)}`);
      }
      if (turn <= now) turn = nextTurn(window, zone, now);
      if (minute % 10 === 0 && isPlain(now, zone))
        t.is(found, naive(window, zone, now), `${shown(now, zone)}`);
    }
  });
}

/** The clock is not set on that day. */
function isPlain(now: Instant, zone: string): boolean {
  return shown(now, zone).hoursInDay === 24;
}

function naive({ firstDay, lastDay, opens, closes }: WeeklyWindow, zone: string, now: Instant): boolean {
  const { dayOfWeek, hour, minute } = shown(now, zone);
  const isDay =
    firstDay <= lastDay
      ? dayOfWeek >= firstDay && dayOfWeek <= lastDay
      : dayOfWeek >= firstDay || dayOfWeek <= lastDay;
  const wall = hour * 60 + minute;
  return isDay && wall >= opens && wall < closes;
}
