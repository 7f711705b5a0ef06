// Amounts survive the disk exactly, and no text that a client sends can become one.

import test from "ava";
import fc from "fast-check";
import type { HeldRow } from "../../src/ledger/held.ts";
import {
  budgetsOf,
  budgetsText,
  explanationOf,
  explanationText,
  heldOf,
  heldText,
} from "../../src/ledger/stored.ts";
import type { NanoUsd } from "../../src/metering/money.ts";
import type { Price } from "../../src/metering/price.ts";
import { UNITS } from "../../src/metering/quantity.ts";
import type { BudgetExplanation, Explanation } from "../../src/policy/decision.ts";

const RUNS = { seed: 20261122, numRuns: 100 };
const usd = fc.bigInt() as fc.Arbitrary<bigint> as fc.Arbitrary<NanoUsd>;
const label = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom('{"$bigint":"5"}', "$bigint", "5n", '"}, "amount": {"$bigint": "0"}'),
);
const count = fc.nat();
const budget = fc.record({
  budget: label,
  action: fc.constant("block" as const),
  unit: fc.constantFrom(...UNITS),
  limit: usd,
  settled: usd,
  held: usd,
  needed: usd,
  fits: fc.boolean(),
  shadow: fc.boolean(),
  resets: count,
}) as fc.Arbitrary<unknown> as fc.Arbitrary<BudgetExplanation>;
const candidate = fc.record({
  upstream: label,
  provider: label,
  estimate: usd,
  hold: usd,
  rank: usd,
  time: count,
  timeSource: label,
  inFlight: count,
  price: label,
  leftOut: label,
  budgets: fc.array(budget, { maxLength: 3 }),
});
const explanation = fc.record({
  at: count,
  mode: fc.constant("manual"),
  policy: label,
  candidates: fc.array(candidate, { maxLength: 3 }),
  chosen: label,
  rule: label,
  alternatives: fc.array(fc.record({ upstream: label, provider: label, estimate: usd }), { maxLength: 2 }),
}) as fc.Arbitrary<unknown> as fc.Arbitrary<Explanation>;
const source = fc.constant({ kind: "policy" });
const price = fc.oneof(
  fc.record({ kind: fc.constant("hour"), rate: usd, source }),
  fc.record({ kind: fc.constant("hour"), rate: usd, licence: usd, source }),
  fc.record({ kind: fc.constantFrom("request", "image"), amount: usd, source }),
  fc.record({ kind: fc.constant("tokens"), input: usd, output: usd, source }),
) as fc.Arbitrary<unknown> as fc.Arbitrary<Price>;
const held = fc.record({
  id: label,
  request: label,
  version: count,
  at: count,
  clientRequestId: label,
  facts: fc.record({ user: label, workflow: label }),
  images: count,
  price,
  machine: label,
  amount: usd,
  horizon: count,
  claims: fc.array(fc.record({ account: label, start: count, end: count, amount: usd, limit: usd })),
  rebased: fc.record({
    at: count,
    share: fc.array(fc.record({ at: count, amount: usd })),
    price: fc.record({ kind: fc.constant("hour"), rate: usd, source }),
  }),
  join: fc.record({ start: count, V0: fc.constant("12") }),
}) as fc.Arbitrary<unknown> as fc.Arbitrary<HeldRow>;

test("an explanation comes back as it was, amounts of any size and labels of any text", (t) => {
  const law = fc.property(explanation, (one) => {
    t.deepEqual(explanationOf(explanationText(one)), one);
  });
  t.notThrows(() => fc.assert(law, RUNS));
});

test("budgets after a request come back as they were", (t) => {
  const law = fc.property(fc.array(budget), (all) => {
    t.deepEqual(budgetsOf(budgetsText(all)), all);
  });
  t.notThrows(() => fc.assert(law, RUNS));
});

test("an open hold comes back as it was, whatever its price is per", (t) => {
  const law = fc.property(held, (one) => {
    t.deepEqual(heldOf(heldText(one)), one);
  });
  t.notThrows(() => fc.assert(law, RUNS));
});

test("what a ledger of before tagged as an amount is read as that amount", (t) => {
  const old =
    '[{"budget":"day","limit":{"$bigint":"20"},"settled":{"$bigint":"9007199254740993"},"held":"0","needed":"1"}]';
  const [read] = budgetsOf(old);
  t.is(read?.limit, 20n as NanoUsd);
  t.is(read?.settled, 9_007_199_254_740_993n as NanoUsd);
});

test("digits that are none are damage, and are not read as nothing", (t) => {
  const broken = heldText(fc.sample(held, { seed: 1, numRuns: 1 })[0] as HeldRow).replace(
    /"amount":"-?\d+","horizon"/,
    '"amount":"12x","horizon"',
  );
  t.throws(() => heldOf(broken), { instanceOf: SyntaxError });
});
