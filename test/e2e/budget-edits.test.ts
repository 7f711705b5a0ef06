// Edits of a budget through a running gateway: what they let pass, whom they wake, what survives a restart.

import { chmodSync, readFileSync } from "node:fs";
import test from "ava";
import type { BudgetEdit } from "../../src/daemon/budget-edits.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { HOUR, type Instant, SECOND } from "../../src/metering/time.ts";
import { cli } from "../support/cli.ts";
import { beginEdits as begin } from "../support/edits-rig.ts";
import { eventually } from "../support/gateway-client.ts";

const soon = (ms: number) => ((Date.now() + ms) * 1000) as Instant;

test("a reset gives a spent budget its whole limit again, once, and after a restart too", async (t) => {
  const { ask, edit, standing, restart } = await begin(
    t,
    "  - { id: day, limit_usd: 0.08, period: daily, on_limit: block }",
  );
  t.deepEqual([await ask(), await ask(), await ask()], [200, 200, 402]);
  const done = await edit({ kind: "reset", budget: "day" });
  t.like(done, { kind: "reset", adjustments: [{ amount: quantityOf(-80_000_000n), by: "ops" }] });
  t.is(await standing("day"), "0.00 of 0.08");
  t.is(await ask(), 200);
  await restart();
  t.is(await standing("day"), "0.04 of 0.08");
  t.deepEqual([await ask(), await ask()], [200, 402]);
});

test("a reset of one budget is none of another that counts the same, and a renamed one does not take it along", async (t) => {
  const { ask, edit, standing, folder, gateway } = await begin(
    t,
    `  - { id: day, limit_usd: 0.08, period: daily, on_limit: block }
  - { id: twin, limit_usd: 0.12, period: daily, on_limit: block }`,
  );
  t.deepEqual([await ask(), await ask(), await ask()], [200, 200, 402]);
  await edit({ kind: "reset", budget: "day" });
  t.is(await standing("twin"), "0.08 of 0.12");
  t.deepEqual([await ask(), await ask()], [200, 402], "the twin has had its three");
  t.is(await standing("day"), "0.04 of 0.08");
  folder.save(readFileSync(folder.policyPath, "utf8").replace("id: day", "id: other"));
  await gateway().daemon.reload();
  t.is(await standing("other"), "0.12 of 0.08");
});

test("a reset of one user's balance leaves the others' alone", async (t) => {
  const { ask, edit } = await begin(
    t,
    "  - { id: each, per: user, limit_usd: 0.04, period: daily, on_limit: block }",
  );
  t.deepEqual([await ask("ann"), await ask("bob"), await ask("ann"), await ask("bob")], [200, 200, 402, 402]);
  await edit({ kind: "reset", budget: "each", value: "ann" });
  t.deepEqual([await ask("ann"), await ask("bob")], [200, 402]);
});

const wakers: readonly (readonly [string, () => BudgetEdit])[] = [
  ["reset", () => ({ kind: "reset", budget: "day" })],
  [
    "raise",
    () => ({
      kind: "raise",
      budget: "day",
      unit: "usd",
      amount: quantityOf(40_000_000n),
      until: soon(60_000),
    }),
  ],
  ["higher limit", () => ({ kind: "set", budget: "day", to: { limit_usd: "0.08" } })],
];
for (const [what, change] of wakers) {
  test(`whoever waits for money is woken by a ${what}`, async (t) => {
    const { ask, edit, gateway } = await begin(
      t,
      "  - { id: day, limit_usd: 0.04, period: daily, on_limit: queue }",
    );
    t.is(await ask(), 200);
    const waiting = ask();
    await eventually("it waits", async () => (await gateway().client.status()).waiting === 1);
    await edit(change());
    t.is(await waiting, 200);
  });
}

test("a raise lifts a limit, and does so after a restart too", async (t) => {
  const { ask, edit, standing, restart } = await begin(
    t,
    "  - { id: day, limit_usd: 0.04, period: daily, on_limit: block }",
  );
  t.deepEqual([await ask(), await ask()], [200, 402]);
  const done = await edit({
    ...{ kind: "raise", budget: "day", unit: "usd", amount: quantityOf(80_000_000n), until: soon(600_000) },
  });
  t.is(done.kind, "raised");
  t.is(await standing("day"), "0.04 of 0.12");
  t.is(await ask(), 200);
  await restart();
  t.is(await standing("day"), "0.08 of 0.12");
  t.deepEqual([await ask(), await ask()], [200, 402]);
});

test("the limit drops by itself when the time of a raise is over", async (t) => {
  const { ask, edit, standing } = await begin(
    t,
    "  - { id: day, limit_usd: 0.04, period: daily, on_limit: block }",
  );
  t.is(await ask(), 200);
  const until = soon(4_000);
  await edit({ kind: "raise", budget: "day", unit: "usd", amount: quantityOf(400_000_000n), until });
  await eventually("it has ended", async () => (await standing("day")) === "0.04 of 0.04");
  t.is(await ask(), 402);
});

test("a raise that is ended early is over at once", async (t) => {
  const { ask, edit, standing } = await begin(
    t,
    "  - { id: day, limit_usd: 0.04, period: daily, on_limit: block }",
  );
  t.is(await ask(), 200);
  const done = await edit({
    ...{ kind: "raise", budget: "day", unit: "usd", amount: quantityOf(40_000_000n), until: soon(60_000) },
  });
  const id = done.kind === "raised" ? done.raise.id : "";
  t.is((await edit({ kind: "end_raise", id })).kind, "raise_ended");
  t.is(await standing("day"), "0.04 of 0.04");
  t.is((await edit({ kind: "end_raise", id })).kind, "refused");
});

