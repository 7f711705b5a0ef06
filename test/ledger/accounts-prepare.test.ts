// A new policy (MONEY §4): a balance is what the entries say, whatever its budget is called and whenever it
// came; requests that run meanwhile are neither missed nor counted twice.

import test, { type ExecutionContext } from "ava";
import { DAY, HOUR, SECOND } from "../../src/metering/time.ts";
import type { Budget } from "../../src/policy/policy.ts";
import {
  begun,
  type House,
  houseOf,
  permit,
  RELAYED,
  restarted,
  rows,
  stored,
  writesOf,
} from "../support/ledger.ts";
import { budget, perRequest, policy, task, upstream, usd } from "../support/policies.ts";

function paid(...budgets: readonly Budget[]) {
  return policy({ upstreams: [upstream("aws"), upstream("gcp", { provider: "gcp" })], budgets });
}

const all = budget("all", { limit_usd: "100" });
const alice = budget("alice", { limit_usd: "0.05", when: { user: "alice" } });
const each = budget("each", { limit_usd: "0.05", per: "user" });

/** One request of that many seconds, 0.001 USD each. */
async function spend(house: House, user: string, time: number): Promise<void> {
  const reservation = await begun(house, task({ labels: { user } }));
  house.clock.pass(time * SECOND);
  await reservation.settle(RELAYED);
}

/** The balance of the account whose name ends so, in memory and on disk. */
function check(t: ExecutionContext, house: House, account: string, expected: string, held = "0"): void {
  const live = [...house.accounts.book.all()].filter((one) => one.account.endsWith(account)).at(-1);
  t.is(live?.balance.settled ?? usd("0"), usd(expected), "in memory");
  t.is(live?.balance.held ?? usd("0"), usd(held), "held in memory");
  const found = rows(house.folder, "SELECT * FROM balances ORDER BY start").filter((row) =>
    String(row.account).endsWith(account),
  );
  t.is(found.at(-1)?.settled ?? 0n, usd(expected), "on disk");
  t.is(found.at(-1)?.held ?? 0n, usd(held), "held on disk");
}

test("a renamed budget keeps its balance: no free refill", async (t) => {
  const house = await houseOf(t, paid(alice));
  await spend(house, "alice", 20);
  await house.adopt(paid({ ...alice, id: "alice-new" }));
  check(t, house, 'user:["alice"]|', "0.02");
});

test("a new budget starts with what it would have counted", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 20);
  await spend(house, "bob", 10);
  await house.adopt(paid(all, alice));
  check(t, house, 'user:["alice"]|', "0.02");
  check(t, house, "||", "0.03");
});

test("a new budget that is spent already refuses the next request", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 45);
  await house.adopt(paid(all, alice));
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "refuse");
  t.is((await house.admit(task({ labels: { user: "bob" } }))).kind, "admitted");
});

test("a new budget per user starts with what each of them has spent", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 20);
  await spend(house, "bob", 10);
  await house.adopt(paid(all, each));
  check(t, house, "|user=alice", "0.02");
  check(t, house, "|user=bob", "0.01");
});

test("a new budget per session counts a request without one for its user", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 20);
  const sessions = budget("sessions", { limit_usd: "1", period: "per_session" });
  await house.adopt(paid(all, sessions));
  check(t, house, '|session=["alice",null]', "0.02");
  await spend(house, "alice", 5);
  check(t, house, '|session=["alice",null]', "0.025");
});

test("a new budget counts only its period", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 20);
  house.clock.pass(DAY);
  await spend(house, "alice", 3);
  await house.adopt(paid(all, alice, { ...alice, id: "ever", period: "infinite" }));
  check(t, house, 'daily/1/UTC|all|user:["alice"]|', "0.003");
  check(t, house, 'infinite/1/UTC|all|user:["alice"]|', "0.023");
});

test("a rescoped budget counts what matches it now", async (t) => {
  const house = await houseOf(t, paid(alice));
  await spend(house, "bob", 7);
  await house.adopt(paid({ ...alice, when: new Map([["user", ["alice", "bob"]]]) }));
  check(t, house, 'user:["alice","bob"]|', "0.007");
});

