// Money is exact: read and shown without loss, rounded once and in the direction that the name says.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import {
  add,
  cost,
  costCeil,
  formatUsd,
  hourlyRate,
  larger,
  type NanoUsd,
  nanoUsd,
  parseUsd,
  perMillion,
  perMillionCeil,
  smaller,
  subtract,
  times,
  ZERO_USD,
} from "../../src/metering/money.ts";
import { type DurationUs, HOUR, SECOND } from "../../src/metering/time.ts";

const RUNS = { seed: 20261124, numRuns: 500 };
const amounts = fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n }).map(nanoUsd);
const rates = fc.bigInt({ min: 0n, max: 999_999_999_999n }).map(hourlyRate);
const elapsed = fc.integer({ min: 0, max: 400 * 24 * HOUR }).map((us) => us as DurationUs);

function check(t: ExecutionContext, given: string, expected: bigint | undefined): void {
  t.is(parseUsd(given) as bigint | undefined, expected, given);
}

test("an amount is read exactly as it is written", (t) => {
  check(t, "20", 20_000_000_000n);
  check(t, "0.001", 1_000_000n);
  check(t, "1.006", 1_006_000_000n);
  check(t, "0.000000001", 1n);
  check(t, "999999999.999999999", 999_999_999_999_999_999n);
});

test("what is no plain amount is not read at all", (t) => {
  for (const text of [
    "",
    "-1",
    "+1",
    "1e3",
    "1.",
    ".5",
    "1_000",
    "0x10",
    "1.0000000001",
    "1234567890",
    " 1",
    "NaN",
  ]) {
    check(t, text, undefined);
  }
});

test("an amount is shown with at least two decimals and no other trailing zero", (t) => {
  t.is(formatUsd(nanoUsd(20_000_000_000n)), "20.00");
  t.is(formatUsd(nanoUsd(3_353_333n)), "0.003353333");
  t.is(formatUsd(nanoUsd(1_006_000_000n)), "1.006");
  t.is(formatUsd(nanoUsd(-1_500_000_000n)), "-1.50");
  t.is(formatUsd(nanoUsd(-1n)), "-0.000000001");
  t.is(formatUsd(ZERO_USD), "0.00");
});

test("what is shown reads back as the same amount", (t) => {
  const property = fc.property(amounts, (amount) => parseUsd(formatUsd(amount)) === amount);
  t.notThrows(() => fc.assert(property, RUNS));
});

test("a cost is rounded down and a hold up, and they differ by at most one nano-dollar", (t) => {
  t.is(cost(hourlyRate(1_006_000_000n), 12_000_000 as DurationUs) as bigint, 3_353_333n);
  t.is(costCeil(hourlyRate(1_006_000_000n), 12_000_000 as DurationUs) as bigint, 3_353_334n);
  t.is(cost(hourlyRate(4_000_000_000n), HOUR) as bigint, 4_000_000_000n);
  t.is(costCeil(hourlyRate(4_000_000_000n), HOUR) as bigint, 4_000_000_000n);
  t.is(costCeil(hourlyRate(1n), 1 as DurationUs) as bigint, 1n);
  const property = fc.property(rates, elapsed, (rate, time) => {
    const over = costCeil(rate, time) - cost(rate, time);
    return over === 0n || over === 1n;
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

test("slices by difference of running totals add up to the whole", (t) => {
  const property = fc.property(rates, fc.array(elapsed, { maxLength: 20 }), (rate, pieces) => {
    let upTo = 0 as DurationUs;
    let sum: NanoUsd = ZERO_USD;
    for (const piece of pieces) {
      const next = (upTo + piece) as DurationUs;
      sum = add(sum, subtract(cost(rate, next), cost(rate, upTo)));
      upTo = next;
    }
    return sum === cost(rate, upTo);
  });
  t.notThrows(() => fc.assert(property, { ...RUNS, numRuns: 200 }));
});

test("a duration that is not whole microseconds throws instead of being rounded in silence", (t) => {
  t.throws(() => cost(hourlyRate(1n), 0.5 as DurationUs), { instanceOf: RangeError });
});

test("nobody is paid for running a container", (t) => {
  t.throws(() => hourlyRate(-1n), { instanceOf: RangeError, message: /negative/ });
});

test("tokens are held rounded up and charged rounded down", (t) => {
  const price = nanoUsd(30_000_000_001n);
  t.is(perMillion(price, 1) as bigint, 30_000n);
  t.is(perMillionCeil(price, 1) as bigint, 30_001n);
  t.is(perMillion(price, 1_000_000), price);
  t.is(perMillionCeil(price, 1_000_000), price);
  t.is(perMillionCeil(price, 0), ZERO_USD);
});

test("sums, pieces and comparisons are what they say", (t) => {
  const [one, two] = [nanoUsd(1n), nanoUsd(2n)];
  t.is(add(), ZERO_USD);
  t.is(add(one, two, two) as bigint, 5n);
  t.is(subtract(one, two) as bigint, -1n);
  t.is(times(two, 3) as bigint, 6n);
  t.is(smaller(one, two), one);
  t.is(larger(one, two), two);
  t.is(cost(hourlyRate(3_600n), SECOND) as bigint, 1n);
});
