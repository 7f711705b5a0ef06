// Values with a unit: how long, how big, how often, from when to when.

import { DAY, type DurationUs, HOUR, MINUTE, SECOND } from "../../metering/time.ts";
import type { CallRate, WeeklyWindow } from "../container.ts";
import { scalar, textOf } from "./scalar.ts";

const UNIT_US: Readonly<Record<string, number>> = { ms: 1000, s: SECOND, m: MINUTE, h: HOUR, d: DAY };
const LONGEST = (3660 * DAY) as DurationUs;
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;

/** A duration from `least` to `most`, or one of `words`. */
export function duration<W extends string = never>(
  least: "zero" | "positive" = "positive",
  words: readonly W[] = [],
  most: DurationUs = LONGEST,
) {
  const range = [least === "zero" ? [] : "above 0", most === LONGEST ? [] : `at most ${most / HOUR}h`].flat();
  const bounds = range.length === 0 ? "" : ` (${range.join(", ")})`;
  const orWords = words.length === 0 ? "" : `, or ${words.join(" or ")}`;
  return scalar<DurationUs | W>({
    what: "a duration",
    write: `a number and ms, s, m, h or d, such as 30s${bounds}${orWords}`,
    json: { type: "string", pattern: ["^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$", ...words].join("|") },
    read: (raw) => {
      const word = words.find((each) => each === raw);
      if (word !== undefined) return word;
      const [, digits, unit = ""] = DURATION.exec(textOf(raw) ?? "") ?? [];
      const us = Math.round(Number(digits) * (UNIT_US[unit] ?? Number.NaN));
      return us >= (least === "zero" ? 0 : 1) && us <= most ? (us as DurationUs) : undefined;
    },
  });
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Bytes, from 1 kB to 10 GB. */
export function size() {
  return scalar<number>({
    what: "a size",
    write: "a whole number and kB, MB, GB, KiB, MiB or GiB, such as 64MB (from 1kB to 10GB)",
    json: { type: "string", pattern: "^[0-9]+ ?(kB|MB|GB|KiB|MiB|GiB)$" },
    read: (raw) => {
      const [, digits, unit = ""] = /^(\d{1,7}) ?(kB|MB|GB|KiB|MiB|GiB)$/.exec(textOf(raw) ?? "") ?? [];
      const bytes = Number(digits) * (UNIT_BYTES[unit] ?? Number.NaN);
      return bytes >= 1e3 && bytes <= 1e10 ? bytes : undefined;
    },
  });
}

const PER: Readonly<Record<string, DurationUs>> = { s: SECOND, min: MINUTE, h: HOUR };

export function callRate() {
  return scalar<CallRate>({
    what: "a rate",
    write: "a whole number above 0 and /s, /min or /h, such as 40/min",
    json: { type: "string", pattern: "^[1-9][0-9]*/(s|min|h)$" },
    read: (raw) => {
      const [, digits, unit = ""] = /^([1-9]\d{0,6})\/(s|min|h)$/.exec(textOf(raw) ?? "") ?? [];
      const per = PER[unit];
      return per === undefined ? undefined : { calls: Number(digits), per };
    },
  });
}

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const WINDOW = /^([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$/;

export function weeklyWindow() {
  return scalar<WeeklyWindow>({
    what: "a weekly window",
    write: 'days and times of one day, the later one last, such as "Mon-Fri 09:00-18:00"',
    json: {
      type: "string",
      pattern: WINDOW.source,
      examples: ["Mon-Fri 09:00-18:00", "Sat-Sun 00:00-24:00"],
    },
    read: (raw) => {
      const [, first = "", last = first, h1, m1, h2, m2] = WINDOW.exec(textOf(raw) ?? "") ?? [];
      const opens = Number(h1) * 60 + Number(m1);
      const closes = Number(h2) * 60 + Number(m2);
      const days = { firstDay: DAYS.indexOf(first) + 1, lastDay: DAYS.indexOf(last) + 1 };
      const sound = days.firstDay > 0 && days.lastDay > 0 && opens < closes && closes <= 24 * 60;
      return sound ? { ...days, opens, closes } : undefined;
    },
  });
}
