// A policy's budgets are found by what they are about, without looking at all of them: for any policy and any
// request that must be what a look at all of them finds, in the policy's order.

import test from "ava";
import fc from "fast-check";
import { covering, coveringAt, type Facts, factsOf, groundsOf } from "../../src/policy/match.ts";
import { type Budget, SCOPES, type Scope } from "../../src/policy/policy.ts";
import { budget, policy, task, upstream } from "../support/policies.ts";

const NAMES = ["a", "b", "c"];
const name = fc.constantFrom(...NAMES);
const scope = fc.constantFrom<Scope>(
  "user",
  "workflow",
  "project",
  "tag",
  "provider",
  "gpu_tier",
  "upstream",
);

const budgets = fc.array(
  fc.record({
    when: fc.dictionary(scope, fc.uniqueArray(name, { minLength: 1 }), { maxKeys: 3 }),
    per: fc.option(fc.constantFrom<Scope>("user", "gpu_tier", "session"), { nil: undefined }),
    enabled: fc.boolean(),
    period: fc.constantFrom("daily", "infinite"),
  }),
  { maxLength: 25 },
);

const asked = fc.record({
  labels: fc.record({ user: name }, { requiredKeys: ["user"] }),
  further: fc.dictionary(fc.constantFrom("workflow", "project", "tag", "session"), name),
});

const places = fc.array(
  fc.record({ id: name, provider: name, gpuTier: fc.option(name, { nil: undefined }) }),
  {
    minLength: 1,
    maxLength: 5,
  },
);

test("whatever the policy and the request, the index finds what a look at all budgets finds", (t) => {
  fc.assert(
    fc.property(budgets, asked, places, (given, { labels, further }, at) => {
      const current = policy({
        upstreams: [upstream("aws")],
        budgets: given.map(({ when, per, enabled, period }, index) => ({
          ...budget(`b-${index}`, { limit_usd: "1", period }),
          when: new Map(Object.entries(when)) as unknown as Budget["when"],
          ...{ per, enabled },
        })),
      });
      const one = task({ labels: { ...labels, ...further } });
      const find = coveringAt(current, one);
      for (const place of at) {
        const there = { ...upstream(place.id, { provider: "aws" }), ...place } as ReturnType<typeof upstream>;
        const facts = factsOf(one, there);
        const naive = groundsOf(current).filter(({ budget: { when, per } }, index) =>
          covers(when, facts, per, groundsOf(current)[index]?.replaced ?? new Set()),
        );
        const ids = (all: readonly { readonly ground: { readonly budget: Budget } }[]) =>
          all.map(({ ground }) => ground.budget.id);
        const expected = naive.map(({ budget: { id } }) => id);
        t.deepEqual(ids(covering(current, facts)), expected);
        t.deepEqual(find(there), covering(current, facts));
      }
    }),
    { numRuns: 500 },
  );
});

/** Written anew: every key of `when` has the value, and nobody else counts it instead. */
function covers(
  when: Budget["when"],
  facts: Facts,
  per: Scope | undefined,
  replaced: ReadonlySet<string>,
): boolean {
  for (const key of SCOPES) {
    const values = when.get(key);
    if (values !== undefined && !values.some((value) => value === facts[key])) return false;
  }
  const value = per === undefined ? undefined : facts[per];
  return value === undefined || !replaced.has(value);
}

test("10,000 budgets about others are not looked at", (t) => {
  let looks = 0;
  const others = Array.from({ length: 10_000 }, (_, index) => {
    const when = new Map([["user", [`other-${index}`]]]) as unknown as Budget["when"];
    return { ...budget(`o-${index}`, { limit_usd: "1" }), when };
  });
  const watched = others.map((one) => ({
    ...one,
    get overrun() {
      looks += 1;
      return one.overrun;
    },
  }));
  const current = policy({
    upstreams: [upstream("aws")],
    budgets: [...watched, budget("all", { limit_usd: "1" })],
  });
  const facts = factsOf(task({ labels: { user: "ann" } }), upstream("aws"));
  t.deepEqual(
    covering(current, facts).map(({ ground }) => ground.budget.id),
    ["all"],
  );
  t.is(looks, 0);
});
