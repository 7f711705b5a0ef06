// What is odd about a file, in sentences, a bounded number of them: reading goes on all the same. Names out
// of the file are shown short and quoted, values never.

import { quote } from "../../policy/schema/scalar.ts";

const MOST = 100;

export class Oddities {
  readonly #told = new Set<string>();
  #more = 0;

  tell(text: string): void {
    if (this.#told.has(text)) return;
    if (this.#told.size < MOST) this.#told.add(text);
    else this.#more += 1;
  }

  all(): readonly string[] {
    return this.#more === 0 ? [...this.#told] : [...this.#told, `and ${this.#more} more oddities`];
  }
}

/** A key or name of the file, fit for a sentence. */
export function named(name: string): string {
  return quote(name);
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Visible text on one line, without blanks around it; undefined for everything else. */
export function lineOf(value: unknown, longest = 256): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const text = String(value).trim();
  return text !== "" && text.length <= longest && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0]/u.test(text)
    ? text
    : undefined;
}
