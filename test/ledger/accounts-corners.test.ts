// Corners in which a limit was once no limit, or time once free: each was found by an attack, and stays.

import test from "ava";
import { SECOND } from "../../src/metering/time.ts";
import { watch } from "../support/containers.ts";
import {
  begun,
  charges,
  HandClock,
  houseOf,
  permit,
  RELAYED,
  restarted,
  stored,
  writesOf,
} from "../support/ledger.ts";
import { budget, model, perHour, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const HOUR_TO_MIDNIGHT = 14 * 3600 * SECOND;

test("a budget that finishes does not lift one that cuts on the same balance", async (t) => {
  const soft = budget("soft", { limit_usd: "0.013", overrun: "finish" });
  const hard = budget("hard", { limit_usd: "0.020", overrun: "cut" });
  const house = await houseOf(t, policy({ upstreams: [upstream("aws")], budgets: [soft, hard] }));
  const reservation = await begun(house, task());
  t.is(await reservation.extend(), "extended");
  t.is(stored(house.folder)[0]?.held, usd("0.017"));
  t.is(await reservation.extend(), "refused");
});

test("what the disk refused before a reload is counted in a budget that is new with it", async (t) => {
  const all = budget("all", { limit_usd: "100" });
  const alice = budget("alice", { limit_usd: "0.05", when: { user: "alice" } });
  const given = policy({ upstreams: [upstream("aws")], budgets: [all] });
  const house = await houseOf(t, given);
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  house.clock.pass(40 * SECOND);
  house.disk.refuses = () => true;
  await t.throwsAsync(reservation.settle(RELAYED));
  await t.throwsAsync(house.adopt(policy({ upstreams: [upstream("aws")], budgets: [all, alice] })));
  house.disk.refuses = () => false;
  await house.adopt(policy({ upstreams: [upstream("aws")], budgets: [all, alice] }));
  t.is(stored(house.folder, "alice")[0]?.settled, usd("0.04"));
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "refuse");
});

test("a slice that is being written is placed too in a budget that newly covers it", async (t) => {
  const all = budget("all", { limit_usd: "100", overrun: "cut" });
  const alice = budget("alice", { limit_usd: "0.024", when: { user: "alice" }, overrun: "cut" });
  const given = policy({ upstreams: [upstream("aws")], budgets: [all] });
  const house = await houseOf(t, given);
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  const next = policy({ upstreams: [upstream("aws")], budgets: [all, alice] });
  const turn = await house.accounts.prepare(next);
  house.disk.shut(writesOf("rehold"));
  const extended = reservation.extend();
  turn();
  house.policy = next;
  await house.disk.open();
  t.is(await extended, "extended");
  await house.accounts.outbox.settled();
  t.is(stored(house.folder, "alice")[0]?.held, usd("0.017"));
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "refuse");
  // Also on disk: the hold that the reload has written was that of before the slice.
  await watch(house, 15);
  const again = await restarted(t, house);
  t.is(stored(again.folder, "alice")[0]?.settled, usd("0.015"));
});

test("who names no project is not let through by a budget for the project named unknown", async (t) => {
  const each = budget("each", { limit_usd: "0.02", per: "project" });
  const named = budget("named", { limit_usd: "0.02", when: { project: "unknown" } });
  const house = await houseOf(t, policy({ upstreams: [upstream("aws")], budgets: [each, named] }));
  await begun(house, task());
  t.is((await house.admit(task())).kind, "refuse");
});

test("a cut that comes late takes nothing of the next day beyond what was held there", async (t) => {
  const upstreams = [upstream("aws"), upstream("piece", { price: perRequest("0.012") })];
  const models = [model("flux-dev", ["aws"]), model("h", ["piece"])];
  const budgets = [budget("day", { limit_usd: "0.016", overrun: "cut" })];
  const clock = new HandClock((TEN + HOUR_TO_MIDNIGHT - 8 * SECOND) as typeof TEN);
  const house = await houseOf(t, policy({ upstreams, models, budgets }), clock);
  const late = permit(await house.admit(task()));
  house.clock.pass(5 * SECOND);
  late.begin();
  house.clock.pass(3.1 * SECOND);
  const piece = await begun(house, task({ model: "h" }));
  house.clock.pass(7 * SECOND);
  await late.settle({ ...RELAYED, outcome: "cut" });
  await piece.settle(RELAYED);
  t.deepEqual(
    stored(house.folder).map(({ settled }) => settled),
    [usd("0.003"), usd("0.016")],
  );
});

const priced = (hourly: string) =>
  policy({
    upstreams: [upstream("aws", { price: perHour(hourly) })],
    budgets: [budget("day", { limit_usd: "10", overrun: "cut" })],
  });

test("a machine's price that fell counts at once, for who came before and after", async (t) => {
  const house = await houseOf(t, priced("36"));
  const first = await begun(house, task());
  house.clock.pass(SECOND);
  await house.adopt(priced("3.6"));
  house.clock.pass(SECOND);
  const second = await begun(house, task());
  first.stop();
  house.clock.pass(2 * SECOND);
  await second.settle(RELAYED);
  await first.settle(RELAYED);
  t.deepEqual(
    charges(house.folder).map(({ amount }) => amount),
    [usd("0.011"), usd("0.002")],
  );
});

test("a machine's price that rose counts once nobody runs on who was asked the lower one", async (t) => {
  const house = await houseOf(t, priced("3.6"));
  const first = await begun(house, task());
  await house.adopt(priced("36"));
  const second = await begun(house, task());
  house.clock.pass(2 * SECOND);
  await first.settle(RELAYED);
  house.clock.pass(SECOND);
  await second.settle(RELAYED);
  t.deepEqual(
    charges(house.folder).map(({ amount }) => amount),
    [usd("0.001"), usd("0.011")],
  );
});

test("a join that went with a refused write is known to the disk with the next one", async (t) => {
  const house = await houseOf(t, priced("3.6"));
  await house.accounts.heartbeat();
  await begun(house, task());
  const [refused, written] = [await begun(house, task()), await begun(house, task())];
  house.clock.pass(0.4 * SECOND);
  house.disk.refuses = () => true;
  await t.throwsAsync(refused.settle(RELAYED));
  house.disk.refuses = () => false;
  house.clock.pass(0.5 * SECOND);
  await written.settle(RELAYED);
  await restarted(t, house);
  const amounts = charges(house.folder).map(({ amount }) => amount);
  t.is(amounts.length, 3);
  t.true(
    amounts.every((amount) => amount > 0n),
    `${amounts}`,
  );
});
