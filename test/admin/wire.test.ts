// How core values are written: what never turns has no end, and the level of a budget follows its thresholds.

import test from "ava";
import { budgetWire, detailWire } from "../../src/admin/wire.ts";
import { parseUsd } from "../../src/metering/money.ts";
import type { BudgetStatus } from "../../src/sdk/status.ts";
import { budget } from "../support/policies.ts";
import { always, requestOf, today, usd } from "./house-of-functions.ts";

const given = (settled: number, held = 0) => ({
  budget: budget("b", { limit_usd: "1.00", warnAt: 0.7, criticalAt: 0.9 }),
  value: undefined,
  period: today,
  unit: "usd" as const,
  limit: usd(1_000_000_000),
  settled: usd(settled),
  held: usd(held),
});

const levels: readonly [settled: number, held: number, level: BudgetStatus["level"]][] = [
  [0, 0, "ok"],
  [699_999_999, 0, "ok"],
  [699_999_999, 1, "warning"],
  [899_999_999, 0, "warning"],
  [900_000_000, 0, "critical"],
  [500_000_000, 499_999_999, "critical"],
  [1_000_000_000, 0, "spent"],
  [1_000_000_001, 0, "spent"],
];
for (const [settled, held, level] of levels) {
  test(`${settled} settled and ${held} held of 1 USD is ${level}`, (t) => {
    t.is(budgetWire(given(settled, held)).level, level);
  });
}

test("a period that never turns has neither start nor end", (t) => {
  const written = budgetWire({ ...given(0), period: always });
  t.is(written.starts_at, null);
  t.is(written.resets_at, null);
  t.is(budgetWire(given(0)).resets_at, "2026-11-23T00:00:00.000000Z");
});

test("an overdrawn budget remains with less than nothing", (t) => {
  t.is(budgetWire(given(1_000_000_001)).remaining, "-0.000000001");
});

test("a request that runs has no cost yet, and one that was free has one of zero", (t) => {
  const running = detailWire(
    requestOf("r-1", { outcome: "running", charged: undefined, elapsed: undefined }),
    "UTC",
  );
  t.is(running.charged_usd, null);
  t.is(running.elapsed_us, null);
  const free = detailWire(requestOf("r-1", { charged: parseUsd("0") }), "UTC");
  t.is(free.charged_usd, "0.00");
});
