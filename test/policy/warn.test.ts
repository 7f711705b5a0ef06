// Who is told that a budget runs low, and from which nano-dollar on.

import test, { type ExecutionContext } from "ava";
import { nanoUsd } from "../../src/metering/money.ts";
import type { Instant } from "../../src/metering/time.ts";
import { demandsOn, sliceNeed } from "../../src/policy/claims.ts";
import { covering, factsOf } from "../../src/policy/match.ts";
import { warningsOf } from "../../src/policy/warn.ts";
import { type BudgetSketch, budget, policy, TEN, task, upstream } from "../support/policies.ts";

const LIMIT = { limit_usd: "0.000001", onLimit: "warn" } as const; // 1000 nano-dollars

/** What a request of `amount` nano-dollars is told where 100 are settled and 200 held. */
function check(
  t: ExecutionContext,
  amount: number,
  expected: RegExp | undefined,
  over: Partial<BudgetSketch> = {},
) {
  const one = upstream("one");
  const given = policy({ upstreams: [one], budgets: [budget("day", { ...LIMIT, ...over })] });
  const balance = { settled: nanoUsd(100n), held: nanoUsd(200n) };
  const need = sliceNeed(TEN as Instant, 0 as never, nanoUsd(BigInt(amount)));
  const told = covering(given, factsOf(task(), one))
    .flatMap((coverage) => demandsOn(coverage, need))
    .flatMap((demand) => warningsOf(demand, balance).map(({ text }) => text));
  if (expected === undefined) t.deepEqual(told, []);
  else t.regex(told.join("\n"), expected);
}

test("it warns from its share of the limit on, and not one nano-dollar below", (t) => {
  check(t, 449, undefined);
  check(t, 450, /^budget day runs low: 0\.00000075 of 0\.000001 USD used or held$/);
  check(t, 199, undefined, { warnAt: 0.5 });
  check(t, 200, /runs low/, { warnAt: 0.5 });
});

test("a limit that is met exactly is not passed", (t) => {
  check(t, 700, /runs low/);
  check(t, 701, /is over its limit: 0\.000001001 of 0\.000001 USD used or held$/);
});

test("a budget that only counts, or does not judge that day, says nothing", (t) => {
  check(t, 5_000, undefined, { onLimit: "ignore" });
  check(t, 5_000, undefined, { from: "2026-11-23" });
  check(t, 5_000, undefined, { until: "2026-11-21" });
  check(t, 5_000, /is over its limit/, { from: "2026-11-22", until: "2026-11-22" });
});

test("a shadow says that it is one", (t) => {
  check(t, 701, /^shadow budget day is over its limit: /, { shadow: true, onLimit: "block" });
});

test("free work under a limit of 0 is told nothing; what costs something is", (t) => {
  const one = upstream("one");
  const given = policy({ upstreams: [one], budgets: [budget("none", { limit_usd: "0" })] });
  const told = (amount: bigint, settled: bigint) =>
    covering(given, factsOf(task(), one))
      .flatMap((coverage) => demandsOn(coverage, sliceNeed(TEN, 0 as never, nanoUsd(amount))))
      .flatMap((demand) => warningsOf(demand, { settled: nanoUsd(settled), held: nanoUsd(0n) })).length;
  t.deepEqual([told(0n, 0n), told(1n, 0n), told(0n, 1n)], [0, 1, 1]);
});
