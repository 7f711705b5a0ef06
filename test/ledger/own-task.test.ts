import test from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { SECOND } from "../../src/metering/time.ts";
import { begun, houseOf, onDisk, RELAYED, rows } from "../support/ledger.ts";
import { budget, perHour, policy, task, upstream, usd } from "../support/policies.ts";

const each = budget("one-image", { limit_usd: "0.5", period: "per_task", overrun: "cut" });
const given = policy({ upstreams: [upstream("flux", { price: perHour("3.6") })], budgets: [each] });

test("a per_task balance of a request that named no task leaves nothing behind", async (t) => {
  const house = await houseOf(t, given);
  const reservation = await begun(house, task());
  t.is([...house.accounts.book.all()].length, 1);
  await reservation.settle(RELAYED);
  t.is([...house.accounts.book.all()].length, 0);
  t.deepEqual(rows(house.folder, "SELECT * FROM balances"), []);
});

test("a request that the disk refused leaves no balance of its own in memory", async (t) => {
  const house = await houseOf(t, given);
  house.disk.refuses = () => true;
  t.is((await house.admit(task())).kind, "ledger_unavailable");
  t.deepEqual([...house.accounts.book.all()], []);
});

test("a task that was named goes on counting over its requests, and over a restart", async (t) => {
  const house = await houseOf(t, given);
  const named = () => task({ labels: { task: "shot-12" } });
  await (await begun(house, named())).settle(RELAYED);
  await (await begun(house, named())).settle(RELAYED);
  t.is(rows(house.folder, "SELECT * FROM balances").length, 1);
  t.is([...house.accounts.book.all()].length, 1);
});

test("a new budget counts what a tunnel has used, and leaves nothing behind either", async (t) => {
  const house = await houseOf(t, given);
  const tunnel = await begun(house, task());
  tunnel.bySlice();
  house.clock.pass(2 * SECOND);
  await tunnel.extend();
  const anew = budget("one-image", {
    limit_usd: "0.4",
    period: "per_task",
    overrun: "cut",
    includeIdle: false,
  });
  await house.adopt({ ...given, budgets: [anew] });
  const [balance] = [...house.accounts.book.all()].filter(({ account }) => account.includes("|requests|"));
  t.is(balance?.balance.settled, usd("0.002"));
  await tunnel.settle(RELAYED);
  t.deepEqual(rows(house.folder, "SELECT * FROM balances WHERE settled <> 0 OR held <> 0"), []);
  const findings = onDisk(house.folder, (database) => verify(database).checks.flatMap((one) => one.findings));
  t.deepEqual(findings, []);
});
