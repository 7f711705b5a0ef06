// Random leases whose requests are asked for what is new again and again: the answers add up to the whole, in
// every quarter-hour, and what a restart at any of them would still charge is never less than was posted.

import test from "ava";
import fc from "fast-check";
import { type Join, Lease, type Part } from "../../src/metering/lease.ts";
import { hourlyRate, nanoUsd, ZERO_USD } from "../../src/metering/money.ts";
import { Posted } from "../../src/metering/posted.ts";
import {
  type DurationUs,
  durationUs,
  type Instant,
  instantUs,
  later,
  QUARTER_HOUR,
  quarterHourOf,
} from "../../src/metering/time.ts";

const RUNS = { seed: 20261128, numRuns: 400 };
const START = instantUs(Date.UTC(2026, 10, 23, 23, 59, 58) * 1000 + 123_457);

type Step =
  | { readonly kind: "join" | "ready" }
  | { readonly kind: "leave" | "slice"; readonly which: number }
  | { readonly kind: "reprice"; readonly price: bigint };

const rate = fc.oneof(fc.constantFrom(0n, 1n, 7n), fc.bigInt({ min: 40_000_000n, max: 99_000_000_019n }));
const which = fc.nat({ max: 9 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("join", "join", "ready" as const) }),
  fc.record({ kind: fc.constantFrom("leave", "slice", "slice", "slice" as const), which }),
  fc.record({ kind: fc.constant("reprice" as const), price: rate }),
);
const pause = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 20_000_003 }), fc.nat({ max: 1_500_000_007 }));
const lives = fc.record({
  price: rate,
  isStarting: fc.boolean(),
  steps: fc.array(fc.tuple(pause, step), { minLength: 5, maxLength: 50 }),
});

interface Request {
  readonly join: Join;
  readonly posted: Posted;
  readonly slices: Part[];
}

function byQuarter(parts: readonly Part[]): Record<string, readonly [bigint, number]> {
  const sums: Record<string, [bigint, number]> = {};
  for (const { kind, at, amount, elapsed } of parts) {
    const key = `${kind} ${quarterHourOf(at)}`;
    const [money, time] = sums[key] ?? [0n, 0];
    sums[key] = [money + amount, time + elapsed];
  }
  return sums;
}

/** What entries would have; the last ones too. */
function live({ price, isStarting, steps }: typeof lives extends fc.Arbitrary<infer L> ? L : never) {
  const lease = new Lease(START, hourlyRate(price), hourlyRate(0n), isStarting ? "starting" : "ready");
  const open: Request[] = [];
  const ended: { readonly slices: readonly Part[]; readonly whole: readonly Part[] }[] = [];
  let at: Instant = START;
  const leave = ({ join, posted, slices }: Request) => {
    const whole = lease.leave(at, join);
    ended.push({ slices: [...slices, ...posted.rest(whole)], whole });
  };
  for (const [time, one] of steps) {
    at = later(at, time as DurationUs);
    const request = "which" in one ? open[one.which % Math.max(1, open.length)] : undefined;
    if (one.kind === "join") open.push({ join: lease.join(at), posted: new Posted(), slices: [] });
    else if (one.kind === "ready") lease.ready(at);
    else if (one.kind === "reprice") lease.reprice(at, hourlyRate(one.price), hourlyRate(0n));
    else if (request === undefined) continue;
    else if (one.kind === "leave") leave(...(open.splice(open.indexOf(request), 1) as [Request]));
    else {
      const rest = request.posted.rest(lease.share(at, request.join));
      request.posted.add(rest);
      request.slices.push(...rest);
      const again = Lease.resume(lease.state()).share(at, request.join);
      if (request.posted.rest(again).length > 0) throw new Error("a restart would charge it anew");
    }
  }
  for (const request of open.splice(0)) leave(request);
  return ended;
}

test("slices and the rest add up to what the request pays, in every quarter-hour", (t) => {
  const property = fc.property(lives, (life) => {
    for (const { slices, whole } of live(life)) {
      t.deepEqual(byQuarter(slices.filter(hasAny)), byQuarter(whole.filter(hasAny)));
    }
  });
  fc.assert(property, RUNS);
});

test("no slice is negative, and none reaches over a quarter-hour", (t) => {
  const property = fc.property(lives, (life) => {
    for (const { at, elapsed, amount } of live(life).flatMap(({ slices }) => slices)) {
      t.true(amount >= 0n && elapsed >= 0);
      t.is(quarterHourOf(later(at, durationUs(Math.max(0, elapsed - 1)))), quarterHourOf(at));
    }
  });
  fc.assert(property, RUNS);
});

function hasAny({ amount, elapsed }: Part): boolean {
  return amount > 0n || elapsed > 0;
}

const part = (over: Partial<Part> = {}): Part => ({
  ...{ kind: "request", at: START, elapsed: durationUs(1_000_000), amount: nanoUsd(10n) },
  ...over,
});

test("what was posted stays posted where the whole turns out to be less", (t) => {
  const posted = new Posted([part({ amount: nanoUsd(10n) })]);
  t.deepEqual(posted.rest([part({ amount: nanoUsd(7n) })]), []);
  t.is(posted.amount, nanoUsd(10n));
});

test("money without time of its own stays in its quarter-hour", (t) => {
  const at = later(quarterHourOf(START), durationUs(QUARTER_HOUR - 1_000_000));
  const posted = new Posted([part({ at, amount: nanoUsd(10n) })]);
  const [rest] = posted.rest([part({ at, amount: nanoUsd(11n) })]);
  t.like(rest, { amount: 1n, elapsed: 0 });
  t.is(quarterHourOf(rest?.at ?? START), quarterHourOf(START));
});

test("what is taken back is new again", (t) => {
  const posted = new Posted([part()]);
  const second = part({ at: later(START, durationUs(1_000_000)), amount: nanoUsd(5n) });
  posted.add([second]);
  posted.remove([second]);
  t.deepEqual([posted.amount, posted.elapsed], [10n, 1_000_000]);
  const whole = part({ elapsed: durationUs(2_000_000), amount: nanoUsd(15n) });
  t.is(posted.rest([whole])[0]?.amount, nanoUsd(5n));
});

test("a period has what its quarter-hours have; its seconds are those of work", (t) => {
  const midnight = instantUs(Date.UTC(2026, 10, 24) * 1000);
  const posted = new Posted([part({ kind: "startup" }), part(), part({ at: midnight, amount: nanoUsd(3n) })]);
  t.deepEqual(posted.within(instantUs(0), midnight), {
    amount: nanoUsd(20n),
    elapsed: durationUs(1_000_000),
  });
  t.deepEqual(posted.within(midnight, later(midnight, QUARTER_HOUR)), {
    amount: nanoUsd(3n),
    elapsed: durationUs(1_000_000),
  });
  t.is(posted.elapsed, durationUs(2_000_000));
  t.is(new Posted().amount, ZERO_USD);
});
