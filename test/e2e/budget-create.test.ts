// Budgets that are made and taken away through a running gateway: they begin with what they would have
// counted, and stand in the policy file like any other.

import { readFileSync } from "node:fs";
import test from "ava";
import { nanoUsd } from "../../src/metering/money.ts";
import { HOUR } from "../../src/metering/time.ts";
import { cli } from "../support/cli.ts";
import { beginEdits as begin } from "../support/edits-rig.ts";
import { eventually } from "../support/gateway-client.ts";

const DAY = "  # of all\n  - { id: day, limit_usd: 9, period: daily, on_limit: block } # ours";

test("D44: a new budget stands in the policy file, begins with what it would have counted, and refuses at once", async (t) => {
  const { ask, edit, standing, folder } = await begin(t, DAY);
  t.deepEqual([await ask("ann"), await ask("bob"), await ask("ann")], [200, 200, 200]);
  const keys = { when: { user: "ann" }, limit_usd: "0.08", period: "daily", on_limit: "block" };
  t.deepEqual(await edit({ kind: "create", budget: "ann-day", keys }), { kind: "created" });
  t.true(
    readFileSync(folder.policyPath, "utf8").endsWith(
      `${DAY}\n  - { id: ann-day, when: { user: ann }, limit_usd: 0.08, period: daily, on_limit: block }`,
    ),
  );
  t.is(await standing("ann-day"), "0.08 of 0.08");
  t.deepEqual([await ask("ann"), await ask("bob")], [402, 200]);
});

test("D06: a budget per user can be made, and a file without budgets gets the list", async (t) => {
  const { ask, edit } = await begin(t, "  []");
  t.deepEqual([await ask("ann"), await ask("bob")], [200, 200]);
  const keys = { per: "user", limit_usd: "0.04", on_limit: "block" };
  t.is((await edit({ kind: "create", budget: "each", keys })).kind, "created");
  t.deepEqual([await ask("ann"), await ask("bob"), await ask("eve")], [402, 402, 200]);
});

test("what was made is there after a restart, with who made it and why", async (t) => {
  const { edit, standing, restart, gateway } = await begin(t, DAY);
  await edit({ kind: "create", budget: "month", keys: { limit_usd: "20", period: "monthly" } });
  await edit({ kind: "set", budget: "month", to: { limit_usd: "25" } });
  await restart();
  t.is(await standing("month"), "0.00 of 25.00");
  const { edits } = await gateway().client.explainBudget("month");
  t.deepEqual(
    edits.map(({ what, keys, by, reason }) => [what, keys, by, reason]),
    [
      ["set", '{"limit_usd":"25"}', "ops", "a deadline"],
      ["create", '{"limit_usd":"20","period":"monthly"}', "ops", "a deadline"],
    ],
  );
  const { stdout } = await cli(["explain", "month", "--admin", gateway().daemon.admin]);
  t.regex(stdout, /\n {2}created with {"limit_usd":"20","period":"monthly"} on .* by ops: a deadline\n/);
});

test("a budget that is taken away refuses nothing any more, wakes whoever waits, and comes back as it would be", async (t) => {
  const { ask, edit, standing, gateway, folder } = await begin(
    t,
    `${DAY}\n  - { id: ann-day, when: { user: ann }, limit_usd: 0.04, period: daily, on_limit: queue } # hers`,
  );
  t.is(await ask("ann"), 200);
  const waiting = ask("ann");
  await eventually("it waits", async () => (await gateway().client.status()).waiting === 1);
  t.deepEqual(await edit({ kind: "remove", budget: "ann-day" }), { kind: "removed" });
  t.is(await waiting, 200);
  t.true(readFileSync(folder.policyPath, "utf8").endsWith(`${DAY}\n`));
  const keys = { when: { user: "ann" }, limit_usd: "0.04", period: "daily", on_limit: "block" };
  await edit({ kind: "create", budget: "ann-day", keys });
  t.is(await standing("ann-day"), "0.08 of 0.04");
});

test("a budget that cannot be made changes nothing, and the parser says why at its place", async (t) => {
  const { edit, folder } = await begin(t, DAY);
  const before = readFileSync(folder.policyPath, "utf8");
  const textsOf = async (keys: Record<string, string>, budget = "new") => {
    const done = await edit({ kind: "create", budget, keys });
    if (done.kind === "problems") return done.problems.map(({ path, text }) => `${path} ${text}`);
    return "why" in done ? [done.why] : [done.kind];
  };
  t.regex((await textsOf({ limit_usd: "a lot" }))[0] ?? "", /^budgets\[1\]\.limit_usd /);
  t.regex((await textsOf({ colour: "red", limit_usd: "1" }))[0] ?? "", /^budgets\[1\]\.colour /);
  t.regex((await textsOf({}))[0] ?? "", /^budgets\[1\] has no limit: write at least one of limit_usd/);
  t.regex((await textsOf({ limit_usd: "1" }, "No Name"))[0] ?? "", /^budgets\[1\]\.id /);
  t.regex((await textsOf({ limit_usd: "1", id: "other" }))[0] ?? "", /^the id of a budget is its name/);
  t.deepEqual(await textsOf({ limit_usd: "1" }, "day"), ["there is a budget day already: set its keys"]);
  t.is((await edit({ kind: "remove", budget: "night" })).kind, "refused");
  t.is(readFileSync(folder.policyPath, "utf8"), before);
});

test("an amount that was set aside and spent is in the counter of spent money, before and after a restart", async (t) => {
  const { ask, restart, gateway } = await begin(t, DAY);
  t.is(await ask(), 200);
  const hand = () => gateway().daemon.byHand.allocations;
  const done = await hand().allocate({
    ...{ labels: { model: "flux-dev", provider: "aws" }, amount: nanoUsd(50_000_000n), lasts: HOUR },
    ...{ by: "ops", reason: "a shot" },
  });
  await hand().settle(done.kind === "allocated" ? done.row.id : "", nanoUsd(30_000_000n), "ops");
  const spent = async () => {
    const lines = (await gateway().client.metrics()).split("\n");
    const costs = lines.filter((line) => /^budgetguard_cost_usd_total\{.*kind="request"/.test(line));
    return costs.map((line) => `${/upstream="([^"]*)"/.exec(line)?.[1]} ${line.split(" ").at(-1)}`).sort();
  };
  const expected = ["flux-dear 0.04", "none 0.03"];
  t.deepEqual(await spent(), expected);
  await restart();
  t.deepEqual(await spent(), expected);
});
