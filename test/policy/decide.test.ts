import test, { type ExecutionContext } from "ava";
import type { Balance } from "../../src/metering/balance.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { formatNumber } from "../../src/metering/quantity-text.ts";
import { seconds } from "../../src/metering/time.ts";
import type { Balances } from "../../src/policy/admission.ts";
import { decide } from "../../src/policy/decide.ts";
import { NOTHING_KNOWN } from "../../src/policy/expect.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Task } from "../../src/policy/task.ts";
import {
  budget,
  model,
  perHour,
  perRequest,
  policy,
  TEN,
  task,
  upstream,
  usd,
  ZERO,
} from "../support/policies.ts";

const local = upstream("local", { provider: "local", price: perHour("0") });
const cheap = upstream("cheap", { provider: "aws", price: perHour("1.00") });
const dear = upstream("dear", { provider: "gcp", price: perHour("3.00") });
const all = [local, cheap, dear];

/** Every account has the same balance: enough for questions about rules. */
function view(balance: Balance = { settled: ZERO, held: ZERO }): Balances {
  return { at: TEN, balance: () => balance };
}

function ask(given: Policy, balances = view(), asked: Task = task()) {
  const flux = given.models.get("flux-dev");
  if (flux === undefined) throw new Error("no flux-dev");
  const candidates = flux.upstreams.flatMap((id) => {
    const found = given.upstreams.get(id);
    return found === undefined ? [] : [{ upstream: found, inFlight: 0 }];
  });
  return decide(
    { policy: given, model: flux, task: asked, candidates, unreachable: [], known: NOTHING_KNOWN },
    balances,
  );
}

function check(t: ExecutionContext, given: Policy, expected: string, balances?: Balances, asked?: Task) {
  const decision = ask(given, balances, asked);
  const said =
    decision.kind === "forward"
      ? `forward to ${decision.quote.upstream.id}`
      : decision.kind === "refuse"
        ? `refuse by ${decision.breach.budget}`
        : decision.kind;
  t.is(said, expected);
  return decision;
}

test("lowest_price takes the cheapest cloud upstream and leaves local out", (t) => {
  check(t, policy({ upstreams: all }), "forward to cheap");
});

test("X29: lowest_price takes local when include_local says so", (t) => {
  const given = policy({ upstreams: all, lowestPrice: { includeLocal: true, explore: false } });
  check(t, given, "forward to local");
});

test("mode local uses local upstreams only, and says so when there is none", (t) => {
  check(t, policy({ upstreams: all, mode: "local" }), "forward to local");
  const decision = check(t, policy({ upstreams: [cheap], mode: "local" }), "no_upstream");
  t.true(decision.kind === "no_upstream" && decision.reason.includes("mode local"));
});

test("manual mode takes the model's own choice, else the first", (t) => {
  const models = [model("flux-dev", ["cheap", "dear"], { manual: "dear" })];
  check(t, policy({ upstreams: all, mode: "manual", models }), "forward to dear");
  check(t, policy({ upstreams: all, mode: "manual" }), "forward to local");
});

test("in manual mode the request may name a provider; one that is not there is no upstream", (t) => {
  const given = policy({ upstreams: all, mode: "manual" });
  check(t, given, "forward to dear", view(), task({ provider: "gcp" }));
  check(t, given, "no_upstream", view(), task({ provider: "azure" }));
});

test("the rule says who made the choice, and what the mode left out", (t) => {
  const rule = (given: Policy, asked?: Task) => ask(given, view(), asked).explanation.rule;
  const models = [model("flux-dev", ["cheap", "dear"], { manual: "dear" })];
  const manual = policy({ upstreams: all, mode: "manual", models });
  t.is(rule(manual), "mode manual chose dear: it is the model's `manual`");
  t.is(
    rule(manual, task({ provider: "aws", gpuTier: cheap.gpuTier })),
    `mode manual chose cheap: the request asked for ${["aws", cheap.gpuTier].filter(Boolean).join(" ")}`,
  );
  t.is(
    rule(policy({ upstreams: all, mode: "manual" })),
    "mode manual chose local: it is the first listed: the model names no `manual`",
  );
  t.is(
    rule(policy({ upstreams: all })),
    "mode lowest_price chose cheap: the lowest price of 2 candidates; " +
      "local left out: lowest_price.include_local is false",
  );
  const both = policy({ upstreams: all, lowestPrice: { includeLocal: true, explore: false } });
  t.is(rule(both), "mode lowest_price chose local: the lowest price of 3 candidates");
});

