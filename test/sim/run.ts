// npm run sim -- --seeds 10000 [--from 1]: many seeds, one line at the end, exit 1 at the first that fails.

import { parseArgs } from "node:util";
import { LocalAccounts } from "../../src/ledger/accounts.ts";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: { seeds: { type: "string", default: "1000" }, from: { type: "string", default: "1" } },
});
const from = Number(values.from);
const seeds = Number(values.seeds);
const outcomes = new Map<string, number>();
let crashes = 0;

for (let seed = from; seed < from + seeds; seed += 1) {
  const report = await simulate(seed, (options) => new LocalAccounts(options));
  crashes += report.crashes;
  for (const [outcome, count] of report.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
}
const said = [...outcomes].sort().map(([outcome, count]) => `${outcome} ${count}`);
console.log(`${seeds} seeds from ${from}: no failure; ${crashes} power cuts; ${said.join(", ")}`);