test("what settles before the fold is asked for is counted by the fold, once", async (t) => {
  const house = await houseOf(t, paid(all));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  house.clock.pass(4 * SECOND);
  house.disk.shut();
  const settled = reservation.settle(RELAYED);
  const adopted = house.adopt(paid(all, alice));
  await house.disk.open();
  await Promise.all([settled, adopted]);
  check(t, house, 'user:["alice"]|', "0.004");
});

test("what settles while the fold is under way is counted live, once", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 20);
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  house.clock.pass(4 * SECOND);
  house.disk.shut();
  const adopted = house.adopt(paid(all, alice));
  const settled = reservation.settle(RELAYED);
  await house.disk.open();
  await Promise.all([settled, adopted]);
  check(t, house, 'user:["alice"]|', "0.024");
  check(t, house, "||", "0.024");
});

test("until the fold is done the old limits stay in force", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 49);
  house.disk.shut((asked) => asked === "fold");
  const adopted = house.adopt(paid(all, alice));
  t.true(house.accounts.folding.isUnderWay);
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "admitted");
  await house.disk.open();
  await adopted;
  t.false(house.accounts.folding.isUnderWay);
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "refuse");
});

test("the money of an open request is held in a budget that newly covers it, and ends with it", async (t) => {
  const house = await houseOf(t, paid(all));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  await house.adopt(paid(all, alice));
  await house.accounts.heartbeat();
  check(t, house, 'user:["alice"]|', "0", "0.012");
  house.clock.pass(4 * SECOND);
  await reservation.settle(RELAYED);
  check(t, house, 'user:["alice"]|', "0.004");
});

test("an open hold is placed even where it does not fit: it blocks the next one", async (t) => {
  const house = await houseOf(t, paid(all));
  permit(await house.admit(task({ labels: { user: "alice" } })));
  await house.adopt(paid(all, { ...alice, limits: new Map([["usd", usd("0.001")]]) }));
  await house.accounts.heartbeat();
  check(t, house, 'user:["alice"]|', "0", "0.012");
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "refuse");
});

test("an open hold that is placed survives a crash, and recovery gives it back", async (t) => {
  const house = await houseOf(t, paid(all));
  await begun(house, task({ labels: { user: "alice" } }));
  await house.adopt(paid(all, alice));
  house.clock.pass(3 * SECOND);
  await house.accounts.heartbeat();
  const next = await restarted(t, house, HOUR);
  check(t, next, 'user:["alice"]|', "0.004");
});

test("a hold that the disk refused is also given back where a reload had placed it meanwhile", async (t) => {
  const house = await houseOf(t, paid(all));
  house.disk.shut(writesOf("hold"));
  house.disk.refuses = writesOf("hold");
  const admission = house.admit(task({ labels: { user: "alice" } }));
  await house.adopt(paid(all, alice));
  await house.disk.open();
  t.is((await admission).kind, "ledger_unavailable");
  await house.accounts.heartbeat();
  check(t, house, 'user:["alice"]|', "0");
  check(t, house, "||", "0");
});

test("a removed budget's hold ends with its request", async (t) => {
  const house = await houseOf(t, paid(all, alice));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  await house.adopt(paid(all));
  house.clock.pass(4 * SECOND);
  await reservation.settle(RELAYED);
  t.deepEqual(
    stored(house.folder, 'user:["alice"]').map(({ held }) => held),
    [usd("0")],
  );
});

test("a budget that was removed and comes back counts what was spent meanwhile", async (t) => {
  const house = await houseOf(t, paid(all, alice));
  await spend(house, "alice", 10);
  await house.adopt(paid(all));
  await spend(house, "alice", 5);
  await house.adopt(paid(all, alice));
  check(t, house, 'user:["alice"]|', "0.015");
  await spend(house, "alice", 1);
  check(t, house, 'user:["alice"]|', "0.016");
});

test("a budget that comes back finds the request that ran all along held once", async (t) => {
  const house = await houseOf(t, paid(all, alice));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  await house.adopt(paid(all));
  await house.adopt(paid(all, alice));
  check(t, house, 'user:["alice"]|', "0", "0.012");
  house.clock.pass(4 * SECOND);
  await reservation.settle(RELAYED);
  check(t, house, 'user:["alice"]|', "0.004");
});