test("a shadow price ranks but is not what is held", (t) => {
  const hosted = upstream("hosted", { price: perRequest("0"), rankPerRequest: usd("1.00") });
  const decision = check(t, policy({ upstreams: [hosted, cheap] }), "forward to cheap");
  t.is(decision.explanation.candidates.at(-1)?.hold, ZERO);
});

test("a limit that is met exactly passes, one nano-dollar over blocks", (t) => {
  const given = (limit: string) =>
    policy({
      upstreams: [upstream("one", { price: perRequest("0.01") })],
      budgets: [budget("day", { limit_usd: limit })],
    });
  const spent = view({ settled: usd("0.5"), held: usd("0.3") });
  check(t, given("0.81"), "forward to one", spent);
  check(t, given("0.809999999"), "refuse by day", spent);
});

test("a need of nothing never breaches, even where the limit is already passed", (t) => {
  const given = policy({ upstreams: [local], mode: "local", budgets: [budget("day", { limit_usd: "1" })] });
  check(t, given, "forward to local", view({ settled: usd("5"), held: ZERO }));
});

test("a candidate that does not fit its own budget drops out in lowest_price and is the outcome in manual", (t) => {
  const budgets = [budget("aws-day", { limit_usd: "0.000001", when: { provider: "aws" } })];
  check(t, policy({ upstreams: all, budgets }), "forward to dear");
  check(t, policy({ upstreams: [cheap, dear], budgets, mode: "manual" }), "refuse by aws-day");
});

test("a budget that all candidates share decides alone only when even the cheapest does not fit", (t) => {
  // 12 s at 1 USD/h is 0.003333334, at 3 USD/h 0.01.
  const between = [budget("day", { limit_usd: "0.005" })];
  check(t, policy({ upstreams: [dear, cheap], budgets: between }), "forward to cheap");
  check(t, policy({ upstreams: [dear], budgets: between }), "refuse by day");
  const none = [
    budget("day", { limit_usd: "0.001" }),
    budget("gcp", { limit_usd: "0.0001", when: { provider: "gcp" } }),
  ];
  check(t, policy({ upstreams: [dear, cheap], budgets: none }), "refuse by day");
});

test("the strictest action of several breached budgets is the one that is told", (t) => {
  const budgets = [
    budget("queue-day", { limit_usd: "0.001", onLimit: "queue" }),
    budget("block-day", { limit_usd: "0.001", onLimit: "block" }),
    budget("degrade-day", { limit_usd: "0.001", onLimit: "degrade" }),
  ];
  check(t, policy({ upstreams: [cheap], budgets }), "refuse by block-day");
});

for (const onLimit of ["ignore", "warn", "soft_limit"] as const) {
  test(`${onLimit} never refuses`, (t) => {
    const budgets = [budget("day", { limit_usd: "0.000001", onLimit })];
    check(t, policy({ upstreams: [cheap], budgets }), "forward to cheap");
  });
}

test("a shadow budget and a disabled one never refuse; the shadow one is explained", (t) => {
  const budgets = [
    budget("shadow", { limit_usd: "0.000001", shadow: true }),
    budget("off", { limit_usd: "0.000001", enabled: false }),
  ];
  const decision = check(t, policy({ upstreams: [cheap], budgets }), "forward to cheap");
  const [explained] = decision.explanation.candidates;
  t.deepEqual(
    explained?.budgets.map((one) => [one.budget, one.fits, one.shadow]),
    [["shadow", false, true]],
  );
});

test("a warn budget near its limit warns, and says by how much", (t) => {
  const budgets = [budget("day", { limit_usd: "1.00", onLimit: "warn" })];
  const decision = check(
    t,
    policy({ upstreams: [cheap], budgets }),
    "forward to cheap",
    view({ settled: usd("0.76"), held: ZERO }),
  );
  if (decision.kind !== "forward") return t.fail();
  t.is(decision.warnings[0]?.text, "budget day runs low: 0.763333334 of 1.00 USD used or held");
});

test("a hold over midnight asks each day for its own seconds", (t) => {
  const at = (Date.UTC(2026, 10, 22, 23, 59, 57) * 1000) as typeof TEN;
  const given = policy({ upstreams: [upstream("one")], budgets: [budget("day", { limit_usd: "1" })] });
  const flux = given.models.get("flux-dev");
  if (flux === undefined) return t.fail();
  const candidates = [{ upstream: upstream("one"), inFlight: 0 }];
  const decision = decide(
    { policy: given, model: flux, task: task(), candidates, unreachable: [], known: NOTHING_KNOWN },
    { at, balance: () => ({ settled: ZERO, held: ZERO }) },
  );
  if (decision.kind !== "forward") return t.fail();
  // 3.6 USD/h is a million nanos a second: 3 s before midnight, 9 s after.
  t.deepEqual(
    decision.claims.map((claim) => claim.amount),
    [3_000_000n, 9_000_000n],
  );
});

