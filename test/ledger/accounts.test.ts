// Holding and ending over a real disk: nothing is sent before its hold is durable, nothing is lost when a
// write fails, and a limit is a limit.

import { setImmediate as turn } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { MINUTE, SECOND } from "../../src/metering/time.ts";
import type { Admission } from "../../src/policy/admission.ts";
import {
  begun,
  charges,
  type House,
  houseOf,
  permit,
  RELAYED,
  rows,
  stored,
  writesOf,
} from "../support/ledger.ts";
import {
  budget,
  type PolicySketch,
  perHour,
  perRequest,
  policy,
  task,
  upstream,
  usd,
} from "../support/policies.ts";

/** 3.6 USD/h is 0.001 USD a second; a request is expected to take 12 s. */
function paid(over: Partial<PolicySketch> = {}) {
  return policy({ upstreams: [upstream("aws")], budgets: [budget("day", { limit_usd: "0.02" })], ...over });
}

const hosted = { upstreams: [upstream("hosted", { provider: "nvidia-hosted", price: perRequest("0.01") })] };
const free = { upstreams: [upstream("own", { provider: "local", price: perHour("0") })] };
const local = { mode: "local" as const };

/** "pending" while it waits for the disk. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  await turn();
  return Promise.race([promise.then(() => "resolved").catch(() => "rejected"), turn("pending")]);
}

/** What the only account holds and has settled, in memory and on disk. */
function check(t: ExecutionContext, house: House, expected: { held: string; settled: string }): void {
  const balance = { held: usd(expected.held), settled: usd(expected.settled) };
  const live = [...house.accounts.book.all()].map(({ balance: { held, settled } }) => ({ held, settled }));
  t.deepEqual(live, [balance], "in memory");
  t.deepEqual(stored(house.folder), [{ settled: balance.settled, held: balance.held }], "on disk");
}

test("E02: what is admitted is on disk: its hold, its entry, its balance, its decision", async (t) => {
  const house = await houseOf(t, paid());
  const asked = task();
  permit(await house.admit(asked));
  check(t, house, { held: "0.012", settled: "0" });
  t.is(rows(house.folder, "SELECT id FROM reservations").length, 1);
  t.deepEqual(rows(house.folder, "SELECT kind, amount, request FROM entries"), [
    { kind: "reserved", amount: usd("0.012"), request: asked.id },
  ]);
  t.deepEqual(rows(house.folder, "SELECT request, hold, outcome FROM decisions"), [
    { request: asked.id, hold: usd("0.012"), outcome: null },
  ]);
});

test("nobody is admitted before the hold is durable", async (t) => {
  const house = await houseOf(t, paid());
  house.disk.shut();
  const admission = house.admit(task());
  t.is(await stateOf(admission), "pending");
  await house.disk.open();
  t.is((await admission).kind, "admitted");
});

test("what is being written is held already: the next request does not get it", async (t) => {
  const house = await houseOf(t, paid());
  house.disk.shut();
  const first = house.admit(task());
  t.is((await house.admit(task())).kind, "refuse");
  await house.disk.open();
  t.is((await first).kind, "admitted");
});

test("a hold that the disk refuses is no hold, and the money is there for the next one", async (t) => {
  const house = await houseOf(t, paid());
  house.disk.refuses = writesOf("hold");
  t.is((await house.admit(task())).kind, "ledger_unavailable");
  t.is(house.accounts.open, 0);
  t.is(house.troubles.length, 1);
  t.deepEqual(stored(house.folder), []);
  house.disk.refuses = () => false;
  t.is((await house.admit(task())).kind, "admitted");
  check(t, house, { held: "0.012", settled: "0" });
});

test("a settlement is durable when it resolves: charged once, everything else given back", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = await begun(house, task());
  house.clock.pass(10 * SECOND);
  const { charged, elapsed } = await reservation.settle(RELAYED);
  t.is(charged, usd("0.01"));
  t.is(elapsed as number, 10 * SECOND);
  check(t, house, { held: "0", settled: "0.01" });
  t.is(rows(house.folder, "SELECT id FROM reservations").length, 0);
  t.deepEqual(rows(house.folder, "SELECT outcome, charged FROM decisions"), [
    { outcome: "relayed", charged: usd("0.01") },
  ]);
});

test("a settlement waits for the disk", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = await begun(house, task());
  house.clock.pass(SECOND);
  house.disk.shut();
  const settlement = reservation.settle(RELAYED);
  t.is(await stateOf(settlement), "pending");
  await house.disk.open();
  await settlement;
  t.is(charges(house.folder).length, 1);
});

test("the wait for the disk is not billed", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = await begun(house, task());
  house.clock.pass(SECOND);
  house.disk.shut();
  const settlement = reservation.settle(RELAYED);
  house.clock.pass(MINUTE);
  await house.disk.open();
  t.is((await settlement).charged, usd("0.001"));
});

test("a settlement that the disk refused is kept, counted, and written with a later heartbeat, once", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = await begun(house, task());
  house.clock.pass(10 * SECOND);
  house.disk.refuses = () => true;
  await t.throwsAsync(reservation.settle(RELAYED));
  await t.throwsAsync(house.accounts.heartbeat());
  t.true(house.accounts.outbox.kept > 0);
  t.is(charges(house.folder).length, 0);
  // It counts all the same: 0.01 of 0.02 is spent.
  t.is((await house.admit(task())).kind, "refuse");
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  await house.accounts.heartbeat();
  t.is(house.accounts.outbox.kept, 0);
  check(t, house, { held: "0", settled: "0.01" });
  t.is(charges(house.folder).length, 1);
});

