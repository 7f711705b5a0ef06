// `ledger verify` of adjustments: what resets may have taken off, recounted from the entries.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { writeAdjustment } from "../../src/ledger/adjustments.ts";
import { verify } from "../../src/ledger/verify.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { groundsOf, periodFor } from "../../src/policy/match.ts";
import { begun, houseOf, onDisk, RELAYED } from "../support/ledger.ts";
import { budget, perRequest, policy, task, upstream, usd } from "../support/policies.ts";

/** Two requests of ann and one of bob at 0.03 USD; then a reset of so much, perhaps changed by hand. */
async function check(
  t: ExecutionContext,
  { per, value, amount, hack = "" }: { per?: "user"; value?: string; amount: string; hack?: string },
  expected: readonly string[],
) {
  const budgets = [budget("day", { limit_usd: "1", ...(per && { per }) })];
  const house = await houseOf(
    t,
    policy({ upstreams: [upstream("flux", { price: perRequest("0.03") })], budgets }),
  );
  for (const user of ["ann", "ann", "bob"])
    await (await begun(house, task({ labels: { user } }))).settle(RELAYED);
  await house.accounts.outbox.settled();
  const [ground] = groundsOf(house.policy);
  if (ground === undefined) throw new Error("there is no budget");
  const at = house.accounts.now();
  const database = new DatabaseSync(join(house.folder, "ledger.db"));
  writeAdjustment(database, {
    ...{ at, kind: "reset", budget: "day", unit: "usd", value, period: periodFor(ground, at) },
    ...{ account: value === undefined ? ground.key : `${ground.key}=${value}`, by: "ops", reason: "late" },
    amount: quantityOf(-usd(amount)),
  });
  if (hack !== "") database.exec(hack);
  database.close();
  const { ok, checks } = onDisk(house.folder, verify);
  const own = checks.find(({ name }) => name === "adjustments");
  t.deepEqual(
    own?.findings.map(({ what, expected: wanted, found }) => `${what}: ${wanted}, ${found}`),
    expected,
  );
  t.is(own?.counted, 1);
  t.is(ok, expected.length === 0);
}

test("a reset of all that was settled adds up", (t) => check(t, { amount: "0.09" }, []));

test("a reset of one nano-dollar more does not", (t) =>
  check(t, { amount: "0.090000001" }, ["resets take off more than was ever settled: 90000000, 90000001"]));

test("of a budget per user each balance is recounted by itself", async (t) => {
  await check(t, { per: "user", value: "ann", amount: "0.06" }, []);
  await check(t, { per: "user", value: "bob", amount: "0.06" }, [
    "resets take off more than was ever settled: 30000000, 60000000",
  ]);
});

test("a reset that adds, or lies outside its period, is found", async (t) => {
  await check(t, { amount: "0.01", hack: "UPDATE adjustments SET amount = 5" }, [
    "a reset adds to what is settled: 0, 5",
  ]);
  await check(t, { amount: "0.01", hack: "UPDATE adjustments SET at = end" }, [
    "an adjustment lies outside its period: 0, 10000000",
  ]);
});
