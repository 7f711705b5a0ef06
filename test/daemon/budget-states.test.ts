// Which balances are shown: those that mean something to whoever looks.

import test from "ava";
import { budgetStates } from "../../src/daemon/budget-states.ts";
import { Book } from "../../src/ledger/book.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { instantUs } from "../../src/metering/time.ts";
import { accountOf, groundsOf, periodFor } from "../../src/policy/match.ts";
import { budget, policy, usd } from "../support/policies.ts";

const AT = instantUs(1_795_342_500_000_001);
const OWN = `r-${"0123456789abcdef".repeat(2)}`;

for (const [title, changes, expected] of [
  ["a budget per task shows tasks at work alone, and no request as a task", { period: "per_task" }, ["open"]],
  ["a budget per session shows sessions at work alone", { period: "per_session" }, ["open", OWN]],
  ["a daily budget per task shows no finished task either", { per: "task" }, ["open"]],
  ["a budget per user shows all of them", { per: "user" }, ["done", "open", OWN]],
] as const) {
  test(title, (t) => {
    const shown = policy({ upstreams: [], budgets: [{ ...budget("b", { limit_usd: "5" }), ...changes }] });
    const [ground] = groundsOf(shown);
    if (ground === undefined) return t.fail("there is a budget");
    const book = new Book();
    const period = periodFor(ground, AT);
    for (const [value, settled, held] of [
      ["done", 5n, 0n],
      ["open", 1n, 1n],
      [OWN, 0n, 1n],
    ] as const) {
      const change = { settled: nanoUsd(settled), held: nanoUsd(held) };
      book.load({ account: accountOf(ground.key, value), ...period, ...change });
    }
    t.deepEqual(
      budgetStates(shown, book, AT).map(({ value }) => value),
      [...expected],
    );
  });
}

test("a budget of one balance has it from the start, a disabled one has none", (t) => {
  const budgets = [budget("b", { limit_usd: "5" }), budget("off", { limit_usd: "5", enabled: false })];
  const shown = budgetStates(policy({ upstreams: [], budgets }), new Book(), AT);
  t.like(shown, [{ budget: { id: "b" }, limit: usd("5"), settled: 0n, held: 0n }]);
  t.is(shown.length, 1);
});

test("of hundreds of users those are shown who have used most, the most first", (t) => {
  const shown = policy({ upstreams: [], budgets: [budget("b", { limit_usd: "5", per: "user" })] });
  const [ground] = groundsOf(shown);
  if (ground === undefined) return t.fail("there is a budget");
  const book = new Book();
  const period = periodFor(ground, AT);
  for (let user = 0; user < 300; user += 1) {
    // What is held counts like what is settled; the order of arrival says nothing.
    const used = nanoUsd(BigInt((user * 7) % 300));
    const change =
      user % 2 === 0 ? { settled: used, held: nanoUsd(0n) } : { settled: nanoUsd(0n), held: used };
    book.load({ account: accountOf(ground.key, `user-${user}`), ...period, ...change });
  }
  const used = budgetStates(shown, book, AT).map(({ settled, held }) => Number(settled + held));
  t.deepEqual(
    used,
    Array.from({ length: 200 }, (_, place) => 299 - place),
  );
});
