// `ledger verify` on ledgers that are right, wrong and not there.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { cli, temporaryFolder } from "../support/cli.ts";
import { begun, houseOf, RELAYED } from "../support/ledger.ts";
import { budget, perRequest, policy, task, upstream } from "../support/policies.ts";

async function madeLedger(t: Parameters<typeof houseOf>[0]): Promise<string> {
  const upstreams = [upstream("hosted", { price: perRequest("0.01") })];
  const house = await houseOf(t, policy({ upstreams, budgets: [budget("day", { limit_usd: "1" })] }));
  await (await begun(house, task())).settle(RELAYED);
  return house.folder;
}

test("a ledger that adds up is told so, while its gateway has it open", async (t) => {
  const { code, stdout } = await cli(["ledger", "verify", "--data", await madeLedger(t)]);
  t.is(code, 0);
  t.regex(stdout, /^check +looked at {2}result\nfile +\d+ pages {2}adds up\nsettled +1 balance {2}adds up\n/);
  t.regex(stdout, /\nthe ledger adds up\n$/);
});

test("a finding says what, where, by how much and what to do, and the exit code is 1", async (t) => {
  const folder = await madeLedger(t);
  const database = new DatabaseSync(join(folder, "ledger.db"));
  database.exec("UPDATE balances SET settled = settled - 1");
  database.close();
  const { code, stdout } = await cli(["ledger", "verify", "--data", folder]);
  t.is(code, 1);
  t.regex(
    stdout,
    /\nsettled: settled is not what the entries add up to, by -0\.000000001 USD\n {2}usd\|daily\/1\/UTC\|all\|\| from .*\n {2}expected 0\.01 USD, found 0\.009999999 USD\n {2}keep a copy .*\n\nthe ledger does not add up\n$/,
  );
  const json = await cli(["ledger", "verify", "--json", "--data", folder]);
  const settled = JSON.parse(json.stdout).checks.find(({ name }: { name: string }) => name === "settled");
  t.like(settled.findings[0], { unit: "nano_usd", expected: "10000000", found: "9999999", difference: "-1" });
});

test("where there is no ledger it says so and ends with 1", async (t) => {
  const folder = await temporaryFolder(t);
  mkdirSync(join(folder, "data"));
  const { code, stdout, stderr } = await cli(["ledger", "verify", "--data", join(folder, "data")]);
  t.deepEqual([code, stdout], [1, ""]);
  t.regex(stderr, /^the ledger cannot be read: there is no ledger at /);
});
