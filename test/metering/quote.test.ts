// A quote promises the most: it is rounded up, and its hold lasts at least as long as the work.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { cost, hourlyRate, nanoUsd } from "../../src/metering/money.ts";
import { isFree, type Price } from "../../src/metering/price.ts";
import {
  type Amounts,
  type Estimate,
  estimate,
  MOST_HOLD,
  SHORTEST_HOLD,
  sliceOf,
} from "../../src/metering/quote.ts";
import { DAY, type DurationUs, MINUTE, seconds } from "../../src/metering/time.ts";

const RUNS = { seed: 20261127, numRuns: 300 };
const source = { kind: "policy" } as const;
const WORK: Amounts = { images: 3, inputTokens: 1_000, outputTokens: 1, time: seconds(12) };

function hourly(usdNanos: bigint): Price {
  return { kind: "hour", rate: hourlyRate(usdNanos), source };
}

function check(t: ExecutionContext, price: Price, expected: readonly [bigint, bigint, number]): void {
  const { amount, hold, holdTime }: Estimate = estimate(price, WORK);
  t.deepEqual([amount, hold, holdTime], expected);
}

test("each unit is quoted in its own way", (t) => {
  check(t, hourly(1_006_000_000n), [3_353_334n, 3_353_334n, seconds(12)]);
  check(t, { kind: "request", amount: nanoUsd(30n), source }, [30n, 30n, 0]);
  check(t, { kind: "image", amount: nanoUsd(30n), source }, [90n, 90n, 0]);
  check(t, { kind: "tokens", input: nanoUsd(30_000n), output: nanoUsd(60_000n), source }, [31n, 31n, 0]);
});

test("a hold lasts for the upper quantile, and is quoted at the median", (t) => {
  const { amount, hold, holdTime } = estimate(hourly(3_600_000_000n), { ...WORK, most: seconds(20) });
  t.deepEqual([amount as bigint, hold as bigint, holdTime], [12_000_000n, 20_000_000n, seconds(20)]);
});

test("a short task is quoted at its length but held for the shortest hold", (t) => {
  const { amount, hold, holdTime } = estimate(hourly(3_600_000_000n), { ...WORK, time: seconds(1) });
  t.deepEqual([amount as bigint, hold as bigint, holdTime], [1_000_000n, 4_000_000n, SHORTEST_HOLD]);
});

test("a quote is never below what the work costs, nor above its hold", (t) => {
  const rates = fc.bigInt({ min: 0n, max: 99_000_000_000n });
  const property = fc.property(rates, fc.integer({ min: 0, max: 60 * MINUTE }), (rate, time) => {
    const { amount, hold } = estimate(hourly(rate), { ...WORK, time: time as DurationUs });
    return amount >= cost(hourlyRate(rate), time as DurationUs) && hold >= amount;
  });
  t.notThrows(() => fc.assert(property, RUNS));
});

const anyAmount = fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n });
const anyPrice: fc.Arbitrary<Price> = fc.oneof(
  anyAmount.map(hourly),
  fc.record({
    kind: fc.constantFrom("request" as const, "image" as const),
    amount: anyAmount.map(nanoUsd),
    source: fc.constant(source),
  }),
  fc.record({
    kind: fc.constant("tokens" as const),
    input: anyAmount.map(nanoUsd),
    output: anyAmount.map(nanoUsd),
    source: fc.constant(source),
  }),
);
const anyCount = fc.maxSafeNat();

test("whatever the work and the price, a hold is at least the quote and at most a million dollars", (t) => {
  const times = fc.oneof(fc.integer({ min: 0, max: DAY }), anyCount);
  const property = fc.property(
    fc.tuple(anyPrice, anyCount, anyCount, anyCount, times),
    ([price, images, inputTokens, outputTokens, time]) => {
      const work = { images, inputTokens, outputTokens, time: time as DurationUs };
      const { amount, hold } = estimate(price, work);
      return 0n <= amount && amount <= hold && hold <= MOST_HOLD;
    },
  );
  t.notThrows(() => fc.assert(property, { ...RUNS, numRuns: 2000 }));
});

test("a hold that is cut lasts as long as its money does", (t) => {
  const rate = hourlyRate(999_999_999n * 1_000_000_000n);
  const { hold, holdTime } = estimate(hourly(rate), { ...WORK, time: DAY });
  t.true(cost(rate, holdTime) <= hold && cost(rate, (holdTime + 1) as DurationUs) >= MOST_HOLD);
});

test("a slice is a quarter of the estimate, at least 5 s, at most 60 s", (t) => {
  t.is(sliceOf(seconds(1)), seconds(5));
  t.is(sliceOf(seconds(80)), seconds(20));
  t.is(sliceOf(seconds(2_400)), seconds(60));
  t.is(sliceOf(80_000_001 as number as DurationUs) as number, 20_000_001);
});

test("free is what costs nothing however much it is", (t) => {
  t.true(isFree(hourly(0n)));
  t.false(isFree(hourly(1n)));
  t.true(isFree({ kind: "request", amount: nanoUsd(0n), source }));
  t.false(isFree({ kind: "image", amount: nanoUsd(1n), source }));
  t.true(isFree({ kind: "tokens", input: nanoUsd(0n), output: nanoUsd(0n), source }));
  t.false(isFree({ kind: "tokens", input: nanoUsd(0n), output: nanoUsd(1n), source }));
});
