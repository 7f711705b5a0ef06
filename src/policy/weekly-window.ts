// When a weekly window is open, in the policy's time zone, whatever its clocks do. Pure: Temporal knows the
// zones.
//
// A window opens and closes by the wall clock: a minute that the clock skips comes at the end of the skip,
// one that it shows twice the first time. It lies in one day: it closes after it opens, by 24:00.

import type { Instant } from "../metering/time.ts";
import type { WeeklyWindow } from "./container.ts";

export function isOpen(window: WeeklyWindow, zone: string, at: Instant): boolean {
  const turns = turnsOf(window, zone, dayOf(at, zone));
  return turns !== undefined && turns.opens <= at && at < turns.closes;
}

/** The first moment after `at` at which it opens or closes. */
export function nextTurn(window: WeeklyWindow, zone: string, at: Instant): Instant {
  const day = dayOf(at, zone);
  for (let ahead = 0; ahead <= DAYS_AHEAD; ahead += 1) {
    const turns = turnsOf(window, zone, day.add({ days: ahead }));
    if (turns === undefined) continue;
    for (const turn of [turns.opens, turns.closes]) {
      // Where one window ends as the next begins nothing turns.
      if (turn > at && isOpen(window, zone, turn) !== isOpen(window, zone, (turn - 1) as Instant))
        return turn;
    }
  }
  return NEVER;
}

/** It is always open, as "Mon-Sun 00:00-24:00" is. */
const NEVER = Number.MAX_SAFE_INTEGER as Instant;
const DAYS_AHEAD = 9;
const MINUTES_A_DAY = 24 * 60;

interface Turns {
  readonly opens: Instant;
  readonly closes: Instant;
}

/** Of the window that opens on that day; undefined where none does. */
function turnsOf(window: WeeklyWindow, zone: string, date: Temporal.PlainDate): Turns | undefined {
  const { firstDay, lastDay, opens, closes } = window;
  const isDay = (date.dayOfWeek - firstDay + 7) % 7 <= (lastDay - firstDay + 7) % 7;
  if (!isDay) return undefined;
  return { opens: instantAt(date, opens, zone), closes: instantAt(date, closes, zone) };
}

function instantAt(date: Temporal.PlainDate, minutes: number, zone: string): Instant {
  const day = date.add({ days: Math.floor(minutes / MINUTES_A_DAY) });
  const rest = minutes % MINUTES_A_DAY;
  const wall = day.toPlainDateTime({ hour: Math.floor(rest / 60), minute: rest % 60 });
  return (firstAt(wall, zone).epochMilliseconds * 1000) as Instant;
}

/** "compatible" moves a skipped minute by the skip; here it comes with the minute after the skip. */
function firstAt(wall: Temporal.PlainDateTime, zone: string): Temporal.ZonedDateTime {
  const found = wall.toZonedDateTime(zone, { disambiguation: "earlier" });
  if (found.toPlainDateTime().equals(wall)) return found;
  return found.getTimeZoneTransition("next") ?? found;
}

function dayOf(at: Instant, zone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(Math.floor(at / 1000))
    .toZonedDateTimeISO(zone)
    .toPlainDate();
}