test("a changed limit stands in the policy file beside its comments, and the balance stays", async (t) => {
  const { ask, edit, standing, folder } = await begin(
    t,
    `  # what the studio may spend
  - id: day       # of the studio
    limit_usd: 0.04 # agreed with finance
    period: daily`,
  );
  t.is(await ask(), 200);
  t.deepEqual(await edit({ kind: "set", budget: "day", to: { limit_usd: "0.06", on_limit: "block" } }), {
    kind: "set",
  });
  t.true(
    readFileSync(folder.policyPath, "utf8").endsWith(`  # what the studio may spend
  - id: day       # of the studio
    limit_usd: 0.06 # agreed with finance
    period: daily
    on_limit: block`),
  );
  t.is(await standing("day"), "0.04 of 0.06");
  t.is(await ask(), 402);
});

test("an edit that cannot be made changes nothing, and says why", async (t) => {
  const { edit, folder, standing } = await begin(
    t,
    "  - { id: day, limit_usd: 0.04, period: daily, on_limit: block }",
  );
  const before = readFileSync(folder.policyPath, "utf8");
  const raise = {
    kind: "raise",
    budget: "day",
    unit: "usd",
    amount: quantityOf(1n),
    until: soon(9_000),
  } as const;
  const kindOf = async (change: BudgetEdit) => (await edit(change)).kind;
  t.is(await kindOf({ kind: "set", budget: "day", to: { limit_usd: "a lot" } }), "problems");
  t.is(await kindOf({ kind: "set", budget: "day", to: { period: "weekly" } }), "refused");
  t.is(await kindOf({ kind: "set", budget: "night", to: { limit_usd: "1" } }), "refused");
  t.is(await kindOf({ kind: "reset", budget: "night" }), "refused");
  t.is(await kindOf({ ...raise, until: soon(-1) }), "refused");
  t.is(await kindOf({ ...raise, unit: "images" }), "refused");
  t.is(await kindOf({ ...raise, amount: quantityOf(0n) }), "refused");
  chmodSync(folder.policyPath, 0o444);
  t.is(await kindOf({ kind: "set", budget: "day", to: { limit_usd: "1" } }), "read_only");
  t.is(readFileSync(folder.policyPath, "utf8"), before);
  t.is(await standing("day"), "0.00 of 0.04");
});

test("E24: an amount set aside is held like a request's, through a restart, until it is settled with what was spent", async (t) => {
  const { ask, standing, restart, gateway } = await begin(
    t,
    "  - { id: day, limit_usd: 0.08, period: daily, on_limit: block }",
  );
  const hand = () => gateway().daemon.byHand.allocations;
  const wish = {
    ...{ labels: { user: "ann" }, amount: nanoUsd(50_000_000n), lasts: HOUR, by: "ops", reason: "a shot" },
  };
  const done = await hand().allocate(wish);
  const id = done.kind === "allocated" ? done.row.id : "";
  t.is((await hand().allocate(wish)).kind, "breach", "there is no second one in it");
  t.is(await ask(), 402);
  await restart();
  t.is(await ask(), 402);
  t.like(await gateway().client.explainBudget("day"), {
    allocations: [{ id, amount_usd: "0.05", by: "ops", reason: "a shot" }],
    balances: [{ held: "0.05", settled: "0.00" }],
  });
  t.is((await hand().settle(id, nanoUsd(60_000_000n), "ops")).kind, "too_much");
  t.is((await hand().settle(id, nanoUsd(10_000_000n), "ops")).kind, "ended");
  t.is((await hand().release(id, "ops")).kind, "unknown", "it ends once");
  t.is(await standing("day"), "0.01 of 0.08");
  t.is(await ask(), 200);
});

test("an amount set aside is given back when its time is over, to whoever waits for it", async (t) => {
  const { ask, gateway } = await begin(t, "  - { id: day, limit_usd: 0.04, period: daily, on_limit: queue }");
  const done = await gateway().daemon.byHand.allocations.allocate({
    ...{ labels: {}, amount: nanoUsd(10_000_000n), lasts: SECOND, by: "ops", reason: "a trial" },
  });
  t.is(done.kind, "allocated");
  t.is(await ask(), 200);
  t.deepEqual(gateway().daemon.byHand.allocations.list(), []);
});

test("explain tells what was done to a budget by hand, and that a raise which ended left it over its limit", async (t) => {
  const { ask, edit, gateway } = await begin(
    t,
    "  - { id: day, limit_usd: 0.04, period: daily, on_limit: block }",
  );
  t.is(await ask(), 200);
  await edit({ kind: "reset", budget: "day" });
  const done = await edit({
    ...{ kind: "raise", budget: "day", unit: "usd", amount: quantityOf(40_000_000n), until: soon(600_000) },
  });
  t.deepEqual([await ask(), await ask(), await ask()], [200, 200, 402]);
  await edit({ kind: "end_raise", id: done.kind === "raised" ? done.raise.id : "" });
  const found = await gateway().client.explainBudget("day");
  t.like(found.adjustments[0], {
    amount: "-0.04",
    unit: "usd",
    value: null,
    by: "ops",
    reason: "a deadline",
  });
  t.like(found.raises[0], { amount: "0.04", in_force: false, by: "ops", reason: "a deadline" });
  t.like(found.accounts[0], { over: "0.04", causes: [{ cause: "limit_lowered", at_most: "0.04" }] });
  t.truthy(found.accounts[0]?.causes[0]?.at);
  const { stdout } = await cli(["explain", "day", "--admin", gateway().daemon.admin]);
  t.regex(stdout, /\n {2}the limit was lowered in this period: a raise ended on .*, at most 0\.04 USD\n/);
  t.regex(
    stdout,
    /\nBy hand\n {2}adjusted by -0\.04 USD on .* by ops: a deadline\n {2}raised by 0\.04 USD ended /,
  );
});
