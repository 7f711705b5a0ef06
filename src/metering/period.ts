// The windows that budgets turn by: half-open [start, end) in the policy's time zone. Temporal knows the
// zones; this file knows no budget and no clock.

import { EPOCH, FOREVER, HOUR, type Instant } from "./time.ts";

export const PERIODS = [
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "yearly",
  "infinite",
  "per_session",
  "per_task",
] as const;
export type PeriodKind = (typeof PERIODS)[number];

export interface Period {
  readonly start: Instant;
  /** Not part of the period. FOREVER where it never turns. */
  readonly end: Instant;
}

const EVER: Period = { start: EPOCH, end: FOREVER };
const NEVER: Period = { start: FOREVER, end: FOREVER };

/**
 * The period that `at` lies in. `resetDay` is 1 (Monday) to 7 for weekly, 1 to 28 for monthly, and ignored
 * otherwise; years begin on 1 January. Days begin at the first instant that shows their date, which is 01:00
 * where the clock skips midnight. `hourly` is the hour that the wall clock shows: it ends at the next full
 * hour or when the clock is set, whichever comes first. So an hour that is shown twice is two periods, a
 * skipped one is none, and a half-hour step (Lord Howe) leaves one of 30 minutes; with an offset of :30 or
 * :45 it begins at that minute of the UTC hour. Every boundary since 2023 is a UTC quarter-hour: the last
 * clock to be set at 00:01 was Antarctica/Casey's in 2022. An unknown zone or an impossible day throws
 * RangeError.
 */
export function periodOf(kind: PeriodKind, zone: string, resetDay: number, at: Instant): Period {
  if (kind === "infinite" || kind === "per_session" || kind === "per_task") return EVER;
  const recent = recentOf(zone);
  const slot = SLOT[kind] + (kind === "weekly" || kind === "monthly" ? resetDay : 0);
  const known = recent.get(slot);
  if (known !== undefined) {
    if (contains(known.newest, at)) return known.newest;
    if (contains(known.before, at)) return known.before;
  }
  const period = kind === "hourly" ? hourOf(zone, at) : daysOf(kind, zone, resetDay, at);
  recent.set(slot, { newest: period, before: known?.newest ?? period });
  return period;
}

/** The period that begins where `period` ends; an empty one at FOREVER where it never turns. */
export function nextPeriod(kind: PeriodKind, zone: string, resetDay: number, period: Period): Period {
  return period.end >= FOREVER ? NEVER : periodOf(kind, zone, resetDay, period.end);
}

export function contains(period: Period, at: Instant): boolean {
  return at >= period.start && at < period.end;
}

/**
 * From the first instant of one ISO date to the last of another. Throws RangeError when they are no dates,
 * or reversed.
 */
export function dayRange(zone: string, from: string, until: string): Period {
  const first = Temporal.PlainDate.from(from);
  const last = Temporal.PlainDate.from(until);
  if (Temporal.PlainDate.compare(first, last) > 0) {
    throw new RangeError(`a range of days cannot end (${until}) before it begins (${from})`);
  }
  return { start: startOf(first, zone), end: startOf(last.add({ days: 1 }), zone) };
}

/** How many days a period has in its zone, and how many of them have begun at `at`, which lies in it. */
export function daysBegun(period: Period, zone: string, at: Instant): { begun: number; all: number } {
  const [first, today, after] = [period.start, at, period.end].map((each) =>
    localAt(each, zone).toPlainDate(),
  );
  if (first === undefined || today === undefined || after === undefined) throw new RangeError("no period");
  return { begun: first.until(today).days + 1, all: first.until(after).days };
}

/** Whether `name` is an IANA time zone. Bare offsets are not: they may lie beside the UTC quarter-hours. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z][\w+/-]*$/.test(name)) return false;
  try {
    return localAt(EPOCH, name).timeZoneId !== "";
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** "2026-11-23 00:00 Europe/Berlin"; seconds are cut off. */
export function formatLocal(at: Instant, zone: string): string {
  const wall = localAt(at, zone).toPlainDateTime().toString({ smallestUnit: "minute" });
  return `${wall.replace("T", " ")} ${zone}`;
}

type DatedKind = "daily" | "weekly" | "monthly" | "yearly";

function daysOf(kind: DatedKind, zone: string, resetDay: number, at: Instant): Period {
  let first = firstDay(kind, resetDay, localAt(at, zone).toPlainDate());
  for (;;) {
    const following = first.add(STEP[kind]);
    const end = startOf(following, zone);
    if (at < end) return { start: startOf(first, zone), end };
    // A clock that was set back past midnight shows yesterday's date again, but that day is over.
    first = following;
  }
}

function firstDay(kind: DatedKind, resetDay: number, date: Temporal.PlainDate): Temporal.PlainDate {
  switch (kind) {
    case "daily":
      return date;
    case "weekly":
      requireDay(resetDay, 7);
      return date.subtract({ days: (date.dayOfWeek - resetDay + 7) % 7 });
    case "monthly": {
      requireDay(resetDay, 28);
      const turn = date.with({ day: resetDay });
      return date.day < resetDay ? turn.subtract({ months: 1 }) : turn;
    }
    case "yearly":
      return date.with({ month: 1, day: 1 });
  }
}

const STEP = {
  daily: { days: 1 },
  weekly: { days: 7 },
  monthly: { months: 1 },
  yearly: { years: 1 },
} satisfies Record<DatedKind, Temporal.DurationLike>;

function requireDay(resetDay: number, last: number): void {
  if (Number.isInteger(resetDay) && resetDay >= 1 && resetDay <= last) return;
  throw new RangeError(`a reset day must be a whole number from 1 to ${last}, not ${resetDay}`);
}

function hourOf(zone: string, at: Instant): Period {
  const offset = localAt(at, zone).offsetNanoseconds / 1000;
  let start = (at - ((((at + offset) % HOUR) + HOUR) % HOUR)) as Instant;
  const full = (start + HOUR) as Instant;
  for (;;) {
    const change = clockChangeAfter(start, zone);
    if (change > at) return { start, end: change < full ? change : full };
    start = change;
  }
}

/** When the zone's clock is next set; FOREVER when that is not known to happen. */
function clockChangeAfter(at: Instant, zone: string): Instant {
  const change = localAt(at, zone).getTimeZoneTransition("next");
  return change === null ? FOREVER : ((change.epochMilliseconds * 1000) as Instant);
}

function startOf(date: Temporal.PlainDate, zone: string): Instant {
  return (date.toZonedDateTime(zone).epochMilliseconds * 1000) as Instant;
}

function localAt(at: Instant, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(Math.floor(at / 1000)).toZonedDateTimeISO(zone);
}

// Temporal takes about 10 µs and a request asks for every covering budget, so the last two windows of each
// (zone, kind, reset day) are kept: two, because a hold at a turn asks for both of its sides in alternation.
// A policy has one zone; the bound only keeps a caller with many from growing this without end.
const MOST_ZONES = 64;
const SLOT = { hourly: 0, daily: 1_000, weekly: 2_000, monthly: 3_000, yearly: 4_000 };

interface Recent {
  readonly newest: Period;
  readonly before: Period;
}

const recentByZone = new Map<string, Map<number, Recent>>();

function recentOf(zone: string): Map<number, Recent> {
  const known = recentByZone.get(zone);
  if (known !== undefined) return known;
  if (recentByZone.size >= MOST_ZONES) recentByZone.clear();
  const empty = new Map<number, Recent>();
  recentByZone.set(zone, empty);
  return empty;
}
