// When a budget with stop_idle has too little left, as its decisions tell it: out of real decisions.

import test from "ava";
import { hourlyRate } from "../../src/metering/money.ts";
import { seconds } from "../../src/metering/time.ts";
import { decide } from "../../src/policy/decide.ts";
import { Learning } from "../../src/policy/learning.ts";
import type { Policy, Upstream } from "../../src/policy/policy.ts";
import { Shortages } from "../../src/policy/shortage.ts";
import { spentFor } from "../../src/policy/stop-idle.ts";
import {
  type BudgetSketch,
  budget,
  model,
  perHour,
  policy,
  TEN,
  task,
  upstream,
  usd,
  ZERO,
} from "../support/policies.ts";

/** One second is 0.001 USD there: a request of 10 s asks for 0.01. */
const aws = upstream("aws", { idleRate: hourlyRate(usd("3.6")) });
const small = upstream("small", { price: perHour("0.36"), idleRate: hourlyRate(usd("0.36")) });
const free = upstream("free", { provider: "local", price: perHour("0") });

class Desk {
  readonly policy: Policy;
  readonly shortages = new Shortages();
  settled = "0";

  constructor(upstreams: readonly Upstream[], over: Partial<BudgetSketch>) {
    const models = [
      model(
        "flux-dev",
        upstreams.map(({ id }) => id),
        { estimate: seconds(10) },
      ),
      model(
        "quick",
        upstreams.map(({ id }) => id),
        { estimate: seconds(1) },
      ),
    ];
    const budgets = [budget("day", { limit_usd: "1", stopIdle: true, ...over })];
    this.policy = policy({ upstreams, models, budgets, lowestPrice: { includeLocal: true, explore: true } });
  }

  view() {
    return { at: TEN, balance: () => ({ settled: usd(this.settled), held: ZERO }) };
  }

  ask(id: string) {
    const asked = this.policy.models.get(id);
    if (asked === undefined) throw new Error(id);
    const candidates = [...this.policy.upstreams.values()].map((one) => ({ upstream: one, inFlight: 0 }));
    const one = task({ model: id });
    const known = new Learning();
    const question = { policy: this.policy, model: asked, task: one, candidates, unreachable: [], known };
    const decision = decide(question, this.view());
    this.shortages.follow(this.policy, one, decision);
    return decision.kind;
  }

  spent(on: Upstream): string | undefined {
    return spentFor(this.policy, on, this.view(), this.shortages);
  }
}

const SHORT = "budget day has too little left for the last request";

test("what is too little for one request is enough again once another one has passed", (t) => {
  const desk = new Desk([aws], {});
  desk.settled = "0.995";
  t.is(desk.spent(aws), undefined, "nobody has asked");
  t.is(desk.ask("flux-dev"), "refuse");
  t.is(desk.spent(aws), SHORT);
  t.is(desk.ask("quick"), "forward");
  t.is(desk.spent(aws), undefined);
});

test("it ends when what was asked for would fit, one nano-dollar apart", (t) => {
  const desk = new Desk([aws], {});
  desk.settled = "0.995";
  desk.ask("flux-dev");
  desk.settled = "0.990000001";
  t.is(desk.spent(aws), SHORT);
  desk.settled = "0.99";
  t.is(desk.spent(aws), undefined);
});

test("a request that asks for more than the limit stops nothing", (t) => {
  const desk = new Desk([aws], { limit_usd: "0.005" });
  t.is(desk.ask("flux-dev"), "refuse");
  t.is(desk.spent(aws), undefined);
});

test("where a request goes elsewhere for want of money, what it left behind is short of it", (t) => {
  const desk = new Desk([free, aws], { when: { provider: "aws" } });
  desk.settled = "0.995";
  t.is(desk.ask("flux-dev"), "forward");
  t.is(desk.spent(aws), SHORT);
  t.is(desk.spent(free), undefined);
});

test("while something cheaper fits the same budget, it is not short, whoever serves", (t) => {
  for (const upstreams of [
    [aws, small],
    [free, aws, small],
  ]) {
    const desk = new Desk(upstreams, { when: { provider: "aws" } });
    desk.settled = "0.995";
    t.is(desk.ask("flux-dev"), "forward");
    t.is(desk.spent(aws), undefined);
  }
});

test("who only warns, counts no containers or has no stop_idle, stops nothing short of its limit", (t) => {
  for (const over of [{ onLimit: "warn" }, { when: { user: "unknown" } }, { stopIdle: false }] as const) {
    const desk = new Desk([aws], over);
    desk.settled = "0.995";
    desk.ask("flux-dev");
    t.is(desk.spent(aws), undefined, JSON.stringify(over));
  }
});
