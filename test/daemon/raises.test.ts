// Which raises count, of those that the ledger remembers.

import test from "ava";
import { inForceAt } from "../../src/daemon/raises.ts";
import { later, SECOND, seconds } from "../../src/metering/time.ts";
import { TEN, usd } from "../support/policies.ts";

const raise = {
  ...({ id: "a", budget: "day", unit: "usd", amount: usd("1"), by: "ops", reason: "a deadline" } as const),
  ...{ from: TEN, until: later(TEN, seconds(60)) },
};

test("a raise counts until it ends, and not in that moment", (t) => {
  t.deepEqual(inForceAt([raise], later(TEN, seconds(59))), [raise]);
  t.deepEqual(inForceAt([raise], raise.until), []);
});

test("after a crash, by which ledger time is short of its grant, it counts at once", (t) => {
  t.deepEqual(inForceAt([raise], (TEN - SECOND) as typeof TEN), [raise]);
});
