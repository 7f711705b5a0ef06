// Why a budget is over its limit: each cause that nothing can refuse, with the most that it can have added.

import test from "ava";
import type { Cause } from "../../src/admin/budget-account.ts";
import { budgetStates } from "../../src/daemon/budget-states.ts";
import { explainBudget } from "../../src/daemon/explain-budget.ts";
import { LedgerReader } from "../../src/ledger/reader.ts";
import type { EntryKind } from "../../src/ledger/store.ts";
import { minus, NOTHING, quantityOf, sum } from "../../src/metering/quantity.ts";
import { SECOND } from "../../src/metering/time.ts";
import { decide } from "../../src/policy/decide.ts";
import { NOTHING_KNOWN } from "../../src/policy/expect.ts";
import { randomOf } from "../support/busy-ledger.ts";
import { begun, entry, facts, type House, houseOf, permit, RELAYED } from "../support/ledger.ts";
import { budget, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const DAY = {
  start: (TEN - 10 * 3_600_000_000) as typeof TEN,
  end: (TEN + 14 * 3_600_000_000) as typeof TEN,
};

function machine(limit_usd: string) {
  return policy({
    upstreams: [upstream("pool", { price: perHour("3.6") })],
    budgets: [budget("day", { limit_usd })],
  });
}

async function explained(house: House) {
  const reader = new LedgerReader(house.folder, () => house.accounts.outbox.settled());
  const { policy: inForce, accounts } = house;
  const at = accounts.now();
  const states = budgetStates(inForce, accounts.book, at);
  const [found] = inForce.budgets;
  if (found === undefined) throw new Error("no budget");
  try {
    const decided = await explainBudget(
      {
        ...{ policy: inForce, reader, at, states, raises: [], allocations: [] },
        decide: (model, labels) =>
          decide(
            {
              policy: inForce,
              model,
              task: task({ labels }),
              candidates: [],
              unreachable: [],
              known: NOTHING_KNOWN,
            },
            accounts.view(),
          ) as never,
      },
      found,
    );
    return { state: states[0], account: decided.accounts[0] };
  } finally {
    await reader.close();
  }
}

/** Container money, posted as the rooms that own containers will: an entry and its balance in one write. */
async function post(house: House, kind: EntryKind, amount: ReturnType<typeof usd>): Promise<void> {
  const at = house.accounts.now();
  const own = facts({ user: undefined, model: undefined, task: undefined });
  const account = [...house.accounts.book.all()][0]?.account ?? "";
  const change = house.accounts.book.move(account, DAY, { kind: "settle", amount });
  const one = entry({
    at,
    kind,
    request: undefined,
    facts: own,
    amount,
    isLast: false,
    images: 0,
    outcome: undefined,
  });
  await house.disk.store.write({ at, wall: at, entries: [one], balances: [change] });
}

async function spendSome(house: House): Promise<void> {
  const held = await begun(house, task());
  house.clock.pass(10 * SECOND);
  await held.settle(RELAYED);
}

const kinds: readonly [EntryKind, Cause["kind"]][] = [
  ["idle", "idle"],
  ["startup", "startup"],
  ["minimum", "minimum"],
  ["gap", "gap"],
  ["adjusted", "adjustment"],
];

for (const [kind, cause] of kinds) {
  test(`${kind} that took a budget over its limit is told as the cause`, async (t) => {
    const house = await houseOf(t, machine("0.05"));
    await spendSome(house);
    await post(house, kind, usd("0.06"));
    const { account } = await explained(house);
    t.is(account?.over, usd("0.02"));
    t.deepEqual(account?.causes, [{ kind: cause, most: usd("0.06"), of: 1, at: undefined }]);
    t.is(
      account?.containerOverdraft,
      usd(kind === "adjusted" ? "0" : "0.02"),
      "the whole excess, or nothing",
    );
  });
}

test("idle that was taken back took no budget over its limit", async (t) => {
  const house = await houseOf(t, machine("0.05"));
  await spendSome(house);
  await post(house, "idle", usd("0.06"));
  await post(house, "adjusted", minus(NOTHING, usd("0.05")) as ReturnType<typeof usd>);
  await post(house, "gap", usd("0.05"));
  const { account } = await explained(house);
  t.deepEqual(
    account?.causes.map(({ kind, most }) => [kind, most]),
    [
      ["gap", usd("0.05")],
      ["idle", usd("0.01")],
    ] as never,
  );
});

test("work that ran longer than held, and was let finish, is told as the cause with how many it was", async (t) => {
  const house = await houseOf(t, machine("0.02"));
  const held = await begun(house, task());
  house.clock.pass(10 * SECOND);
  await held.extend();
  house.clock.pass(30 * SECOND);
  await held.settle(RELAYED);
  const { account } = await explained(house);
  t.is(account?.over, usd("0.02"));
  t.deepEqual(account?.causes, [{ kind: "finish_overrun", most: usd("0.028"), of: 1, at: undefined }]);
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`no excess is more than its causes can have added, seed ${seed}`, async (t) => {
    const random = randomOf(seed);
    const house = await houseOf(t, machine("0.1"));
    await spendSome(house);
    const running = [];
    for (let step = 0; step < 40; step += 1) {
      house.clock.pass(Math.floor(random() * 6 * SECOND));
      const admission = random() < 0.4 ? await house.admit(task()) : undefined;
      if (admission?.kind === "admitted") {
        permit(admission).begin();
        running.push(permit(admission));
      }
      for (const held of running) if (random() < 0.5) await held.extend();
      if (random() < 0.2) await running.shift()?.settle(RELAYED);
      if (random() < 0.1) await post(house, "idle", usd("0.003"));
    }
    for (const held of running) await held.settle(RELAYED);
    const { state, account } = await explained(house);
    const most = sum(...(account?.causes ?? []).map((cause) => cause.most));
    const over = state === undefined ? 0n : state.settled + state.held - state.limit;
    t.is(account?.over, quantityOf(over > 0n ? over : 0n));
    t.true(over <= most, `seed ${seed}: ${over} over, and causes for ${most}`);
  });
}
