// Of a reload that gives budgets other balances, both are told; of one that does not, nothing is.

import test from "ava";
import { balanceChanges } from "../../src/daemon/balance-changes.ts";
import { SECOND } from "../../src/metering/time.ts";
import { begun, houseOf, RELAYED } from "../support/ledger.ts";
import { budget, perHour, policy, task, upstream } from "../support/policies.ts";

const paid = (...budgets: Parameters<typeof policy>[0]["budgets"] & object) =>
  policy({ upstreams: [upstream("flux-aws", { price: perHour("3.6") })], budgets });

const day = (limit_usd: string, more = {}) => budget("day", { limit_usd, ...more });

test("a new and a rescoped budget tell what they had settled and what they have; a new limit tells nothing", async (t) => {
  const before = paid(day("1"));
  const house = await houseOf(t, before);
  for (const user of ["alice", "bob"]) {
    const held = await begun(house, task({ labels: { user } }));
    house.clock.pass((user === "bob" ? 2 : 1) * SECOND);
    await held.settle(RELAYED);
  }
  const told = async (after: ReturnType<typeof paid>) => {
    const was = house.policy;
    await house.adopt(after);
    return balanceChanges(was, after, house.accounts.book, house.accounts.now());
  };
  t.deepEqual(await told(paid(day("2"), budget("each", { limit_usd: "1", per: "user" }))), []);
  t.deepEqual(await told(paid(day("2", { when: { user: "alice" } }))), [
    "budget day: settled 0.003 → 0.001 USD",
  ]);
  const both = paid(day("2", { when: { user: "alice" } }), budget("other", { limits: { requests: 9 } }));
  t.deepEqual(await told(both), ["budget other: settled none → 2 requests"]);
});
