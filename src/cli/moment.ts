// Instants and durations as people read them. Money has no such file: amounts are shown as they came.

const DAY_MS = 86_400_000;

/** "2026-11-22 11:15:00 Europe/Berlin" */
export function moment(instant: string, timeZone: string): string {
  return inZone(instant, timeZone, "second");
}

/** "2026-11-23 00:00 Europe/Berlin": for the turns of periods, which know no seconds. */
export function turn(instant: string, timeZone: string): string {
  return inZone(instant, timeZone, "minute");
}

function inZone(instant: string, timeZone: string, smallestUnit: "second" | "minute"): string {
  const local = Temporal.Instant.from(instant).toZonedDateTimeISO(timeZone).toPlainDateTime();
  return `${local.toString({ smallestUnit, roundingMode: "floor" }).replace("T", " ")} ${timeZone}`;
}

/** Exact: "12.345678 s", "12 s". */
export function elapsed(microseconds: number): string {
  const fraction = String(microseconds % 1_000_000).padStart(6, "0");
  return `${Math.floor(microseconds / 1_000_000)}.${fraction}`.replace(/\.?0+$/, "").concat(" s");
}

/** Roughly, for people: "12 s", "5 min", "2 h 3 min". */
export function lasted(microseconds: number): string {
  const minutes = Math.floor(microseconds / 60_000_000);
  if (minutes === 0) return `${Math.floor(microseconds / 1_000_000)} s`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return hours === 0 ? `${rest} min` : `${hours} h ${rest} min`;
}

/** Whole days from a day ("2026-07-20", in UTC) to an instant. */
export function daysFrom(day: string, instant: string): number {
  return Math.floor((Date.parse(instant) - Date.parse(day)) / DAY_MS);
}
