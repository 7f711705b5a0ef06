// Numbers of the policy file: money, counts, shares. Each is read from its own text; signs, exponents,
// underscores, octal and infinity are refused, for they are mistakes more often than wishes.

import { type NanoUsd, parseUsd } from "../../metering/money.ts";
import { scalar, textOf } from "./scalar.ts";

/** A whole part of more than nine digits: more than any amount may have. */
const HUGE = /^[1-9]\d{9,}(\.\d+)?$/;
const PLAIN = /^(0|[1-9]\d{0,14})(\.\d{1,9})?$/;

function plain(raw: unknown): string | undefined {
  const text = textOf(raw);
  return text !== undefined && PLAIN.test(text) ? text : undefined;
}

/** USD >= 0, exact to the nano-dollar. */
export function usd() {
  return scalar<NanoUsd>({
    what: "an amount in USD",
    write: "digits with at most 9 decimals, such as 20.00 or 0.001",
    json: { type: ["number", "string"], minimum: 0, pattern: "^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,9})?$" },
    read: (raw) => {
      const text = plain(raw);
      return text === undefined ? undefined : parseUsd(text);
    },
    suggest: (raw) => (HUGE.test(textOf(raw) ?? "") ? " (at most 999999999.999999999)" : undefined),
  });
}

/** For an editor: a whole number in quotes. */
const WHOLE = "^(0|[1-9][0-9]*)(\\.0+)?$";

/** A whole number from `least` to `most`. */
export function count(least: number, most: number) {
  return scalar<number>({
    what: "a whole number that is allowed here",
    write: `a whole number from ${least} to ${most}`,
    json: { type: ["integer", "string"], minimum: least, maximum: most, pattern: WHOLE },
    read: (raw) => {
      const value = Number(plain(raw));
      return Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined;
    },
  });
}

/** The same, as the bigint that limits are kept in. */
export function bigCount(most: number) {
  return count(0, most).transform((value) => BigInt(value));
}

/** For an editor: 0 to 1, in quotes. */
const SHARE = "^(0(\\.[0-9]+)?|1(\\.0+)?)$";

/** A share of a whole, 0 to 1. It scales thresholds, never money: a float may carry it. */
export function fraction() {
  return scalar<number>({
    what: "a share",
    write: "a number from 0 to 1, such as 0.75",
    json: { type: ["number", "string"], minimum: 0, maximum: 1, pattern: SHARE },
    read: (raw) => {
      const value = Number(plain(raw));
      return value >= 0 && value <= 1 ? value : undefined;
    },
  });
}

/** An exact ratio. */
export interface Ratio {
  readonly over: bigint;
  readonly under: bigint;
}

const BILLION = 1_000_000_000n;

/** How much of a price remains after a discount of 0 to 1. */
export function discount() {
  return scalar<Ratio>({
    what: "a discount",
    write: "a number from 0 to 1, such as 0.30 for 30 % off",
    json: { type: ["number", "string"], minimum: 0, maximum: 1, pattern: SHARE },
    read: (raw) => {
      const taken = decimal(raw);
      return taken === undefined || taken > BILLION ? undefined : { over: BILLION - taken, under: BILLION };
    },
  });
}

/** The part of a machine that a container gets: 1, 0.5 or "1/8". */
export function share() {
  return scalar<Ratio>({
    what: "a share of a machine",
    write: 'a number above 0 up to 1, or a fraction such as "1/8"',
    json: { type: ["number", "string"], pattern: "^[0-9]+(\\.[0-9]+)?(/[0-9]+)?$" },
    read: (raw) => {
      const parts = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(textOf(raw) ?? "");
      const ratio = parts
        ? { over: BigInt(parts[1] ?? 0), under: BigInt(parts[2] ?? 1) }
        : { over: decimal(raw) ?? 0n, under: BILLION };
      return ratio.over > 0n && ratio.over <= ratio.under ? ratio : undefined;
    },
  });
}

function decimal(raw: unknown): bigint | undefined {
  const text = plain(raw);
  return text === undefined ? undefined : parseUsd(text);
}

const STEPS: ReadonlyMap<string, number> = new Map([
  ["low", 2],
  ["medium", 5],
  ["high", 8],
  ["critical", 10],
]);

/** Who goes first in the waiting room: 1 to 10, or a word. */
export function priority() {
  return scalar<number>({
    what: "a priority",
    write: "low, medium, high, critical or a whole number from 1 to 10",
    json: {
      anyOf: [
        { enum: [...STEPS.keys()] },
        { type: ["integer", "string"], minimum: 1, maximum: 10, pattern: "^([1-9]|10)$" },
      ],
    },
    read: (raw) => {
      const step = STEPS.get(textOf(raw) ?? "") ?? Number(plain(raw));
      return Number.isInteger(step) && step >= 1 && step <= 10 ? step : undefined;
    },
  });
}