test("a release gives everything back and charges nothing", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = permit(await house.admit(task()));
  house.clock.pass(5 * SECOND);
  await reservation.release("over");
  check(t, house, { held: "0", settled: "0" });
  t.is(house.accounts.open, 0);
  t.deepEqual(
    rows(house.folder, "SELECT kind, is_last FROM entries").map(({ kind, is_last }) => [kind, is_last]),
    [
      ["reserved", 0n],
      ["released", 1n],
    ],
  );
});

test("a release that the disk refused is made up for", async (t) => {
  const house = await houseOf(t, paid());
  const reservation = permit(await house.admit(task()));
  house.disk.refuses = writesOf("unhold");
  await t.throwsAsync(reservation.release("over"));
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  check(t, house, { held: "0", settled: "0" });
});

test("a hold ends once: every further ending throws and moves nothing", async (t) => {
  const house = await houseOf(t, paid());
  const settled = await begun(house, task());
  house.clock.pass(10 * SECOND);
  await settled.settle(RELAYED);
  await t.throwsAsync(settled.settle(RELAYED), { message: /is ended/ });
  await t.throwsAsync(settled.release("over"), { message: /is ended/ });
  t.throws(() => settled.begin(), { message: /is ended/ });
  check(t, house, { held: "0", settled: "0.01" });
});

test("what was sent cannot be released", async (t) => {
  const reservation = await begun(await houseOf(t, paid()), task());
  await t.throwsAsync(reservation.release("over"), { message: /only from held/ });
});

test("of 200 at once, a budget for exactly 40 admits 40", async (t) => {
  const house = await houseOf(t, paid({ ...hosted, budgets: [budget("day", { limit_usd: "0.4" })] }));
  const answers = await Promise.all(Array.from({ length: 200 }, () => house.admit(task())));
  const kinds = (kind: Admission["kind"]) => answers.filter((answer) => answer.kind === kind).length;
  t.deepEqual([kinds("admitted"), kinds("refuse")], [40, 160]);
  check(t, house, { held: "0.4", settled: "0" });
  for (const answer of answers) {
    if (answer.kind !== "admitted") continue;
    answer.reservation.begin();
    await answer.reservation.settle(RELAYED);
  }
  check(t, house, { held: "0", settled: "0.4" });
});

test("a need of nothing never breaches a limit, spent as it may be", async (t) => {
  const upstreams = [...hosted.upstreams, ...free.upstreams];
  const budgets = [budget("day", { limit_usd: "0.01" })];
  const house = await houseOf(t, paid({ upstreams, budgets }));
  await (await begun(house, task())).settle(RELAYED);
  house.policy = paid({ upstreams, budgets, ...local });
  const answer = await house.admit(task());
  t.is(answer.kind === "admitted" && answer.decision.quote.upstream.id, "own");
});

test("free work that no enforcing budget covers does not wait for the disk", async (t) => {
  const budgets = [budget("watch", { limit_usd: "0.01", onLimit: "warn" })];
  const house = await houseOf(t, paid({ ...free, ...local, budgets }));
  house.disk.shut();
  const reservation = await begun(house, task());
  house.clock.pass(SECOND);
  t.is((await reservation.settle(RELAYED)).charged, usd("0"));
  await house.disk.open();
  // Its ending follows its beginning to the disk: with the heartbeat after the one that follows that.
  await house.accounts.heartbeat();
  await house.accounts.heartbeat();
  t.is(charges(house.folder).length, 1);
});

test("free work that an enforcing budget covers waits for the disk", async (t) => {
  const house = await houseOf(t, paid({ ...free, ...local }));
  house.disk.shut();
  const admission = house.admit(task());
  t.is(await stateOf(admission), "pending");
  await house.disk.open();
  await admission;
});

test("a refusal is told at once, and its record reaches the disk", async (t) => {
  const house = await houseOf(t, paid({ budgets: [budget("day", { limit_usd: "0.011" })] }));
  house.disk.shut();
  t.is((await house.admit(task())).kind, "refuse");
  await house.disk.open();
  await house.accounts.heartbeat();
  t.deepEqual(rows(house.folder, "SELECT outcome FROM decisions"), [{ outcome: "refused" }]);
  t.is(rows(house.folder, "SELECT seq FROM entries").length, 0);
});

test("a decision that does not fit what it is held in is a bug, and throws", async (t) => {
  const house = await houseOf(t, paid());
  const stale = await house.admit(task());
  if (stale.kind !== "admitted") throw new Error("not admitted");
  await t.throwsAsync(
    house.accounts.admit(task(), () => stale.decision),
    { message: /no longer fits/ },
  );
  check(t, house, { held: "0.012", settled: "0" });
});

test("free work whose hold the disk refused is recorded all the same", async (t) => {
  const house = await houseOf(t, paid({ ...free, ...local, budgets: [] }));
  house.disk.refuses = writesOf("hold");
  const reservation = await begun(house, task());
  house.disk.refuses = () => false;
  await reservation.settle(RELAYED);
  await house.accounts.heartbeat();
  await house.accounts.heartbeat();
  t.deepEqual(rows(house.folder, "SELECT outcome FROM decisions"), [{ outcome: "relayed" }]);
  t.is(rows(house.folder, "SELECT seq FROM entries WHERE kind = 'reserved'").length, 1);
});
