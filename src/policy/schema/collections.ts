// The three shapes above single values: a mapping with known keys, a mapping by name, a list. Strict: an
// unknown key is an issue, and the issue's text is already the sentence that the operator reads.

import { z } from "zod";
import { show } from "./scalar.ts";

export const ID = /^[a-z0-9][a-z0-9._-]{0,39}$/;
export const ID_TEXT = "1 to 40 of a-z 0-9 . _ - that begin with a letter or digit, such as studio-day";

/** Says what should stand where something else does. */
function expects(what: string) {
  return {
    error: (issue: { readonly code?: string | undefined; readonly input?: unknown }) => {
      if (issue.code !== "invalid_type") return undefined;
      return issue.input === undefined
        ? `is missing: it needs ${what}`
        : `must be ${what}, not ${show(issue.input)}`;
    },
  };
}

const MAPPING = "a mapping (key: value)";

export function mapping<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, expects(MAPPING));
}

/** A mapping whose keys are names of the operator's choice. */
export function named<V extends z.ZodType>(value: V, pattern = ID, write = ID_TEXT) {
  const key = z.string().regex(pattern, `is not a name: write ${write}`);
  const record = z.record(key, value, expects("a mapping (name: …)"));
  return record.transform((entries) => new Map(Object.entries(entries) as [string, z.output<V>][]));
}

export function list<V extends z.ZodType>(value: V) {
  return z.array(value, expects("a list ([a, b] or lines that begin with -)"));
}

/** A mapping of which exactly one key is given; what comes out is that key's value. */
export function oneOf<S extends Readonly<Record<string, z.ZodType>>>(forms: S, instead = MAPPING) {
  const keys = Object.keys(forms);
  const shape = Object.fromEntries(keys.map((key) => [key, (forms[key] as z.ZodType).optional()]));
  const object = z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "invalid_type") return undefined;
      return issue.input === undefined ? `is missing: it needs ${instead}` : `must be ${instead}`;
    },
  });
  return object.meta({ minProperties: 1, maxProperties: 1 }).transform((given, context) => {
    const values = Object.values(given).filter((value) => value !== undefined);
    if (values.length === 1) return values[0] as z.output<S[keyof S]>;
    const found = values.length === 0 ? "has none" : `has ${values.length}`;
    context.issues.push({
      code: "custom",
      input: given,
      message: `${found} of ${keys.join(", ")}: write exactly one`,
    });
    return z.NEVER;
  });
}
