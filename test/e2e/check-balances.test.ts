// `check` beside a running gateway: what a changed policy would do to its balances, told before it is saved.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { cli } from "../support/cli.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage } from "../support/gateway-client.ts";
import { slowUpstream } from "../support/slow-upstream.ts";

test("check tells old and new balances out of the ledger of a gateway that runs, and of a file that is none it says so", async (t) => {
  const upstream = await slowUpstream();
  upstream.release("all");
  const policy = (budgets: string) => `version: 1
timezone: UTC
upstreams:
  flux: { provider: other, url: "${upstream.url}", price: { usd_per_request: 0.04 } }
models: { flux-dev: { upstreams: [flux] } }
budgets: [${budgets}]
`;
  const gateway = await startGateway(policy("{ id: day, limit_usd: 9, on_limit: block }"));
  t.teardown(async () => {
    await gateway.stop();
    await upstream.stop();
  });
  for (const user of ["ann", "ann", "bob"])
    await askImage(gateway.url, { headers: { "X-BudgetGuard-User": user } });
  const { path, dataPath, policyPath } = gateway.folder;
  const next = join(path, "next.yaml");
  writeFileSync(
    next,
    policy(
      "{ id: day, limit_usd: 9, on_limit: block, when: { user: ann } }, { id: each, per: user, limit_usd: 1 }",
    ),
  );
  const lines = async (file: string, folder = dataPath) => {
    const { code, stdout } = await cli(["check", file, "--data", folder]);
    t.is(code, 0, stdout);
    return stdout.trimEnd().split("\n").slice(1);
  };
  t.deepEqual((await lines(next)).slice(-4), [
    `beside the policy in force in ${dataPath}:`,
    "budget day: settled 0.12 → 0.08 USD",
    "budget each, user ann: settled none → 0.08 USD",
    "budget each, user bob: settled none → 0.04 USD",
  ]);
  t.is(
    (await lines(policyPath)).at(-1),
    `no budget is new or changed beside the policy in force in ${dataPath}`,
  );
  const { stdout } = await cli(["check", next, "--data", dataPath, "--json"]);
  t.like(JSON.parse(stdout).balances[0], {
    budget: "day",
    balances: [{ scope: null, value: null, settled_before: "0.12", settled_after: "0.08" }],
  });
  writeFileSync(join(path, "ledger.db"), "no ledger at all, but a text that is long enough to be looked at");
  t.regex((await lines(next, path)).at(-1) ?? "", /^balances are not compared: .*not a database/);
});
