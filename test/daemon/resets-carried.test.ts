// A reset belongs to the budget's id and to what the budget had counted by then (MONEY §4). Whatever the budget
// counts afterwards, that stays forgiven where it still counts it, nothing else is, and it never owes less than
// nothing. The same after a restart.

import test, { type ExecutionContext } from "ava";
import { budgetStates } from "../../src/daemon/budget-states.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { DAY, HOUR, later, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { container, watch } from "../support/containers.ts";
import { edited } from "../support/edited.ts";
import { begun, type House, houseOf, RELAYED, restarted } from "../support/ledger.ts";
import { type BudgetSketch, budget, perRequest, policy, task, upstream, usd } from "../support/policies.ts";

function rules(sketch: BudgetSketch, timezone = "UTC", id = "it"): Policy {
  return policy({
    timezone,
    upstreams: [upstream("flux", { price: perRequest("0.01") })],
    budgets: [budget(id, { limit_usd: "1", ...sketch })],
  });
}

const reset = (house: House, value?: string) =>
  edited(house, { kind: "reset", budget: "it", ...(value !== undefined && { value }) });

async function spend(house: House, user: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1)
    await (await begun(house, task({ labels: { user } }))).settle(RELAYED);
}

/** In cents, by value of `per`. */
function settled(house: House): Readonly<Record<string, number>> {
  const states = budgetStates(house.policy, house.accounts.book, house.accounts.now());
  return Object.fromEntries(
    states.map(({ value, settled: one }) => [value ?? "all", Number(one) / Number(usd("0.01"))]),
  );
}

/** Ann spends 3 and Bob 5 in the hour before, Ann 2 in this one; then a reset; then Ann 4 and Bob 1. */
async function usual(t: ExecutionContext, before: BudgetSketch): Promise<House> {
  const house = await houseOf(t, rules(before));
  await spend(house, "ann", 3);
  await spend(house, "bob", 5);
  house.clock.pass(HOUR);
  await house.accounts.heartbeat();
  await spend(house, "ann", 2);
  await reset(house);
  await spend(house, "ann", 4);
  await spend(house, "bob", 1);
  return house;
}

const moves: readonly [
  claim: string,
  before: BudgetSketch,
  after: BudgetSketch,
  expected: Record<string, number>,
][] = [
  ["a shorter period has only what came after the reset", {}, { period: "hourly" }, { all: 5 }],
  ["a longer period keeps what was forgiven", {}, { period: "weekly" }, { all: 5 }],
  [
    "another reset day keeps what was forgiven",
    { period: "weekly" },
    { period: "weekly", resetDay: 7 },
    { all: 5 },
  ],
  [
    "what the hour before has cost, and no reset has forgiven, counts in the day",
    { period: "hourly" },
    {},
    { all: 13 },
  ],
  ["a narrower scope has only what came after the reset", {}, { when: { user: "ann" } }, { all: 4 }],
  ["a wider scope has what the narrow one never counted", { when: { user: "ann" } }, {}, { all: 10 }],
  [
    "another scope altogether is not refilled for free",
    { when: { user: "ann" } },
    { when: { user: "bob" } },
    { all: 6 },
  ],
  ["a balance a user has what each spent after the reset", {}, { per: "user" }, { ann: 4, bob: 1 }],
  ["one balance for all has what all spent after the reset", { per: "user" }, {}, { all: 5 }],
  ["a scope and a period at once", {}, { period: "hourly", when: { user: "bob" } }, { all: 1 }],
];

for (const [claim, before, after, expected] of moves) {
  test(`after a reset: ${claim}`, async (t) => {
    const house = await usual(t, before);
    await house.adopt(rules(after));
    t.deepEqual(settled(house), expected, "after the change");
    t.is((await house.admit(task({ labels: { user: "bob" } }))).kind, "admitted");
    const next = await restarted(t, house, MINUTE);
    // It was open: the crash charges it.
    const isHis = after.when?.user !== "ann";
    const more = Object.entries(expected).map(([value, cents]) => [
      value,
      cents + (isHis && value !== "ann" ? 1 : 0),
    ]);
    t.deepEqual(settled(next), Object.fromEntries(more), "after a restart");
  });
}

test("another time zone keeps what was forgiven, in the days of that", async (t) => {
  const house = await usual(t, {});
  await house.adopt(rules({}, "Asia/Kolkata"));
  t.deepEqual(settled(house), { all: 5 });
  t.deepEqual(settled(await restarted(t, house, MINUTE)), { all: 5 });
});

