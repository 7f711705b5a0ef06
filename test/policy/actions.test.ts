// What each action does where its budget has not what is asked for, alone and layered (MONEY §5).

import test, { type ExecutionContext } from "ava";
import type { Balance } from "../../src/metering/balance.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { MINUTE, seconds } from "../../src/metering/time.ts";
import type { Balances } from "../../src/policy/admission.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Decided } from "../../src/policy/decision.ts";
import { fallbackFor } from "../../src/policy/degrade.ts";
import { NOTHING_KNOWN } from "../../src/policy/expect.ts";
import type { Hindrance } from "../../src/policy/hindrance.ts";
import type { Action, Budget, Model, Policy } from "../../src/policy/policy.ts";
import type { Task } from "../../src/policy/task.ts";
import {
  type BudgetSketch,
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

const near = upstream("near", { provider: "local", price: perHour("0") });
const small = upstream("small", { price: perRequest("0.10"), gpuTier: "t4" });
const big = upstream("big", { price: perRequest("0.30"), gpuTier: "a100" });
const gcp = upstream("gcp", { provider: "gcp", price: perRequest("0.20"), gpuTier: "a100" });
const BUSY: Hindrance = { kind: "busy", running: 1, concurrency: 1 };

interface Asked {
  readonly balance?: Balance;
  readonly claimed?: bigint;
  readonly busy?: readonly string[];
  readonly task?: Task;
}

function ask(given: Policy, { balance, claimed, busy = [], task: asked = task() }: Asked = {}): Decided {
  const flux = given.models.get("flux-dev");
  if (flux === undefined) throw new Error("no flux-dev");
  const candidatesOf = ({ upstreams }: Model) =>
    upstreams.flatMap((id) => {
      const found = given.upstreams.get(id);
      const hindrance = busy.includes(id) ? BUSY : undefined;
      return found === undefined ? [] : [{ upstream: found, inFlight: 0, hindrance }];
    });
  const view: Balances = {
    at: TEN,
    balance: () => balance ?? { settled: ZERO, held: ZERO },
    ...(claimed !== undefined && { claimed: () => ({ amount: quantityOf(claimed), requests: 1 }) }),
  };
  const fallback = fallbackFor(given, flux, candidatesOf);
  const question = {
    policy: given,
    model: flux,
    task: asked,
    fallback,
    unreachable: [],
    known: NOTHING_KNOWN,
  };
  return decide({ ...question, candidates: candidatesOf(flux) }, view);
}

/** "forward to near, from big", "wait for money of day", "wait for big", "refuse by day". */
function sayingOf(decision: Decided): string {
  switch (decision.kind) {
    case "forward": {
      const { degraded, quote } = decision;
      const name = degraded === undefined ? quote.upstream.id : `${degraded.to.upstream}`;
      const model = degraded?.to.model === degraded?.from.model ? "" : ` as ${degraded?.to.model}`;
      return `forward to ${name}${model}${degraded === undefined ? "" : `, from ${degraded.from.upstream}`}`;
    }
    case "wait":
      return decision.money === undefined
        ? `wait for ${decision.upstreams.join(", ")}`
        : `wait for money of ${decision.money.breach.budget}`;
    case "refuse":
      return `refuse by ${decision.breach.budget}`;
    case "no_upstream":
    case "stopped":
      return decision.kind;
  }
}

function check(t: ExecutionContext, given: Policy, expected: string, asked?: Asked): Decided {
  const decision = ask(given, asked);
  t.is(sayingOf(decision), expected);
  return decision;
}

const tight = (onLimit: Action, over: Partial<BudgetSketch> = {}) =>
  budget(`${onLimit}-day`, { limit_usd: "0.15", onLimit, ...over });
const manual = (budgets: readonly Budget[], upstreams = [big, small]) =>
  policy({ mode: "manual", upstreams, budgets });

test("ignore counts in silence, warn lets through and says so, soft_limit too", (t) => {
  const ignored = check(t, manual([tight("ignore")]), "forward to big");
  t.like(ignored, { kind: "forward", warnings: [] });
  for (const action of ["warn", "soft_limit"] as const) {
    const told = check(t, manual([tight(action)]), "forward to big");
    t.like(told, { warnings: [{ budget: `${action}-day`, action }] });
  }
});

test("soft_limit names what would cost less from critical_at on, and not one nano-dollar below", (t) => {
  const given = manual([budget("soft", { limit_usd: "1", onLimit: "soft_limit", criticalAt: 0.9 })]);
  const cheaper = (settled: string) => {
    const decision = check(t, given, "forward to big", { balance: { settled: usd(settled), held: ZERO } });
    return decision.kind === "forward" ? decision.cheaper.map((one) => one.upstream) : undefined;
  };
  t.deepEqual(cheaper("0.599999999"), []);
  t.deepEqual(cheaper("0.6"), ["small"]);
});

test("each action alone, at one candidate that is too dear", (t) => {
  check(t, manual([tight("block")]), "refuse by block-day");
  check(t, manual([tight("queue", { limit_usd: "0.30" })], [big]), "forward to big");
  const spent = { balance: { settled: usd("0.10"), held: ZERO } };
  check(t, manual([tight("queue", { limit_usd: "0.30" })]), "wait for money of queue-day", spent);
  check(t, manual([tight("degrade")]), "forward to small, from big");
});

test("of several that are breached the strictest acts", (t) => {
  const layers = (...actions: readonly Action[]) =>
    manual(actions.map((action) => tight(action, { limit_usd: "0.35" })));
  const spent = { balance: { settled: usd("0.20"), held: ZERO } };
  check(t, layers("warn", "degrade"), "forward to small, from big", spent);
  check(t, layers("queue", "degrade", "warn"), "wait for money of queue-day", spent);
  check(t, layers("queue", "block", "degrade"), "refuse by block-day", spent);
});

test("degrade prefers its own tier, then another, then the fallback model", (t) => {
  const fast = model("flux-fast", ["small"], { estimate: seconds(3) });
  const of = (upstreams: readonly (typeof big)[], limit: string) =>
    policy({
      mode: "manual",
      upstreams: [...upstreams, small],
      models: [
        model(
          "flux-dev",
          upstreams.map(({ id }) => id),
          { manual: "big", fallbackModel: "flux-fast" },
        ),
        fast,
      ],
      budgets: [tight("degrade", { limit_usd: limit })],
    });
  check(t, of([big, small, gcp], "0.25"), "forward to gcp, from big");
  check(t, of([big, small, gcp], "0.15"), "forward to small, from big");
  check(t, of([big, gcp], "0.15"), "forward to small as flux-fast, from big");
  check(t, of([big, gcp], "0.05"), "refuse by degrade-day");
});

test("degrade goes nowhere that costs as much, and in mode local never out of the house", (t) => {
  const twin = upstream("twin", { price: perRequest("0.30") });
  check(t, manual([tight("degrade", { when: { upstream: "big" } })], [big, twin]), "refuse by degrade-day");
  const dear = upstream("dear", { provider: "local", price: perRequest("0.30") });
  const local = policy({ mode: "local", upstreams: [dear, small], budgets: [tight("degrade")] });
  check(t, local, "refuse by degrade-day");
  check(t, { ...local, mode: "manual" }, "forward to small, from dear");
});

test("lowest_price degrades to a local upstream that it leaves out otherwise", (t) => {
  const given = policy({ upstreams: [near, small], budgets: [tight("degrade", { limit_usd: "0.05" })] });
  const decision = check(t, given, "forward to near, from small");
  t.is(
    decision.explanation.rule,
    "budget degrade-day does not have what this needs, and its on_limit is degrade: " + "from small to near",
  );
  t.like(decision.explanation, { chosen: "near", degraded: { budget: "degrade-day" } });
});

test("a degraded quote must fit all of its own budgets, and is not degraded again", (t) => {
  const own = (onLimit: Action) =>
    budget("small-day", { limit_usd: "0.05", when: { upstream: "small" }, onLimit });
  check(t, manual([tight("degrade"), own("block")]), "refuse by degrade-day");
  const chain = policy({
    mode: "manual",
    upstreams: [big, small, near],
    models: [
      model("flux-dev", ["big"], { fallbackModel: "b" }),
      model("b", ["small"], { fallbackModel: "c" }),
      model("c", ["near"]),
    ],
    budgets: [tight("degrade"), own("degrade")],
  });
  check(t, chain, "refuse by degrade-day");
});

test("where nothing cheaper fits, degrade does its then", (t) => {
  const of = (then: Action) => manual([tight("degrade", { limit_usd: "0.35", then })], [big]);
  const spent = { balance: { settled: usd("0.10"), held: ZERO } };
  check(t, of("block"), "refuse by degrade-day", spent);
  check(t, of("queue"), "wait for money of degrade-day", spent);
  const passed = check(t, of("warn"), "forward to big", spent);
  t.like(passed, { claims: [{ limit: undefined }], warnings: [{ budget: "degrade-day" }] });
});

test("of several thens the strictest is done", (t) => {
  const of = (...thens: readonly Action[]) =>
    manual(
      thens.map((then) => budget(then, { limit_usd: "0.35", onLimit: "degrade", then })),
      [big],
    );
  const spent = { balance: { settled: usd("0.10"), held: ZERO } };
  check(t, of("warn", "block", "queue"), "refuse by block", spent);
  check(t, of("warn", "queue"), "wait for money of queue", spent);
  check(t, of("ignore", "warn"), "forward to big", spent);
});

test("a candidate's own block or queue drops it in lowest_price, its degrade is followed", (t) => {
  const of = (onLimit: Action) =>
    policy({
      upstreams: [near, small, gcp],
      budgets: [budget("aws", { limit_usd: "0.05", when: { provider: "aws" }, onLimit })],
    });
  check(t, of("block"), "forward to gcp");
  check(t, of("queue"), "forward to gcp");
  check(t, of("degrade"), "forward to near, from small");
  check(
    t,
    { ...of("queue"), mode: "manual", models: new Map([["flux-dev", model("flux-dev", ["small"])]]) },
    "refuse by aws",
  );
});

test("in lowest_price the first-ranked one's strictest action is what is left", (t) => {
  const budgets = [
    budget("aws", { limit_usd: "0.15", when: { provider: "aws" }, onLimit: "queue" }),
    budget("gcp", { limit_usd: "0.15", when: { provider: "gcp" }, onLimit: "block" }),
  ];
  const spent = { balance: { settled: usd("0.10"), held: ZERO } };
  check(t, policy({ upstreams: [small, gcp], budgets }), "wait for money of aws", spent);
});

test("a shared queue decides alone only where not even the smallest need fits", (t) => {
  const given = policy({
    mode: "local",
    upstreams: ["0.30", "0.10"].map((price) =>
      upstream(`at-${price}`, { provider: "local", price: perRequest(price) }),
    ),
    budgets: [tight("queue", { limit_usd: "0.30" })],
  });
  check(t, given, "forward to at-0.10", { balance: { settled: usd("0.20"), held: ZERO } });
  check(t, given, "wait for money of queue-day", { balance: { settled: usd("0.21"), held: ZERO } });
});

test("more than the limit is refused at once: it would wait for ever", (t) => {
  const given = manual([tight("queue", { limit_usd: "0.299999999" })], [big]);
  const decision = check(t, given, "refuse by queue-day");
  t.regex(decision.explanation.rule, /more than its limit, so that waiting would not help$/);
});

test("who waits for money says until what, and what it would ask of whom", (t) => {
  const given = manual([tight("queue", { limit_usd: "0.30", maxWait: MINUTE })], [big]);
  const held = check(t, given, "wait for money of queue-day", {
    balance: { settled: ZERO, held: usd("0.1") },
  });
  t.regex(
    held.explanation.rule,
    /it waits until others give back what they hold, at most 1 min; number 1 in/,
  );
  t.like(held, { upstreams: [], wishes: [{ upstream: "big", claims: [{ amount: usd("0.30") }] }] });
  const parked = check(t, given, "wait for money of queue-day", {
    balance: { settled: usd("0.1"), held: ZERO },
  });
  t.regex(parked.explanation.rule, /it waits until it resets, or is raised/);
});

test("what earlier ones have a claim to is not there in a budget that makes work wait, and is in one that blocks", (t) => {
  const of = (onLimit: Action) => manual([tight(onLimit, { limit_usd: "0.50" })], [big]);
  const claimed = { claimed: 200_000_001n };
  const decision = check(t, of("queue"), "wait for money of queue-day", claimed);
  t.regex(decision.explanation.rule, /number 2 in line$/);
  check(t, of("queue"), "forward to big", { claimed: 200_000_000n });
  check(t, of("block"), "forward to big", claimed);
});

test("a shadow budget is told and changes nothing", (t) => {
  const decision = check(t, manual([tight("block", { shadow: true })]), "forward to big");
  const [seen] = decision.explanation.candidates[0]?.budgets ?? [];
  t.like(seen, { budget: "block-day", shadow: true, fits: false });
});

test("a cheaper one that is busy is waited for", (t) => {
  check(t, manual([tight("degrade")]), "wait for small", { busy: ["small"] });
});
