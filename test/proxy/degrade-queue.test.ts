// `degrade` with `then: queue`: who waits takes whatever comes first, money for what it asked for or for something
// cheaper, or a slot there. Through the real exchange, room, fleet and accounts.

import test from "ava";
import type { Budget, Policy, Upstream } from "../../src/policy/policy.ts";
import { MoneyRig } from "../support/money-rig.ts";
import { budget, model, perHour, perRequest, policy, upstream } from "../support/policies.ts";

const dear = upstream("dear", { price: perRequest("0.10") });
/** 12 s are held, that is 0.012 USD. */
const near = upstream("near", { provider: "gcp", price: perHour("3.6") });

const spent = budget("spent", {
  ...{ when: { provider: "aws" }, limit_usd: "0.10", onLimit: "degrade", then: "queue", period: "infinite" },
});
const tight = (onLimit: Budget["onLimit"], limit_usd = "0.016") =>
  budget("tight", { when: { provider: "gcp" }, limit_usd, onLimit, period: "infinite" });

function of(
  budgets: readonly Budget[],
  cheap: Upstream = near,
  models = [model("flux-dev", ["dear", "near"])],
) {
  const manual = models.map((one) => (one.id === "flux-dev" ? { ...one, manual: "dear" } : one));
  return policy({ mode: "manual", upstreams: [dear, cheap], models: manual, budgets });
}

/** The first spends the dear budget, the second is degraded and runs; the third waits. */
async function begin(given: Policy) {
  const rig = new MoneyRig(given);
  rig.ask("a");
  await rig.settle();
  const second = rig.ask("b");
  await rig.settle();
  const third = rig.ask("c");
  await rig.pass(2);
  return { rig, second, third };
}

for (const onLimit of ["queue", "block"] as const) {
  test(`money that is freed for something cheaper wakes who waits, where that budget says ${onLimit}`, async (t) => {
    const { rig, second, third } = await begin(of([spent, tight(onLimit)]));
    t.deepEqual(rig.served, ["a@dear", "b@near"]);
    t.is(rig.room.size, 1);
    second.end();
    await rig.settle();
    t.deepEqual(rig.served, ["a@dear", "b@near", "c@near"]);
    t.true(third.attempt?.headers.some(([name]) => name === "X-BudgetGuard-Degraded"));
  });
}

for (const [onLimit, served] of [
  ["block", ["a@dear", "b@near", "d@small"]],
  ["queue", ["a@dear", "b@near"]],
] as const) {
  test(`a newcomer who asks for less ${onLimit === "block" ? "passes" : "waits behind"} it in a budget that says ${onLimit}`, async (t) => {
    const small = upstream("small", { provider: "gcp", price: perRequest("0.003") });
    const given = of([spent, tight(onLimit)], near, [
      model("flux-dev", ["dear", "near"]),
      model("sdxl", ["small"], { manual: "small" }),
    ]);
    const { rig } = await begin({ ...given, upstreams: new Map([...given.upstreams, ["small", small]]) });
    rig.ask("d", "d", "sdxl");
    await rig.settle();
    t.deepEqual(rig.served, served);
  });
}

test("a raise of the cheaper one's budget wakes it too", async (t) => {
  const { rig } = await begin(of([spent, tight("queue")]));
  await rig.reload(of([spent, tight("queue", "1")]));
  await rig.settle();
  t.deepEqual(rig.served, ["a@dear", "b@near", "c@near"]);
});

test("a slot that is freed at the cheaper one is taken", async (t) => {
  const single = upstream("near", { provider: "gcp", price: perHour("3.6"), concurrency: 1 });
  const { rig, second } = await begin(of([spent], single));
  t.deepEqual(rig.served, ["a@dear", "b@near"]);
  second.end();
  await rig.settle();
  t.deepEqual(rig.served, ["a@dear", "b@near", "c@near"]);
});

test("of one budget for all, what is enough for the cheaper one wakes who asked for the dearer one", async (t) => {
  const all = budget("all", { limit_usd: "0.114", onLimit: "degrade", then: "queue", period: "infinite" });
  const { rig, second } = await begin(of([all]));
  t.deepEqual(rig.served, ["a@dear", "b@near"]);
  t.is(rig.room.size, 1);
  second.end();
  await rig.settle();
  t.deepEqual(rig.served, ["a@dear", "b@near", "c@near"]);
});

test("money for the fallback model wakes who asked for another", async (t) => {
  const models = [
    model("flux-dev", ["dear"], { fallbackModel: "flux-schnell" }),
    model("flux-schnell", ["near"], { manual: "near" }),
  ];
  const { rig, second } = await begin(of([spent, tight("queue")], near, models));
  second.end();
  await rig.settle();
  t.deepEqual(rig.served, ["a@dear", "b@near", "c@near"]);
});

test("who asks for more than the limit waits where something cheaper may fit, and is refused where nothing can", async (t) => {
  const small = budget("small", { ...spentBy("0.05") });
  const { rig, third } = await begin(of([small, tight("queue")]));
  t.deepEqual(rig.served, ["a@near"], "dear never fits");
  t.is(rig.room.size, 2);
  t.is(third.exchanged, undefined);
  const none = new MoneyRig(of([small, tight("queue", "0.001")]));
  const refused = none.ask("a");
  await none.settle();
  t.like(refused.exchanged, { kind: "refused" });
});

function spentBy(limit_usd: string) {
  const when = { provider: "aws" } as const;
  return { when, limit_usd, onLimit: "degrade", then: "queue", period: "infinite" } as const;
}

test("one that waits for what nobody frees decides no more often than something happens", async (t) => {
  const { rig } = await begin(of([spent, tight("block", "0.0121")]));
  const decided = () => rig.disk.decisions.get("c")?.explanation.at;
  const before = decided();
  await rig.pass(30);
  t.is(decided(), before);
  t.is(rig.room.size, 1);
});