test("a disabled budget that is enabled again counts what was spent meanwhile", async (t) => {
  const house = await houseOf(t, paid(all, alice));
  await house.adopt(paid(all, { ...alice, enabled: false }));
  await spend(house, "alice", 5);
  await house.adopt(paid(all, alice));
  check(t, house, 'user:["alice"]|', "0.005");
});

test("a fold that the disk refuses changes nothing, and the next reload folds it", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 10);
  house.disk.refuses = (asked) => asked === "fold";
  await t.throwsAsync(house.adopt(paid(all, alice)));
  await spend(house, "alice", 5);
  house.disk.refuses = () => false;
  await house.adopt(paid(all, alice));
  check(t, house, 'user:["alice"]|', "0.015");
  check(t, house, "||", "0.015");
});

test("a fold that came out wrong is believed by no restart", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 10);
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  house.clock.pass(4 * SECOND);
  // This settlement is on its way when counting begins, and refused: no fold has it.
  house.disk.shut(writesOf("entries"));
  const settled = reservation.settle(RELAYED);
  const adopted = house.adopt(paid(all, alice));
  house.disk.refuses = writesOf("entries");
  await house.disk.open();
  await Promise.allSettled([settled]);
  await t.throwsAsync(adopted, { message: /save the policy again/ });
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  await spend(house, "alice", 5);
  house.policy = paid(all, alice);
  check(t, await restarted(t, house), 'user:["alice"]|', "0.019");
});

test("a restart under another policy folds what is new in it", async (t) => {
  const house = await houseOf(t, paid(all));
  await spend(house, "alice", 10);
  house.policy = paid(all, alice);
  const next = await restarted(t, house);
  check(t, next, 'user:["alice"]|', "0.01");
  const again = await restarted(t, next);
  check(t, again, 'user:["alice"]|', "0.01");
});

test("a value whose own budget is removed keeps what it has spent", async (t) => {
  // `alice` replaces the `per: user` balance of alice; removing it must not give her a fresh one.
  const house = await houseOf(t, paid(all, each, alice));
  await spend(house, "alice", 45);
  await house.adopt(paid(all, each));
  t.is((await house.admit(task({ labels: { user: "alice" } }))).kind, "refuse");
});

test("what a value's own budget held is held in the one that counts it once that is removed", async (t) => {
  const house = await houseOf(t, paid(all, each, alice));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  await house.adopt(paid(all, each));
  await house.accounts.heartbeat();
  check(t, house, "||user=alice", "0", "0.012");
  house.clock.pass(4 * SECOND);
  await reservation.settle(RELAYED);
  check(t, house, "||user=alice", "0.004");
});

test("a slice taken while a budget was away is held in it when it comes back", async (t) => {
  const house = await houseOf(t, paid(all, alice));
  const reservation = await begun(house, task({ labels: { user: "alice" } }));
  await house.adopt(paid(all));
  await reservation.extend();
  await house.adopt(paid(all, alice));
  // Whatever was handed to the disk before the heartbeat is on it by then.
  await house.accounts.heartbeat();
  check(t, house, 'user:["alice"]|', "0", "0.017");
});

test("work that nobody waits for, and that ends while a budget comes, is counted by it", async (t) => {
  const upstreams = [upstream("free", { price: perRequest("0") })];
  const house = await houseOf(t, policy({ upstreams }));
  const one = await begun(house, task());
  const settled = one.settle(RELAYED);
  for (let tick = 0; tick < 3; tick += 1) await null;
  await house.adopt(policy({ upstreams, budgets: [budget("few", { limits: { requests: 5 } })] }));
  await settled;
  await house.accounts.outbox.settled();
  t.deepEqual(stored(house.folder, "requests|") as unknown, [{ settled: 1n, held: 0n }]);
  const counted = [...house.accounts.book.all()].map(({ balance }) => BigInt(balance.settled));
  t.deepEqual(counted, [1n]);
});
