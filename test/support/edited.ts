// An edit of a budget in a test's house, as the daemon makes it: one desk for each, so that nothing outlives it.

import { type BudgetEdit, BudgetEdits } from "../../src/daemon/budget-edits.ts";
import { InForce } from "../../src/daemon/in-force.ts";
import type { House } from "./ledger.ts";

/** Throws where it is refused. */
export async function edited(house: House, change: BudgetEdit): Promise<void> {
  const { accounts } = house;
  const inForce = new InForce({ policy: house.policy, text: "" }, undefined, accounts.now());
  const edits = new BudgetEdits(
    {
      ...{ inForce, accounts, store: house.disk.store, now: () => accounts.now(), turn: () => undefined },
      log: { info: () => undefined } as never,
      after: () => () => undefined,
      rewrite: async () => ({ kind: "set" }),
      digest: () => undefined,
    },
    [],
  );
  const done = await edits.edit(change, "ops", "a trial");
  if (done.kind !== "reset") throw new Error(JSON.stringify(done));
}
