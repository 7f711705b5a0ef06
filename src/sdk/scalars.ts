// How amounts, instants and durations are written on the wire. Amounts are decimal strings, because a JSON
// number is a float to whoever reads it; durations say their unit in the name of the field.

import { z } from "zod";

/** Exact US dollars: "0.003353333". Negative only for corrections and overdrawn budgets. */
export const usd = z
  .string()
  .regex(/^-?\d{1,13}\.\d{2,9}$/)
  .describe("US dollars as an exact decimal, to the nano-dollar.");

/** Of whatever unit stands beside it: US dollars to the nano-dollar, seconds to the microsecond. */
export const quantity = z
  .string()
  .regex(/^-?\d{1,19}(?:\.\d{1,9})?$/)
  .describe("An exact decimal, in the unit that is named beside it.");

/** RFC 3339 in UTC with microseconds: "2026-11-22T10:15:00.000001Z". */
export const instant = z.iso.datetime().describe("An instant, RFC 3339, in UTC.");

export const durationUs = z.int().min(0).describe("Whole microseconds.");

export const count = z.int().min(0);

/** The longest value of a label or filter; longer ones match nothing that is stored. */
export const LABEL_LENGTH = 128;

/** What is sent to the gateway: a key that is not one of these is refused, with their names. */
export function closed<S extends z.ZodRawShape>(shape: S) {
  const known = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: ({ code, keys }) =>
      code === "unrecognized_keys"
        ? `${(keys ?? []).join(", ")}: not known here; known are ${known}`
        : undefined,
  });
}

/** A value to filter by. */
export const filter = z.string().min(1).max(LABEL_LENGTH);
