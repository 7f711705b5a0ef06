// Reads the fields of a request body as FastAPI does, and words what is wrong with them as it would: all
// problems at once, each with its type, place, message and input.

import { isObject } from "./nim-route.ts";

export interface FieldProblem {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/** After any problem the values returned are stand-ins: look at `problems` before using them. */
export class Fields {
  readonly problems: FieldProblem[] = [];
  readonly #body: Readonly<Record<string, unknown>>;
  readonly #loc: readonly (string | number)[];

  constructor(body: unknown, loc: readonly (string | number)[] = ["body"]) {
    this.#loc = loc;
    this.#body = isObject(body) ? body : {};
    if (isObject(body)) return;
    const msg = "Input should be a valid dictionary or object to extract fields from";
    this.problems.push({ type: "model_attributes_type", loc, msg, input: body });
  }

  has(name: string): boolean {
    return this.#body[name] !== undefined;
  }

  value(name: string): unknown {
    return this.#body[name];
  }

  integer(name: string, range: Range, fallback: number): number {
    return this.#number(name, range, fallback, "int");
  }

  float(name: string, range: Range, fallback: number): number {
    return this.#number(name, range, fallback, "float");
  }

  /** Required. `longest` is in UTF-16 units. */
  text(name: string, longest: number): string {
    const value = this.#body[name];
    if (value === undefined) return this.#no(name, "missing", "Field required", "", this.#body);
    if (typeof value !== "string") return this.#no(name, "string_type", "Input should be a valid string", "");
    if (value.length <= longest) return value;
    return this.#no(name, "string_too_long", `String should have at most ${longest} characters`, "");
  }

  /** `allowed` has at least two members; the first is the default. */
  choice<T extends string>(name: string, allowed: readonly [T, T, ...T[]]): T {
    const value = this.#body[name];
    const found = value === undefined ? allowed[0] : allowed.find((option) => option === value);
    if (found !== undefined) return found;
    const names = allowed.map((option) => `'${option}'`);
    const msg = `Input should be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
    return this.#no(name, "literal_error", msg, allowed[0]);
  }

  /** Required, with at least one item. */
  list(name: string): readonly unknown[] {
    const value = this.#body[name];
    if (value === undefined) return this.#no(name, "missing", "Field required", [], this.#body);
    if (!Array.isArray(value)) return this.#no(name, "list_type", "Input should be a valid list", []);
    if (value.length > 0) return value;
    return this.#no(name, "too_short", "List should have at least 1 item after validation, not 0", []);
  }

  /** A rule of the API's own, as pydantic words a ValueError. */
  reject(name: string, why: string): void {
    this.#no(name, "value_error", `Value error, ${why}`, undefined);
  }

  #number(name: string, { min, max }: Range, fallback: number, kind: "int" | "float"): number {
    const value = this.#body[name];
    if (value === undefined) return fallback;
    const noun = kind === "int" ? "integer" : "number";
    // Pydantic's lax mode takes numbers in quotes.
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof value === "string" && (typeof number !== "number" || Number.isNaN(number))) {
      const msg = `Input should be a valid ${noun}, unable to parse string as ${article(noun)}`;
      return this.#no(name, `${kind}_parsing`, msg, fallback);
    }
    if (typeof number !== "number") {
      return this.#no(name, `${kind}_type`, `Input should be a valid ${noun}`, fallback);
    }
    if (kind === "int" && !Number.isInteger(number)) {
      const msg = "Input should be a valid integer, got a number with a fractional part";
      return this.#no(name, "int_from_float", msg, fallback);
    }
    if (number < min) {
      const msg = `Input should be greater than or equal to ${min}`;
      return this.#no(name, "greater_than_equal", msg, fallback);
    }
    if (number <= max) return number;
    return this.#no(name, "less_than_equal", `Input should be less than or equal to ${max}`, fallback);
  }

  #no<T>(name: string, type: string, msg: string, standIn: T, input: unknown = this.#body[name]): T {
    this.problems.push({ type, loc: [...this.#loc, name], msg, input: input ?? null });
    return standIn;
  }
}

function article(noun: "integer" | "number"): string {
  return noun === "integer" ? "an integer" : "a number";
}
