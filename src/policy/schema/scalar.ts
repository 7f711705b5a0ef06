// How one value of the policy file is read: from its text to a domain value, or to a sentence that says what
// is wrong and what is allowed. Numbers arrive as numerals, so that no amount ever passes through a float.

import { z } from "zod";

/**
 * A number as it stands in the file. A symbol carries its text: no float, and nothing that a schema could
 * take for a mapping.
 */
export function numeral(source: string): symbol {
  return Symbol(source);
}

/** For an editor: a text that YAML may take for a number, such as an id of digits, is a text all the same. */
export const TEXT_TYPE = ["string", "number"];

export interface Form<T> {
  /** Completes "… is not …": "an amount in USD". */
  readonly what: string;
  /** Completes "write …", with an example. */
  readonly write: string;
  /** What an editor is told about it. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Undefined for anything that is not allowed. */
  read(raw: unknown): T | undefined;
  /** A guess at what was meant. */
  suggest?(raw: unknown): string | undefined;
  /** True where the text may be a secret: it is then never shown. */
  readonly quiet?: boolean;
}

export function scalar<T>(form: Form<T>): z.ZodPipe<z.ZodUnknown, z.ZodTransform<Awaited<T>, unknown>> {
  const schema = z.unknown().transform((raw, context) => {
    const value = raw === undefined ? undefined : form.read(raw);
    if (value !== undefined) return value;
    context.issues.push({ code: "custom", input: raw, message: complaint(raw, form) });
    return z.NEVER;
  });
  return schema.meta({ ...form.json }) as z.ZodPipe<z.ZodUnknown, z.ZodTransform<Awaited<T>, unknown>>;
}

function complaint<T>(raw: unknown, form: Form<T>): string {
  if (raw === undefined) return `is missing: write ${form.write}`;
  if (raw === null) return `has no value: write ${form.write}, or remove the line`;
  const shown = form.quiet === true ? "this value" : show(raw);
  return `${shown} is not ${form.what}${form.suggest?.(raw) ?? ""}: write ${form.write}`;
}

/** The text of a plain or quoted word or number; undefined for everything else. */
export function textOf(raw: unknown): string | undefined {
  if (typeof raw === "string") return raw;
  return typeof raw === "symbol" ? raw.description : undefined;
}

const LONGEST_SHOWN = 40;

/** A value as an error may show it: short, on one line, never at large. */
export function show(raw: unknown): string {
  if (raw === undefined || raw === null) return "nothing";
  if (Array.isArray(raw)) return "a list";
  if (typeof raw === "boolean") return String(raw);
  const text = textOf(raw);
  return text === undefined ? "a mapping" : quote(text);
}

export function quote(text: string): string {
  const short = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
  return JSON.stringify(short).replace(UNSEEN, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
}

/** Shown as they are, these would leave a reader looking for what is wrong. */
const UNSEEN = /[\p{Cf}\p{Zl}\p{Zp}\u00a0]/gu;
