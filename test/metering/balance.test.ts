// A balance is the fold of what moved it, and a limit is reached to the nano-dollar.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import {
  available,
  type Balance,
  EMPTY_BALANCE,
  fits,
  fold,
  type Movement,
} from "../../src/metering/balance.ts";
import { nanoUsd } from "../../src/metering/money.ts";

const RUNS = { seed: 20261126, numRuns: 300 };

const LIMIT = nanoUsd(20_000_000_000n);

function spent(settled: bigint, held: bigint): Balance {
  return { settled: nanoUsd(settled), held: nanoUsd(held) };
}

function check(t: ExecutionContext, given: { balance: Balance; need: bigint }, expected: boolean): void {
  t.is(fits(LIMIT, given.balance, nanoUsd(given.need)), expected);
}

test("the last nano-dollar fits, one more does not", (t) => {
  const balance = spent(12_000_000_000n, 7_000_000_000n);
  check(t, { balance, need: 1_000_000_000n }, true);
  check(t, { balance, need: 1_000_000_001n }, false);
});

test("held money counts like spent money", (t) => {
  t.is(available(LIMIT, spent(1n, 2n)) as bigint, 19_999_999_997n);
  check(t, { balance: spent(0n, 20_000_000_000n), need: 1n }, false);
});

test("a need of nothing always fits, even past the limit", (t) => {
  const balance = spent(25_000_000_000n, 0n);
  t.is(available(LIMIT, balance) as bigint, -5_000_000_000n);
  check(t, { balance, need: 0n }, true);
  check(t, { balance, need: 1n }, false);
});

test("a hold that is settled for less leaves only what was used", (t) => {
  const movements: readonly Movement[] = [
    { kind: "hold", amount: nanoUsd(10n) },
    { kind: "unhold", amount: nanoUsd(10n) },
    { kind: "settle", amount: nanoUsd(4n) },
  ];
  t.deepEqual(fold(movements), spent(4n, 0n));
  t.deepEqual(fold([]), EMPTY_BALANCE);
});

test("the order of movements does not change where they lead", (t) => {
  const kinds = fc.constantFrom("hold", "unhold", "settle");
  const amounts = fc.bigInt({ min: -5n, max: 1_000_000n }).map(nanoUsd);
  const movement = fc.tuple(kinds, amounts).map(([kind, amount]): Movement => ({ kind, amount }));
  const property = fc.property(fc.array(movement), (movements) => {
    const sum = (kind: Movement["kind"]) =>
      movements.filter((one) => one.kind === kind).reduce((total, one) => total + one.amount, 0n);
    const { settled, held } = fold([...movements].reverse());
    return settled === sum("settle") && held === sum("hold") - sum("unhold");
  });
  t.notThrows(() => fc.assert(property, RUNS));
});
