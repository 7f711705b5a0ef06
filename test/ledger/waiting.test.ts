// A request that waits for a slot, as the ledger sees it: under way while it waits, unsent where it waited in
// vain or the daemon died meanwhile; and never with money held.

import test, { type ExecutionContext } from "ava";
import type { Decision, Explanation } from "../../src/policy/decision.ts";
import { type House, houseOf, restarted, rows } from "../support/ledger.ts";
import { budget, policy, TEN, task, upstream } from "../support/policies.ts";

const explanation: Explanation = {
  ...{ at: TEN, mode: "lowest_price", policy: "test", candidates: [], chosen: undefined },
  ...{ rule: "aws is busy: 1 of 1 runs", alternatives: [] },
};
const wait = {
  ...{ kind: "wait", upstreams: ["aws"], isLastResort: false, notBefore: 0, retryAfter: 0 },
  ...{ reason: explanation.rule, explanation },
} as unknown as Decision;

async function begin(t: ExecutionContext): Promise<House> {
  const budgets = [budget("day", { limit_usd: "1" })];
  return houseOf(t, policy({ upstreams: [upstream("aws")], budgets }));
}

function outcomes({ folder }: House): unknown[] {
  return rows(folder, "SELECT request, outcome FROM decisions ORDER BY seq").map(({ outcome }) => outcome);
}

test("one that waits is under way, holds nothing, and is decided anew in the same record", async (t) => {
  const house = await begin(t);
  const asked = task();
  t.is((await house.accounts.admit(asked, () => wait)).kind, "wait");
  await house.accounts.outbox.settled();
  t.deepEqual(outcomes(house), [null]);
  t.is(house.accounts.open, 0);
  t.is((await house.admit(asked)).kind, "admitted");
  t.deepEqual(outcomes(house), [null]);
  t.is(house.accounts.open, 1);
});

test("one that waited in vain is unsent, with the reason as its rule", async (t) => {
  const house = await begin(t);
  const asked = task();
  await house.accounts.admit(asked, () => wait);
  const reason = "the client went away while it waited for aws";
  await house.accounts.admit(asked, () => ({
    ...{ kind: "too_busy", reason, explanation: { ...explanation, rule: reason } },
  }));
  await house.accounts.outbox.settled();
  t.deepEqual(outcomes(house), ["unsent"]);
  const [stored] = rows(house.folder, "SELECT explanation FROM decisions");
  t.true(String(stored?.explanation).includes(reason));
});

test("one that waited when the daemon died is unsent after the restart, not under way for ever", async (t) => {
  const house = await begin(t);
  await house.accounts.admit(task(), () => wait);
  await house.accounts.outbox.settled();
  t.deepEqual(outcomes(await restarted(t, house)), ["unsent"]);
});
