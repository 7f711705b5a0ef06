// When a budget is worth an alert: from which nano-dollar on, whose balance, and never twice in a period.

import test, { type ExecutionContext } from "ava";
import { Book } from "../../src/ledger/book.ts";
import { quantityOf, sum } from "../../src/metering/quantity.ts";
import { HOUR, type Instant, later } from "../../src/metering/time.ts";
import { onceKey } from "../../src/policy/alert.ts";
import { accountOf, groundsOf, periodFor } from "../../src/policy/match.ts";
import { coveragesOf } from "../../src/policy/named-balance.ts";
import { thresholdAlerts } from "../../src/policy/threshold-alerts.ts";
import { randomOf } from "../support/busy-ledger.ts";
import { type BudgetSketch, budget, policy, TEN, upstream, usd } from "../support/policies.ts";

const of = (...budgets: ReturnType<typeof budget>[]) => policy({ upstreams: [upstream("one")], budgets });

/** Events of a budget of 1000 nano-dollars with so many settled and held. */
function check(
  t: ExecutionContext,
  [settled, held]: readonly [number, number],
  expected: readonly string[],
  over: BudgetSketch = {},
) {
  const given = of(budget("day", { limit_usd: "0.000001", onLimit: "warn", ...over }));
  const [ground] = groundsOf(given);
  if (ground === undefined) throw new Error("no ground");
  const account = ground.per === undefined ? ground.key : accountOf(ground.key, "ann");
  const balance = { settled: quantityOf(settled), held: quantityOf(held) };
  const alerts = coveragesOf(given, account).flatMap((coverage) =>
    thresholdAlerts(
      coverage,
      () => balance,
      TEN,
      () => false,
    ),
  );
  t.deepEqual(
    alerts.map(({ event }) => event),
    expected,
  );
  return alerts;
}

test("each threshold counts from its own nano-dollar on, what is held included", (t) => {
  check(t, [749, 0], []);
  check(t, [700, 50], ["warning"]);
  check(t, [899, 0], ["warning"]);
  check(t, [0, 900], ["warning", "critical"]);
  check(t, [999, 0], ["warning", "critical"]);
  check(t, [1000, 0], ["warning", "critical", "limit"]);
});

test("the policy's own thresholds count", (t) => {
  check(t, [500, 0], ["warning"], { warnAt: 0.5, criticalAt: 0.99 });
  check(t, [989, 0], ["warning"], { warnAt: 0.5, criticalAt: 0.99 });
});

test("a budget that only counts, that judges on another day, or of which nothing is used, says nothing", (t) => {
  check(t, [5000, 0], [], { onLimit: "ignore" });
  check(t, [5000, 0], [], { from: "2026-11-23" });
  check(t, [0, 0], [], { limit_usd: "0" });
});

test("a shadow tells too, and says that requests go on", (t) => {
  const alerts = check(t, [1000, 0], ["warning", "critical", "limit"], { shadow: true, onLimit: "block" });
  t.regex(alerts[2]?.text ?? "", /it is a shadow, so requests go on$/);
});

test("the words say whose balance, how much of what, and until when", (t) => {
  const [warning] = check(t, [700, 60], ["warning"], { per: "user" });
  t.is(
    warning?.text,
    "budget day (user ann) has used 76 % of its limit: " +
      "0.00000076 of 0.000001 USD, 0.00000006 of it held for work under way, until 2026-11-23 00:00 UTC",
  );
  t.deepEqual(warning?.figures, { limit_usd: "0.000001", settled_usd: "0.0000007", held_usd: "0.00000006" });
});

test("a request that is a task of its own is no news, a task that clients name is", (t) => {
  const given = of(budget("one", { limit_usd: "0.000001", period: "per_task" }));
  const [ground] = groundsOf(given);
  const told = (task: string) =>
    coveragesOf(given, accountOf(ground?.key ?? "", task)).flatMap((coverage) =>
      thresholdAlerts(
        coverage,
        () => ({ settled: usd("1") as never, held: quantityOf(0) }),
        TEN,
        () => false,
      ),
    );
  t.is(told(`r-${"0".repeat(32)}`).length, 0);
  t.is(told("poster").length, 3);
});

test("a balance is found by its name, whatever signs a value holds", (t) => {
  const given = of(
    budget("by-user", { limit_usd: "1", per: "user", when: { project: "a=b" } }),
    budget("all", { limit_usd: "1", limits: { images: 5 } }),
  );
  const [byUser, all] = groundsOf(given);
  const ids = (account: string) => coveragesOf(given, account).map(({ ground }) => ground.budget.id);
  t.deepEqual(ids(accountOf(byUser?.key ?? "", "x=y|z")), ["by-user"]);
  t.deepEqual(ids(all?.key ?? ""), ["all"]);
  t.deepEqual(ids(byUser?.key ?? ""), [], "the ground of a per budget is no balance");
  t.deepEqual(ids("usd|daily/1/UTC|all||model=flux"), []);
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`on a random walk every threshold that was reached is told, once in its period (seed ${seed})`, (t) => {
    walk(t, seed);
  });
}

/** Balances go up and down over some hours; what should be told is recounted from the highest use there was. */
function walk(t: ExecutionContext, seed: number): void {
  const random = randomOf(seed);
  const given = of(
    budget("hour", { limit_usd: "0.000001", limits: { images: 20 }, period: "hourly", warnAt: 0.6 }),
    budget("users", { limit_usd: "0.0000007", per: "user", onLimit: "warn" }),
  );
  const names = groundsOf(given).flatMap(({ key, per }) =>
    per === undefined ? [key] : ["ann", "bob=1"].map((user) => accountOf(key, user)),
  );
  const book = new Book();
  const told = new Set<string>();
  const heard: string[] = [];
  const highest = new Map<
    string,
    { readonly used: bigint; readonly limit: bigint; readonly warnAt: number }
  >();
  let at: Instant = TEN;
  for (let step = 0; step < 400; step += 1) {
    if (random() < 0.03) at = later(at, HOUR);
    const account = names[Math.floor(random() * names.length)] ?? "";
    for (const coverage of coveragesOf(given, account)) {
      const { ground } = coverage;
      const period = periodFor(ground, at);
      const before = book.balance(account, period.start);
      const share = BigInt(Math.floor(random() * 120));
      const amount = quantityOf((ground.limit * share) / 400n + 1n);
      const isBack = before.held > 0n && random() < 0.5;
      const kind = isBack ? "unhold" : random() < 0.2 ? "settle" : "hold";
      book.move(account, period, { kind, amount: isBack ? before.held : amount });
      const { settled, held } = book.balance(account, period.start);
      const key = `${ground.budget.id} ${ground.unit} ${account} ${period.start}`;
      const used = sum(settled, held);
      if (used > (highest.get(key)?.used ?? 0n)) {
        highest.set(key, { used, limit: ground.limit, warnAt: ground.budget.warnAt });
      }
      const alerts = thresholdAlerts(
        coverage,
        (name, start) => book.balance(name, start),
        at,
        (once) => told.has(once),
      );
      for (const alert of alerts) {
        told.add(onceKey(alert));
        heard.push(`${key} ${alert.event}`);
      }
    }
  }
  const expected = [...highest].flatMap(([key, { used, limit, warnAt }]) => [
    ...(Number(used) >= Number(limit) * warnAt ? [`${key} warning`] : []),
    ...(Number(used) >= Number(limit) * 0.9 ? [`${key} critical`] : []),
    ...(used >= limit ? [`${key} limit`] : []),
  ]);
  t.true(expected.length > 10, `seed ${seed} reaches too little`);
  t.deepEqual(heard.sort(), expected.sort());
}
