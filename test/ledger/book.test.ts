// The balances in memory: what moves one is what is written down, and a period is forgotten only when it
// is over and holds nothing.

import test from "ava";
import { Book } from "../../src/ledger/book.ts";
import type { Balance } from "../../src/metering/balance.ts";
import { nanoUsd, ZERO_USD } from "../../src/metering/money.ts";
import { sum as total } from "../../src/metering/quantity.ts";
import { DAY, durationUs, HOUR, later } from "../../src/metering/time.ts";
import { groundsOf } from "../../src/policy/match.ts";
import { budget, policy, TEN, upstream } from "../support/policies.ts";

const DAY_ONE = { start: TEN, end: later(TEN, DAY) };
const DAY_TWO = { start: DAY_ONE.end, end: later(DAY_ONE.end, DAY) };
const five = nanoUsd(5n);

function spent(settled: bigint, held: bigint): Balance {
  return { settled: nanoUsd(settled), held: nanoUsd(held) };
}

test("an account that nobody moved is empty", (t) => {
  t.deepEqual(new Book().balance("day", TEN), spent(0n, 0n));
});

test("what a movement returns is what it changed", (t) => {
  const book = new Book();
  const changes = [
    book.move("day", DAY_ONE, { kind: "hold", amount: five }),
    book.move("day", DAY_ONE, { kind: "unhold", amount: five }),
    book.move("day", DAY_ONE, { kind: "settle", amount: nanoUsd(3n) }),
  ];
  const sum = (part: "settled" | "held") => total(...changes.map((change) => change[part]));
  t.deepEqual({ settled: sum("settled"), held: sum("held") }, book.balance("day", TEN));
  t.deepEqual(
    changes.map(({ account, start, end }) => ({ account, start, end })),
    [1, 2, 3].map(() => ({ account: "day", ...DAY_ONE })),
  );
});

test("periods of one account are apart", (t) => {
  const book = new Book();
  book.move("day", DAY_ONE, { kind: "settle", amount: five });
  t.is(book.balance("day", DAY_TWO.start).settled, ZERO_USD);
});

test("a load adds to what is there", (t) => {
  const book = new Book();
  book.move("day", DAY_ONE, { kind: "hold", amount: five });
  book.load({ account: "day", ...DAY_ONE, settled: nanoUsd(7n), held: nanoUsd(1n) });
  t.deepEqual(book.balance("day", TEN), spent(7n, 6n));
});

test("unsettling a ground leaves its holds, and the settled sums of every other ground", (t) => {
  const book = new Book();
  for (const account of ["each", "each=alice", "each2=alice", "other"]) {
    book.load({ account, ...DAY_ONE, settled: five, held: five });
  }
  book.unsettle("each");
  const settled = (account: string) => book.balance(account, TEN).settled;
  t.deepEqual(
    [settled("each"), settled("each=alice"), settled("each2=alice"), settled("other")],
    [nanoUsd(0n), nanoUsd(0n), five, five],
  );
  t.is(book.balance("each=alice", TEN).held, five);
});

test("a period that is over is forgotten, but not while it holds anything", (t) => {
  const book = new Book();
  book.load({ account: "idle", ...DAY_ONE, settled: five, held: nanoUsd(0n) });
  book.load({ account: "busy", ...DAY_ONE, settled: five, held: five });
  book.load({ account: "idle", ...DAY_TWO, settled: five, held: nanoUsd(0n) });
  book.forget(later(DAY_ONE.end, HOUR));
  const known = [...book.all()].map(({ account, start }) => `${account} ${start === TEN ? 1 : 2}`);
  t.deepEqual(known.sort(), ["busy 1", "idle 2"]);
});

test("a period that ends at this moment is over, one that ends later is not", (t) => {
  const book = new Book();
  book.load({ account: "day", ...DAY_ONE, settled: five, held: nanoUsd(0n) });
  book.forget(later(DAY_ONE.end, durationUs(-1)));
  t.is(book.balance("day", TEN).settled, five);
  book.forget(DAY_ONE.end);
  t.is(book.balance("day", TEN).settled, ZERO_USD);
});

test("what is taken back while a reset is on its way to the disk is not forgiven", (t) => {
  const book = new Book();
  const it = budget("it", { limit_usd: "1" });
  const [ground] = groundsOf(policy({ upstreams: [upstream("aws")], budgets: [it] }));
  if (ground === undefined) throw new Error("a budget counts something");
  const [account, period] = [ground.key, DAY_ONE];
  book.move(account, period, { kind: "settle", amount: five });
  const what = {
    at: TEN,
    kind: "reset",
    budget: "it",
    unit: "usd",
    value: undefined,
    account,
    period,
  } as const;
  book.move(account, period, { kind: "settle", amount: nanoUsd(-2n) });
  book.adjust({ ...what, amount: nanoUsd(-5n), by: "ops", reason: "a trial" });
  t.is(book.relief(ground, account, period), nanoUsd(3n));
});

test("what is taken back of before a reset was forgiven; what came after it is counted still", async (t) => {
  const book = new Book();
  const it = budget("it", { limit_usd: "1" });
  const [ground] = groundsOf(policy({ upstreams: [upstream("aws")], budgets: [it] }));
  if (ground === undefined) throw new Error("a budget counts something");
  const [account, period, at] = [ground.key, DAY_ONE, later(TEN, HOUR)];
  const what = { at, kind: "reset", budget: "it", unit: "usd", value: undefined, account, period } as const;
  const settle = (amount: bigint, of = at) =>
    book.move(account, period, { kind: "settle", amount: nanoUsd(amount) }, of);
  const seen = () =>
    total(book.balance(account, TEN).settled, nanoUsd(-book.relief(ground, account, period)));
  settle(5n);
  await book.adjusting([{ ...what, amount: nanoUsd(-5n), by: "ops", reason: "a trial" }], async () => {
    // While it is on its way to the disk.
    settle(-1n, TEN);
    settle(50n);
    settle(-2n, later(at, HOUR));
  });
  t.is(seen(), nanoUsd(48n));
  settle(-3n, TEN);
  t.is(seen(), nanoUsd(48n));
  settle(-10n, at);
  t.is(seen(), nanoUsd(38n));
});
