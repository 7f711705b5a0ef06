// Which budget stands in for a value of a `per` budget, and which only looks as if it did.

import test, { type ExecutionContext } from "ava";
import { quantityOf } from "../../src/metering/quantity.ts";
import { covering, factsOf, groundsOf, isStoodInFor } from "../../src/policy/match.ts";
import type { Budget } from "../../src/policy/policy.ts";
import { type BudgetSketch, budget, policy, task, upstream } from "../support/policies.ts";
import { file, notes } from "./reading.ts";

const one = upstream("one");
const EACH: BudgetSketch = { limit_usd: "1", per: "user" };
const BOB: BudgetSketch = { limit_usd: "5", when: { user: "bob" } };

type Own = Partial<BudgetSketch> & Partial<Pick<Budget, "limits">>;

/** The budgets that count bob's request, where `own` is the one of his name. */
function check(t: ExecutionContext, own: Own, expected: readonly string[], each = EACH) {
  const { limits, ...sketch } = own;
  const bob = budget("bob", { ...BOB, ...sketch });
  const budgets = [budget("each", each), { ...bob, limits: limits ?? bob.limits }];
  const facts = factsOf(task({ labels: { user: "bob" } }), one);
  const found = covering(policy({ upstreams: [one], budgets }), facts);
  t.deepEqual(
    found.map(({ ground }) => ground.budget.id),
    expected,
  );
}

test("a budget of one value replaces the balance of that value", (t) => {
  check(t, {}, ["bob"]);
  check(t, { onLimit: "queue", priority: 9 }, ["bob"]);
});

test("a budget that only watches lifts no limit", (t) => {
  check(t, { shadow: true }, ["each", "bob"]);
  check(t, { enabled: false }, ["each"]);
});

test("a budget of other days lifts no limit on the days that it does not judge", (t) => {
  check(t, { from: "2026-12-01" }, ["each", "bob"]);
  check(t, { until: "2026-12-31" }, ["each", "bob"]);
  check(t, { from: "2026-12-01" }, ["bob"], { ...EACH, from: "2026-12-01" });
});

test("a budget of another period, reset day or unit counts beside it", (t) => {
  check(t, { period: "weekly" }, ["each", "bob"]);
  check(t, { period: "weekly", resetDay: 3 }, ["each", "bob"], { ...EACH, period: "weekly" });
  check(t, { limits: new Map([["requests", quantityOf(5)]]) }, ["each", "bob"]);
});

test("a budget of two values, or of a narrower scope, counts beside it", (t) => {
  check(t, { when: { user: ["bob", "alice"] } }, ["each", "bob"]);
  check(t, { when: { user: "bob", provider: "aws" } }, ["each", "bob"]);
  check(t, { when: { user: "bob", provider: "aws" } }, ["bob"], { ...EACH, when: { provider: "aws" } });
});

test("who says nothing is not who says unknown: the budget of that name is not theirs", (t) => {
  const budgets = [
    budget("each", { limit_usd: "1", per: "workflow" }),
    budget("own", { limit_usd: "5", when: { workflow: "unknown" } }),
  ];
  const given = policy({ upstreams: [one], budgets });
  const ids = (workflow?: string) =>
    covering(given, factsOf(task({ labels: { workflow } }), one)).map(({ ground }) => ground.budget.id);
  t.deepEqual(ids(), ["each"]);
  t.deepEqual(ids("unknown"), ["own"]);
});

test("a budget of one session stands in for the balance of that session, whoever it is of", (t) => {
  const each = budget("each", { limit_usd: "1", period: "per_session" });
  const own = budget("own", { limit_usd: "5", period: "per_session", when: { session: "s-1" } });
  const given = policy({ upstreams: [one], budgets: [each, own] });
  const ids = (session: string) => {
    const facts = factsOf(task({ labels: { user: "bob", session } }), one);
    return covering(given, facts).map(({ ground }) => ground.budget.id);
  };
  t.deepEqual(ids("s-1"), ["own"]);
  t.deepEqual(ids("s-2"), ["each"]);
  const [ground] = groundsOf(given);
  t.true(ground !== undefined && isStoodInFor(ground, '["bob","s-1"]'));
  t.false(ground !== undefined && isStoodInFor(ground, '["s-1",null]'));
});

test("check says which budget replaces which", (t) => {
  const of = (own: string) =>
    notes(
      file(
        `identity: token\nbudgets:\n  - {id: artist, per: user, limit_usd: 1}\n  - {id: big, when: {user: bob}, limit_usd: 5${own}}\n`,
      ),
    ).filter((each) => each.includes("replaces"));
  t.deepEqual(of(""), ["9:5 budgets[1]: replaces artist for user bob: only this limit counts there"]);
  t.deepEqual(of(", shadow: true"), []);
});

test("check says where a budget that lets all work pass replaces one that does not", (t) => {
  const of = (own: string) =>
    notes(
      file(
        `identity: token\nbudgets:\n  - {id: artist, per: user, limit_usd: 1, on_limit: block}\n  - {id: big, when: {user: bob}, limit_usd: 5${own}}\n`,
      ),
    ).filter((each) => each.includes("replaces"))[0];
  t.regex(of("") ?? "", /: only this limit counts there, and on_limit: warn lets all work pass$/);
  t.regex(of(", on_limit: queue") ?? "", /: only this limit counts there$/);
});