test("a per budget counts each value apart, and a budget of one value replaces its balance", (t) => {
  const budgets = [
    budget("each", { limit_usd: "1", per: "user" }),
    budget("alice", { limit_usd: "5", when: { user: "alice" } }),
  ];
  const given = policy({ upstreams: [cheap], budgets });
  const claims = (user: string) => {
    const decision = ask(given, view(), task({ labels: { user } }));
    return decision.kind === "forward"
      ? decision.claims.map(({ limit }) => formatNumber("usd", limit ?? ZERO))
      : [];
  };
  t.deepEqual(claims("bob"), ["1.00"]);
  t.deepEqual(claims("alice"), ["5.00"]);
});

test("a refusal names what would have passed, free local work included", (t) => {
  const given = policy({ upstreams: all, budgets: [budget("day", { limit_usd: "0.001" })] });
  const decision = check(t, given, "refuse by day");
  t.deepEqual(decision.kind === "refuse" && decision.breach.alternatives.map((one) => one.upstream), [
    "local",
  ]);
});

test("equal prices go to the upstream with fewer requests in flight, then to the policy's order", (t) => {
  const twin = upstream("twin", { price: perHour("1.00") });
  const given = policy({ upstreams: [cheap, twin] });
  const flux = given.models.get("flux-dev");
  if (flux === undefined) return t.fail();
  const pick = (first: number, second: number) => {
    const candidates = [
      { upstream: cheap, inFlight: first },
      { upstream: twin, inFlight: second },
    ];
    const decision = decide(
      { policy: given, model: flux, task: task(), candidates, unreachable: [], known: NOTHING_KNOWN },
      view(),
    );
    return decision.kind === "forward" ? decision.quote.upstream.id : decision.kind;
  };
  t.is(pick(1, 0), "twin");
  t.is(pick(1, 1), "cheap");
});

test("a shared budget that only some candidates fit lets those through, in every mode", (t) => {
  const big = upstream("big", { provider: "local", price: perRequest("1") });
  const small = upstream("small", { provider: "local", price: perRequest("0.1") });
  const budgets = [budget("all", { limit_usd: "0.5" })];
  check(t, policy({ mode: "local", upstreams: [big, small], budgets }), "forward to small");
});

test("at a turn the one that asks each day for less fits, though it asks for more in all", (t) => {
  const hourly = upstream("hourly", { price: perHour("3.6") });
  const piece = upstream("piece", { price: perRequest("0.011") });
  const given = policy({ upstreams: [hourly, piece], budgets: [budget("day", { limit_usd: "0.008" })] });
  const beforeMidnight = { ...view(), at: (TEN + 14 * 3_600_000_000 - 6_000_000) as typeof TEN };
  check(t, given, "forward to hourly", beforeMidnight);
});

test("a shared budget of another unit judges by the least that any candidate asks of it", (t) => {
  // It takes 30 s at one, as the policy says, and 15 s at the other, as was learned there.
  const given = policy({
    upstreams: [cheap, dear],
    models: [model("flux-dev", ["cheap", "dear"], { estimate: seconds(30) })],
    budgets: [budget("time", { limits: { seconds: 20 }, onLimit: "queue" })],
  });
  const learned = { median: seconds(15), upper: seconds(15), requests: 9, from: "upstream" } as const;
  const like = {
    learned: (id: string) => (id === "dear" ? learned : undefined),
    atLeast: () => undefined,
    fastest: () => undefined,
  };
  const known = { like: () => like as never, mayTry: () => false };
  const flux = given.models.get("flux-dev");
  if (flux === undefined) throw new Error("no flux-dev");
  const candidates = [cheap, dear].map((one) => ({ upstream: one, inFlight: 0 }));
  const question = { policy: given, model: flux, task: task(), candidates, unreachable: [], known };
  const half = view({ settled: quantityOf(10_000_000), held: ZERO });
  const decision = decide(question, half);
  const needed = decision.kind === "wait" ? decision.money?.breach.needed : undefined;
  t.is(needed, quantityOf(15_000_000), "30 s would never fit 20 s; 15 s do, once the period turns");
});
