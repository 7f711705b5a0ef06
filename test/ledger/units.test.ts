import test from "ava";
import type { Price } from "../../src/metering/price.ts";
import { quantityOf, type Unit } from "../../src/metering/quantity.ts";
import { SECOND } from "../../src/metering/time.ts";
import type { Ending } from "../../src/policy/admission.ts";
import { begun, houseOf } from "../support/ledger.ts";
import { budget, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const RELAYED: Ending = { outcome: "relayed", status: 200, tokens: { input: 30, output: 12 } };
const ASKED = { ...task().work, images: 3, maxTokens: 50, picture: { kind: "none" } as const };

function limited(unit: Exclude<Unit, "usd">, limit: number, price = perRequest("0.01")) {
  return policy({
    upstreams: [upstream("one", { price })],
    budgets: [budget("tight", { limits: { [unit]: limit }, overrun: "cut" })],
  });
}

const EXACT: readonly [Exclude<Unit, "usd">, need: number, taken: bigint][] = [
  ["requests", 1, 1n],
  ["images", 3, 3n],
  ["seconds", 12, 1_000_000n],
  ["tokens", 185, 42n],
];

for (const [unit, need, taken] of EXACT) {
  test(`a limit of ${need} ${unit} lets through what needs as much, and one less does not`, async (t) => {
    const one = await houseOf(t, limited(unit, need - 1));
    t.like(await one.admit(task({ work: ASKED })), { kind: "refuse", breach: { unit, budget: "tight" } });
    const house = await houseOf(t, limited(unit, need));
    t.is((await house.admit(task({ work: ASKED }))).kind, "admitted");
    t.is((await house.admit(task({ work: ASKED }))).kind, "refuse", "the first still holds all of it");
  });

  test(`what was used counts in ${unit}, and the rest of the hold is free again`, async (t) => {
    const house = await houseOf(t, limited(unit, 1000));
    const admission = await house.admit(task({ work: ASKED }));
    if (admission.kind !== "admitted") throw new Error(admission.kind);
    const { reservation } = admission;
    reservation.begin();
    house.clock.pass(SECOND);
    await reservation.settle(RELAYED);
    const all = [...house.accounts.book.all()].map(({ balance }) => balance);
    t.deepEqual(all, [{ settled: quantityOf(taken), held: quantityOf(0) }]);
  });
}

const LATE: Ending = { ...RELAYED, images: 5 };

test("images that were asked for where nobody had looked are charged and counted", async (t) => {
  const price: Price = { kind: "image", amount: usd("0.01"), source: { kind: "policy" } };
  const budgets = [budget("money", { limit_usd: "1" }), budget("pictures", { limits: { images: 100 } })];
  const house = await houseOf(t, policy({ upstreams: [upstream("one", { price })], budgets }));
  const held = await begun(house, task({ work: ASKED }));
  t.is((await held.settle(LATE)).charged, usd("0.05"));
  const settled = [...house.accounts.book.all()].map(({ balance }) => balance.settled);
  t.deepEqual(settled, [usd("0.05"), 5n] as never);
  const refused = await begun(house, task({ work: ASKED }));
  t.is((await refused.settle({ ...LATE, status: 422 })).charged, 0n as never);
});

test("under cut such a request is charged no more than it held", async (t) => {
  const price: Price = { kind: "image", amount: usd("0.01"), source: { kind: "policy" } };
  const budgets = [budget("money", { limit_usd: "1", overrun: "cut" })];
  const house = await houseOf(t, policy({ upstreams: [upstream("one", { price })], budgets }));
  const held = await begun(house, task({ work: ASKED }));
  t.is((await held.settle(LATE)).charged, usd("0.03"));
});

test("a request of no tokens and no pictures never breaches a limit of them", async (t) => {
  for (const unit of ["images", "tokens"] as const) {
    const house = await houseOf(t, limited(unit, 1));
    const work = { ...task().work, images: 0 };
    t.is((await house.admit(task({ work }))).kind, "admitted", unit);
  }
});

test("seconds are held further while free work runs, and refused at their limit under cut", async (t) => {
  const house = await houseOf(t, limited("seconds", 20));
  const admission = await house.admit(task({ work: ASKED }));
  if (admission.kind !== "admitted") throw new Error(admission.kind);
  const { reservation } = admission;
  reservation.begin();
  t.is(await reservation.extend(), "extended");
  t.is(await reservation.extend(), "refused", "12 s and 5 s are held, and 5 more would pass 20");
  t.true(reservation.cuts);
  t.is(reservation.horizon - TEN, 17 * SECOND);
});

test("what an upstream refused counts no tokens, whatever its reply says of them", async (t) => {
  const settled = async (status: number) => {
    const house = await houseOf(t, limited("tokens", 1000));
    await (await begun(house, task({ work: ASKED }))).settle({ ...RELAYED, status });
    return [...house.accounts.book.all()].map(({ balance }) => balance.settled);
  };
  t.deepEqual(await settled(500), [0n as never]);
  t.deepEqual(await settled(200), [42n as never]);
});