test("a scope that comes back finds what was forgiven by either", async (t) => {
  const house = await usual(t, { when: { user: "ann" } });
  await house.adopt(rules({ when: { user: "bob" } }));
  t.deepEqual(settled(house), { all: 6 });
  await reset(house);
  t.deepEqual(settled(house), { all: 0 });
  await house.adopt(rules({}));
  t.deepEqual(settled(house), { all: 4 }, "Ann's after her reset");
  await house.adopt(rules({ when: { user: "ann" } }));
  t.deepEqual(settled(house), { all: 4 });
  t.deepEqual(settled(await restarted(t, house, MINUTE)), { all: 4 });
});

test("a reset of one value forgives that one's, whatever is counted together afterwards", async (t) => {
  const house = await houseOf(t, rules({ per: "user" }));
  await spend(house, "ann", 3);
  await spend(house, "bob", 5);
  await reset(house, "bob");
  await house.adopt(rules({}));
  t.deepEqual(settled(house), { all: 3 });
});

test("what ran at the reset and is settled after it is not forgiven, though it began before", async (t) => {
  const house = await houseOf(t, rules({}));
  const running = await begun(house, task());
  await spend(house, "ann", 3);
  house.clock.pass(SECOND);
  await reset(house);
  await running.settle(RELAYED);
  t.deepEqual(settled(house), { all: 1 });
  await house.adopt(rules({ period: "hourly" }));
  t.deepEqual(settled(house), { all: 1 });
});

test("a reset is over with its period, also where the period was another one then", async (t) => {
  const house = await usual(t, {});
  await house.adopt(rules({ period: "weekly" }));
  house.clock.pass(7 * DAY);
  await house.accounts.heartbeat();
  await spend(house, "ann", 2);
  t.deepEqual(settled(house), { all: 2 });
});

test("an id that is new begins with everything, a reset of another id is none of its own", async (t) => {
  const house = await usual(t, {});
  await house.adopt(rules({}, "UTC", "other"));
  t.deepEqual(settled(house), { all: 15 });
});

test("a session that is counted anew, without what is older than a day, is not relieved of that", async (t) => {
  const each = { per: "session", period: "per_session" } as const;
  const house = await houseOf(t, rules(each));
  const one = () => task({ labels: { user: "ann", session: "s" } });
  for (let time = 0; time < 3; time += 1) await (await begun(house, one())).settle(RELAYED);
  await reset(house);
  await house.adopt(rules({ when: { user: "bob" } }));
  house.clock.pass(2 * DAY);
  await house.accounts.heartbeat();
  await (await begun(house, one())).settle(RELAYED);
  await house.adopt(rules(each));
  await (await begun(house, one())).settle(RELAYED);
  await begun(house, one());
  t.deepEqual(Object.values(settled(house)), [2]);
});

for (const restarts of [false, true]) {
  const when = restarts ? ", also after a restart" : "";
  test(`a stop that takes forgiven idle back gives nothing beyond it for free${when}`, async (t) => {
    const flux = upstream("aws", { hasContainer: true, gpuTier: "a10g" });
    const only = policy({ upstreams: [flux], budgets: [budget("it", { limit_usd: "1" })] });
    let house = await houseOf(t, only);
    const seen = () => budgetStates(house.policy, house.accounts.book, house.accounts.now())[0]?.settled;
    const start = house.accounts.now();
    const price = { kind: "hour", rate: hourlyRate(usd("3.6")), source: { kind: "policy" } } as const;
    house.accounts.containers.seen(container({ start, price, idlePrice: price.rate }));
    await watch(house, 10);
    await reset(house);
    t.is(seen(), quantityOf(0n));
    house.accounts.containers.off("i-0a1", later(start, seconds(4)));
    await house.accounts.heartbeat();
    t.is(seen(), quantityOf(0n), "not less than nothing");
    if (restarts) house = await restarted(t, house);
    const next = { id: "i-2", start: house.accounts.now(), price, idlePrice: price.rate };
    house.accounts.containers.seen(container(next));
    await watch(house, 3);
    t.is(seen(), quantityOf(usd("0.003")));
    // The restart finds it all on disk: what is forgiven, what was taken back, and what is new.
    house.accounts.containers.off("i-2", house.accounts.now());
    const last = await restarted(t, house);
    const found = budgetStates(last.policy, last.accounts.book, last.accounts.now())[0]?.settled;
    t.is(found, quantityOf(usd("0.003")));
  });
}
