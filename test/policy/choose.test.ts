// Which candidate takes a request where some of them cannot right now: spilling over, waiting, the last resort.

import test, { type ExecutionContext } from "ava";
import { MINUTE, seconds } from "../../src/metering/time.ts";
import type { Balances } from "../../src/policy/admission.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Decided } from "../../src/policy/decision.ts";
import { NOTHING_KNOWN } from "../../src/policy/expect.ts";
import type { Hindrance } from "../../src/policy/hindrance.ts";
import type { Policy, Upstream } from "../../src/policy/policy.ts";
import { budget, perHour, policy, TEN, task, upstream, ZERO } from "../support/policies.ts";

const cheap = upstream("cheap", { price: perHour("1.00") });
const dear = upstream("dear", { provider: "gcp", price: perHour("3.00") });
const near = upstream("near", { provider: "local", price: perHour("0.50") });
const nearer = upstream("nearer", { provider: "local", price: perHour("0.60") });

const BUSY: Hindrance = { kind: "busy", running: 1, concurrency: 1 };
const RATED: Hindrance = { kind: "rated", rate: { calls: 40, per: MINUTE }, again: seconds(20) };
const TRIAL: Hindrance = { kind: "trial", failures: 4 };
const out = (again: number): Hindrance => ({
  ...{ kind: "ejected", failures: 3, why: "connect ECONNREFUSED", again: seconds(again) },
});
const EMPTY: Balances = { at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) };

function ask(given: Policy, hindered: Readonly<Record<string, Hindrance>>, asked = task()): Decided {
  const model = given.models.get("flux-dev");
  if (model === undefined) throw new Error("no flux-dev");
  const candidates = model.upstreams.flatMap((id) => {
    const found = given.upstreams.get(id);
    return found === undefined ? [] : [{ upstream: found, inFlight: 0, hindrance: hindered[id] }];
  });
  return decide(
    { policy: given, model, task: asked, candidates, unreachable: [], known: NOTHING_KNOWN },
    EMPTY,
  );
}

function check(t: ExecutionContext, given: Policy, hindered: Record<string, Hindrance>, expected: string) {
  const decision = ask(given, hindered);
  t.is(sayingOf(decision), expected);
  return decision;
}

function sayingOf(decision: Decided): string {
  if (decision.kind === "forward") return `forward to ${decision.quote.upstream.id}`;
  if (decision.kind !== "wait") return decision.kind;
  return `wait for ${decision.upstreams.join(", ")}${decision.isLastResort ? " as the last resort" : ""}`;
}

const of = (mode: Policy["mode"], ...upstreams: readonly Upstream[]) => policy({ mode, upstreams });
const price = of("lowest_price", cheap, dear);
const local = of("local", near, nearer);
const manual = of("manual", cheap, dear);

test("lowest_price and local spill over to the next that is free", (t) => {
  check(t, price, { cheap: BUSY }, "forward to dear");
  check(t, price, { cheap: RATED }, "forward to dear");
  check(t, price, { cheap: out(5) }, "forward to dear");
  check(t, local, { near: BUSY }, "forward to nearer");
});

test("A34, A55: manual waits for the one that is selected, however free the others are", (t) => {
  check(t, manual, { cheap: BUSY }, "wait for cheap");
  check(t, manual, { cheap: RATED }, "wait for cheap");
});

test("where all are at their limit, whichever is free first is waited for, in rank order", (t) => {
  check(t, price, { dear: BUSY, cheap: RATED }, "wait for cheap, dear");
  check(t, price, { cheap: { kind: "queued", waiting: 2 }, dear: BUSY }, "wait for cheap, dear");
  check(t, local, { near: BUSY, nearer: BUSY }, "wait for near, nearer");
});

test("spilling over stays within the budgets: what does not fit is neither taken nor waited for", (t) => {
  const budgets = [budget("gcp-day", { limit_usd: "0.000001", when: { provider: "gcp" } })];
  const given = policy({ upstreams: [cheap, dear], budgets });
  check(t, given, { cheap: BUSY }, "wait for cheap");
  check(t, given, { cheap: BUSY, dear: BUSY }, "wait for cheap");
  const none = [budget("day", { limit_usd: "0.000001" })];
  check(t, policy({ upstreams: [cheap, dear], budgets: none }), { cheap: BUSY, dear: BUSY }, "refuse");
});

test("in local mode the budget of the next one is no reason to be refused while the first is only busy", (t) => {
  const budgets = [budget("second", { limit_usd: "0.000001", when: { upstream: "nearer" } })];
  const given = policy({ mode: "local", upstreams: [near, nearer], budgets });
  check(t, given, { near: BUSY }, "wait for near");
  const first = [budget("first", { limit_usd: "0.000001", when: { upstream: "near" } })];
  check(t, policy({ mode: "local", upstreams: [near, nearer], budgets: first }), {}, "refuse");
});

test("one that is only busy is waited for before one that is ejected is tried", (t) => {
  check(t, price, { cheap: out(5), dear: BUSY }, "wait for cheap, dear");
});

test("where all are ejected, the one that would be tried again first is tried now, one at a time", (t) => {
  check(t, price, { cheap: out(20), dear: out(5) }, "forward to dear");
  check(t, price, { cheap: out(20), dear: TRIAL }, "forward to cheap");
  check(t, manual, { cheap: out(20) }, "forward to cheap");
  check(t, price, { cheap: TRIAL, dear: TRIAL }, "wait for cheap, dear as the last resort");
});

test("a wait says when it may end, and when to come again", (t) => {
  const decision = ask(price, { cheap: RATED, dear: { ...RATED, again: seconds(50) } });
  t.like(decision, { kind: "wait", notBefore: seconds(20), retryAfter: seconds(20) });
  const busy = ask(price, { cheap: { ...RATED, again: seconds(50) }, dear: BUSY });
  t.like(busy, { kind: "wait", notBefore: 0, retryAfter: seconds(12) });
});

test("what hinders each is said where it was decided", (t) => {
  const said = (hindered: Record<string, Hindrance>) => {
    const { explanation } = ask(price, hindered);
    return [explanation.rule, ...explanation.candidates.map(({ leftOut }) => leftOut)];
  };
  t.deepEqual(said({ cheap: BUSY }), [
    "mode lowest_price chose dear: the lowest price of 2 candidates (cheap is busy: 1 of 1 runs)",
    "busy: 1 of 1 runs",
    undefined,
  ]);
  t.deepEqual(
    said({ cheap: { ...BUSY, running: 3, concurrency: 3 }, dear: { ...RATED, again: seconds(0.2) } }),
    [
      "no upstream of flux-dev can take it now: cheap is busy: 3 of 3 run; " +
        "dear is out of calls: its rate_limit 40/min is used up, the next is free in 1 s",
      "busy: 3 of 3 run",
      "out of calls: its rate_limit 40/min is used up, the next is free in 1 s",
    ],
  );
  t.deepEqual(said({ cheap: out(7.1), dear: { kind: "queued", waiting: 1 } }).slice(1), [
    "ejected after 3 failures in a row, tried again in 8 s: connect ECONNREFUSED",
    "waited for: 1 request came earlier",
  ]);
  t.deepEqual(said({ cheap: out(7), dear: TRIAL }), [
    "mode lowest_price chose cheap: all that may serve are ejected, and it is the first to be tried again",
    undefined,
    "ejected after 4 failures in a row, and one request tries it now",
  ]);
});
