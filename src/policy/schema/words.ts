// Words of the policy file: names, choices, switches, days, time zones.

import { z } from "zod";
import { ID, ID_TEXT } from "./collections.ts";
import { didYouMean } from "./near.ts";
import { scalar, TEXT_TYPE, textOf } from "./scalar.ts";

export function flag() {
  return scalar<boolean>({
    what: "a switch",
    write: "true or false",
    json: { type: "boolean" },
    read: (raw) => (typeof raw === "boolean" ? raw : undefined),
  });
}

/** One of `words`; `aliases` are other spellings of them. */
export function choice<W extends string>(words: readonly W[], aliases: Readonly<Record<string, W>> = {}) {
  const all = [...words, ...Object.keys(aliases)];
  return scalar<W>({
    what: "one of the allowed words",
    write: all.length > 1 ? `one of ${all.join(", ")}` : `${all[0]}`,
    json: { enum: all },
    read: (raw) => {
      const text = textOf(raw) ?? "";
      return (
        words.find((word) => word === text) ?? (Object.hasOwn(aliases, text) ? aliases[text] : undefined)
      );
    },
    suggest: (raw) => didYouMean(textOf(raw), all),
  });
}

/** The name of an upstream, model, machine or budget, where it is given or referred to. */
export function id() {
  return scalar<string>({
    what: "a name",
    write: ID_TEXT,
    json: { type: TEXT_TYPE, pattern: ID.source },
    read: (raw) => matching(raw, ID),
  });
}

/** Free text of 1 to `longest` characters on one line. */
export function text(longest = 256) {
  return scalar<string>({
    what: "a text",
    write: `1 to ${longest} visible characters on one line, without blanks around them`,
    json: { type: TEXT_TYPE, minLength: 1, maxLength: longest },
    read: (raw) => oneLine(raw, longest),
  });
}

/** One or several texts, such as the values of a budget's `when`. What is wrong is told of each item. */
export function texts(longest = 128) {
  const one = text(longest);
  const complaintAbout = (item: unknown) => one.safeParse(item).error?.issues[0]?.message;
  const schema = z.unknown().transform((raw, context): readonly string[] => {
    const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
    if (items.length === 0) {
      const message = "is an empty list: write at least one value, or remove the line";
      context.issues.push({ code: "custom", input: raw, message });
    }
    return items.flatMap((item, index) => {
      const message = complaintAbout(item);
      if (message === undefined) return [textOf(item) ?? ""];
      context.issues.push({ code: "custom", input: item, message, path: Array.isArray(raw) ? [index] : [] });
      return [];
    });
  });
  const item = { type: TEXT_TYPE, minLength: 1, maxLength: longest };
  return schema.meta({ anyOf: [item, { type: "array", minItems: 1, items: item }] });
}

/** Line ends, and what nobody sees: two names that look alike must be alike. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0]/u;

function oneLine(raw: unknown, longest: number): string | undefined {
  const value = textOf(raw);
  if (value === undefined || value === "" || value.length > longest || value.trim() !== value)
    return undefined;
  return UNSEEN.test(value) ? undefined : value;
}

function matching(raw: unknown, pattern: RegExp): string | undefined {
  const value = textOf(raw);
  return value !== undefined && pattern.test(value) ? value : undefined;
}

/** A calendar day. */
export function day() {
  return scalar<string>({
    what: "a day",
    write: "year-month-day, such as 2026-12-31",
    json: { type: "string", format: "date" },
    read: (raw) => {
      const value = matching(raw, /^\d{4}-\d\d-\d\d$/);
      return value !== undefined && isDay(value) ? value : undefined;
    },
  });
}

function isDay(value: string): boolean {
  const midnight = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(value);
}

/** An IANA time zone. Offsets such as +01:00 are refused: they have no summer time and surprise in March. */
export function timezone() {
  return scalar<string>({
    what: "a time zone that this machine knows",
    write: "an IANA name such as Europe/Berlin or UTC",
    json: { type: "string" },
    read: (raw) => {
      const name = matching(raw, /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/);
      return name !== undefined && isZone(name) ? name : undefined;
    },
    suggest: (raw) => didYouMean(textOf(raw), Intl.supportedValuesOf("timeZone")),
  });
}

export function isZone(name: string): boolean {
  try {
    // Of a machine whose TZ is unknown Intl knows no zone either, whatever its types say.
    return typeof new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone === "string";
  } catch {
    // RangeError is how Intl says that it knows no such zone.
    return false;
  }
}
