// Which fetched prices are believed, which are kept aside, and what is said of how far they can be trusted.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { NO_LIVE_PRICES, rateId, takeIn } from "../../src/metering/live-prices.ts";
import { formatUsd, hourlyRate, parseUsdCeil } from "../../src/metering/money.ts";
import { ageOf, agree, isJump, isStale, verify } from "../../src/metering/price-judgement.ts";
import { type Rate, RateCard, sourceOf } from "../../src/metering/rate-card.ts";
import { DAY, type DurationUs, HOUR, instantUs } from "../../src/metering/time.ts";

const RUNS = { seed: 20261128, numRuns: 300 };
const KEY = "aws/us-east-1/g5.xlarge";

function rate(nanos: bigint, over: Partial<Rate> = {}): Rate {
  return {
    ...{ key: KEY, kind: "on_demand", provider: "aws", gpu: "a10g", gpus: 1 },
    ...{ perHour: hourlyRate(nanos), asOf: "2026-07-20", source: "a list" },
    ...over,
  };
}

const live = (nanos: bigint, over: Partial<Rate> = {}) =>
  rate(nanos, { asOf: "2026-11-28T10:00:00Z", source: "AWS", live: true, ...over });
const card = new RateCard([rate(1_000n)], []);

function check(t: ExecutionContext, refreshes: readonly bigint[], expected: string): void {
  let prices = NO_LIVE_PRICES;
  const told = refreshes.map((nanos) => {
    const taken = takeIn(prices, card, [live(nanos)]);
    prices = taken.prices;
    const now = prices.believed.get(rateId(live(0n)))?.perHour;
    return `${now ?? "-"}${taken.doubted.length > 0 ? "?" : ""}${taken.changed.length > 0 ? "!" : ""}`;
  });
  t.is(told.join(" "), expected, refreshes.join(" "));
}

test("a price that moves by half is believed at once, one that moves by more once a second refresh agrees", (t) => {
  check(t, [1_500n, 2_250n], "1500! 2250!");
  check(t, [1_501n, 1_501n], "-? 1501!");
  check(t, [500n], "500!");
  check(t, [499n, 499n], "-? 499!");
});

test("a jump that the next refresh takes back never counted", (t) => {
  check(t, [1_000n, 9_000n, 1_000n, 9_000n], "1000 1000? 1000 1000?");
});

test("a second figure within a tenth of the suspect agrees with it, another one begins anew", (t) => {
  check(t, [9_000n, 10_000n], "-? 10000!");
  check(t, [9_000n, 10_001n, 10_001n], "-? -? 10001!");
});

test("zero is no price", (t) => {
  check(t, [1_000n, 0n, 0n], "1000 1000 1000");
});

test("a price that a refresh does not have is kept", (t) => {
  const { prices } = takeIn(NO_LIVE_PRICES, card, [live(1_100n)]);
  t.is(takeIn(prices, card, []).prices.believed.size, 1);
});

test("whatever is fetched, no believed price ever moves by more than half in one refresh without a second one", (t) => {
  const figures = fc.array(fc.bigInt({ min: 0n, max: 100_000n }), { maxLength: 30 });
  fc.assert(
    fc.property(figures, (all) => {
      let prices = NO_LIVE_PRICES;
      let before = 1_000n;
      for (const [at, nanos] of all.entries()) {
        prices = takeIn(prices, card, [live(nanos)]).prices;
        const now: bigint = prices.believed.get(rateId(live(0n)))?.perHour ?? before;
        const last = all.slice(0, at).findLast((each) => each > 0n);
        const isSeconded = last !== undefined && agree(hourlyRate(last), hourlyRate(now));
        if (isJump(hourlyRate(before), hourlyRate(now))) t.true(isSeconded, `${all} at ${at}`);
        t.true(now > 0n);
        before = now;
      }
    }),
    RUNS,
  );
});

test("A26: a live price lies above the shipped one, unless that is the younger", (t) => {
  const found = (other: Rate) => card.under([other]).find(KEY);
  t.is(found(live(7n))?.perHour as bigint | undefined, 7n);
  t.is(found(live(7n, { asOf: "2026-07-19T23:00:00Z" }))?.perHour as bigint | undefined, 1_000n);
  t.is(found(live(7n, { kind: "spot" }))?.perHour as bigint | undefined, 1_000n);
  t.deepEqual(sourceOf(live(7n)), {
    ...{ kind: "live", rate: KEY, asOf: "2026-11-28T10:00:00Z", source: "AWS" },
  });
});

test("two sources agree within 10 % of the larger, to the nano-dollar", (t) => {
  t.is(verify(live(1_000n), rate(900n)).kind, "verified");
  t.is(verify(live(900n), rate(1_000n)).kind, "verified");
  t.deepEqual(verify(live(1_000n), rate(899n)), {
    kind: "unverified",
    why: "differs by more than 10 % from 0.000000899 of 2026-07-20",
  });
  t.is(verify(live(1_000n), undefined).kind, "unverified");
  t.is(verify(live(1_000n), live(1_000n)).kind, "unverified", "a source does not verify itself");
});

test("a shipped price is stale after 90 days, a live one after three refreshes, one without a day at once", (t) => {
  const start = Date.parse("2026-07-20") * 1000;
  const at = (after: number) => instantUs(start + after);
  t.false(isStale(rate(1n), HOUR, at(90 * DAY)));
  t.true(isStale(rate(1n), HOUR, at(90 * DAY + 1)));
  const fetched = live(1n, { asOf: "2026-07-20T00:00:00Z" });
  t.false(isStale(fetched, HOUR, at(3 * HOUR)));
  t.true(isStale(fetched, HOUR, at(3 * HOUR + 1)));
  t.true(isStale(rate(1n, { asOf: "unknown" }), HOUR, at(0)));
  t.is(ageOf(fetched, at(HOUR)), HOUR as DurationUs);
  t.is(ageOf(fetched, at(-1)), 0 as DurationUs, "a clock that is behind makes no negative age");
});

test("a list price is read exactly, and rounded up below a nano-dollar", (t) => {
  const read = (text: string) => parseUsdCeil(text) as bigint | undefined;
  t.is(read("1.0060000000"), 1_006_000_000n);
  t.is(read("0.0000000001"), 1n);
  t.is(read("0.52600000001"), 526_000_001n);
  t.is(read("3.2E-7"), 320n);
  t.is(read("5.26e-1"), 526_000_000n);
  t.is(read("1e9"), undefined);
  for (const wrong of ["", "-1", "+1", "1.", ".5", "NaN", "Infinity", "0x1", "1,5", "1e999"])
    t.is(read(wrong), undefined);
});

test("whatever amount a list writes with zeros or an exponent, it is that amount", (t) => {
  const nanos = fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n });
  fc.assert(
    fc.property(nanos, fc.nat(5), fc.nat(9), (amount, zeros, exponent) => {
      t.is(parseUsdCeil(formatUsd(hourlyRate(amount)) + "0".repeat(zeros)) as bigint | undefined, amount);
      const shifted = `${amount}${"0".repeat(exponent)}`;
      if (shifted.length > 12) return;
      t.is(parseUsdCeil(`${shifted}e-${9 + exponent}`) as bigint | undefined, amount);
    }),
    RUNS,
  );
});
