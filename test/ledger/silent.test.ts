// Sessions and tasks never turn, and clients name them: what was silent for long is forgotten, in memory and on
// disk alike, and whoever recounts the ledger takes it for no mistake.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { Retention } from "../../src/ledger/retention.ts";
import { MOST_LOOKED_AT, SILENT_FOR, type Silence } from "../../src/ledger/silent.ts";
import { verify } from "../../src/ledger/verify.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { DAY, EPOCH, FOREVER, HOUR, later, MINUTE, SECOND } from "../../src/metering/time.ts";
import { randomOf } from "../support/busy-ledger.ts";
import {
  begun,
  entry,
  facts,
  type House,
  houseOf,
  ledgerFolder,
  onDisk,
  openStore,
  RELAYED,
  restarted,
  rows,
} from "../support/ledger.ts";
import { budget, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const each = budget("shot", { limit_usd: "5", period: "per_task" });
const session = budget("session", { limit_usd: "5", period: "per_session" });
const user = budget("artist", { limit_usd: "5", period: "infinite", per: "user" });
const given = policy({
  upstreams: [upstream("flux", { price: perHour("3.6"), machine: "flux" })],
  budgets: [each, session, user],
});

async function work(house: House, shot: string): Promise<void> {
  const held = await begun(house, task({ labels: { user: "ann", session: `of ${shot}`, task: shot } }));
  house.clock.pass(10 * SECOND);
  await held.settle(RELAYED);
  await house.accounts.outbox.settled();
  await forget(house);
}

/** As it does within the hour. */
async function forget(house: House): Promise<void> {
  const { accounts, disk } = house;
  const onTrouble = (error: unknown) => void house.troubles.push(error);
  await accounts.outbox.settled();
  await new Retention({ store: disk.store, accounts, onTrouble }).look();
}

/** What is settled, by the end of the balance's name: in memory, and on disk. */
function settled(house: House): Readonly<Record<string, bigint>> {
  const short = (account: string) => account.slice(account.lastIndexOf("|") + 1);
  const memory = [...house.accounts.book.all()].map(({ account, balance }) => [account, balance.settled]);
  const disk = rows(house.folder, "SELECT account, settled FROM balances").map((row) => [
    String(row.account),
    row.settled as bigint,
  ]);
  const [inMemory, onIt] = [memory, disk].map(
    (all) => Object.fromEntries(all.sort()) as Record<string, bigint>,
  );
  if (JSON.stringify(inMemory, text) !== JSON.stringify(onIt, text))
    throw new Error(`memory ${JSON.stringify(inMemory, text)} is not disk ${JSON.stringify(onIt, text)}`);
  return Object.fromEntries(Object.entries(inMemory ?? {}).map(([name, sum]) => [short(name), sum]));
}

function text(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

function findings(house: House): readonly string[] {
  return onDisk(house.folder, (database) =>
    verify(database).checks.flatMap((one) =>
      one.findings.map(({ what, where, expected, found }) => `${what} | ${where} | ${expected} ${found}`),
    ),
  );
}

test("a session and a task that were silent for 35 days are forgotten, and begin again at nothing", async (t) => {
  const house = await houseOf(t, given);
  await work(house, "shot-1");
  house.clock.pass(SILENT_FOR - HOUR);
  await forget(house);
  const known = {
    'session=["ann","of shot-1"]': usd("0.01"),
    "task=shot-1": usd("0.01"),
    "user=ann": usd("0.01"),
  };
  t.deepEqual(settled(house), known);
  house.clock.pass(2 * HOUR);
  t.deepEqual(findings(house), []);
  await forget(house);
  t.deepEqual(settled(house), { "user=ann": usd("0.01") }, "one that never turns, and is no task, stays");
  t.deepEqual(findings(house), []);
  await work(house, "shot-1");
  t.deepEqual(settled(house), { ...known, "user=ann": usd("0.02") });
  t.deepEqual(findings(house), []);
  const again = await restarted(t, house);
  t.deepEqual(settled(again), { ...known, "user=ann": usd("0.02") });
  t.deepEqual(house.troubles, []);
});

test("every movement counts: what is held, or was reset by somebody, is not silent", async (t) => {
  const house = await houseOf(t, given);
  const long = await begun(house, task({ labels: { user: "ann", session: "s", task: "long" } }));
  await work(house, "reset");
  const account = [...house.accounts.book.all()].find(({ account: name }) =>
    name.endsWith("task=reset"),
  )?.account;
  const period = { start: EPOCH, end: FOREVER };
  const reset = { at: house.accounts.now(), kind: "reset" as const, budget: "shot", unit: "usd" as const };
  const adjustment = {
    ...reset,
    value: "reset",
    account: account ?? "",
    period,
    amount: nanoUsd(-5_000_000n),
  };
  await house.disk.store.adjust([{ ...adjustment, by: "ops", reason: "a retake" }]);
  await work(house, "often");
  house.clock.pass(SILENT_FOR - DAY);
  await work(house, "often");
  house.clock.pass(2 * DAY);
  await forget(house);
  const tasks = () => Object.keys(settled(house)).filter((name) => name.startsWith("task="));
  t.deepEqual(tasks(), ["task=long", "task=often", "task=reset"]);
  await long.settle(RELAYED);
  await forget(house);
  house.clock.pass(SILENT_FOR + 1);
  await forget(house);
  t.deepEqual(tasks(), ["task=reset"]);
  t.deepEqual(findings(house), []);
});

test("a budget that is new begins to count as a movement: nothing of its is silent at once", async (t) => {
  const house = await houseOf(t, { ...given, budgets: [user] });
  await work(house, "shot-1");
  house.clock.pass(HOUR);
  await house.adopt(given);
  await forget(house);
  t.is(settled(house)["task=shot-1"], usd("0.01"));
});

test("what moves while the disk is asked is kept in memory, and nothing else", async (t) => {
  const house = await houseOf(t, given);
  const held = await begun(house, task({ labels: { user: "ann", session: "s", task: "shot-1" } }));
  house.clock.pass(10 * SECOND);
  await held.settle(RELAYED);
  house.clock.pass(SILENT_FOR + SECOND);
  const { accounts, disk } = house;
  const returns = () => begun(house, task({ labels: { user: "ann", session: "s", task: "shot-1" } }));
  let coming: ReturnType<typeof begun> | undefined;
  const store = {
    drop: () => Promise.resolve(0),
    forgetSilent: (silence: Silence) => {
      const asked = disk.store.forgetSilent(silence);
      coming = returns();
      return asked;
    },
  };
  await new Retention({ store, accounts, onTrouble: (error) => t.fail(String(error)) }).look();
  const again = (await coming) ?? (await returns());
  house.clock.pass(10 * SECOND);
  await again.settle(RELAYED);
  await accounts.outbox.settled();
  t.is(settled(house)["user=ann"], usd("0.02"));
  t.is(settled(house)["task=shot-1"], usd("0.01"));
  t.deepEqual(findings(house), []);
});

test("a look takes no more than its bound at once, and goes on until all were looked at", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const names = Array.from(
    { length: 2 * MOST_LOOKED_AT + 5 },
    (_, index) => `usd|per_task/1/UTC|all||task=${index}`,
  );
  const change = { start: EPOCH, end: FOREVER, settled: usd("1"), held: usd("0") };
  const balances = names.map((account) => ({ ...change, account }));
  await store.write({ entries: [entry({ facts: facts({}) })], balances, at: TEN, wall: TEN });
  const found: number[] = [];
  let after: string | undefined;
  do {
    const { accounts, next } = await store.forgetSilent({ before: later(TEN, MINUTE), after });
    found.push(accounts.length);
    after = next;
  } while (after !== undefined && found.length < 10);
  t.deepEqual(found, [MOST_LOOKED_AT, MOST_LOOKED_AT, 5]);
  t.is(rows(folder, "SELECT 1 FROM balances").length, 0);
});

async function play(t: ExecutionContext, seed: number): Promise<number> {
  const next = randomOf(seed);
  let house = await houseOf(t, given);
  let before = 0;
  let forgotten = 0;
  for (let step = 0; step < 40; step += 1) {
    await work(house, `shot-${Math.floor(next() * 4)}`);
    house.clock.pass(Math.floor(next() * next() * 1.5 * SILENT_FOR));
    if (next() < 0.7) await forget(house);
    if (next() < 0.1) house = await restarted(t, house, Math.floor(next() * DAY));
    t.deepEqual(findings(house), [], `seed ${seed}, step ${step}`);
    const count = Object.keys(settled(house)).length;
    forgotten += Math.max(0, before - count);
    before = count;
  }
  return forgotten;
}

for (const seed of [1, 2, 3]) {
  test(`whenever names come back, memory is what the disk says, and all of it adds up, seed ${seed}`, async (t) => {
    t.true((await play(t, seed)) > 5);
  });
}

test("a recount finds what is wrong with a task that was silent for less, or was not forgotten", async (t) => {
  const house = await houseOf(t, given);
  await work(house, "gone");
  house.clock.pass(SILENT_FOR + DAY);
  await forget(house);
  await work(house, "a");
  await work(house, "b");
  house.clock.pass(20 * DAY);
  await work(house, "a");
  const change = (set: string) => {
    const database = new DatabaseSync(join(house.folder, "ledger.db"));
    database.exec(`UPDATE balances SET ${set}`);
    database.close();
  };
  const once = usd("0.01");
  const ofA = "WHERE account LIKE '%|task=a'";
  for (const [mistake, cure] of [
    [`settled = settled - ${once} ${ofA}`, `settled = settled + ${once} ${ofA}`],
    ["account = account || 'x' WHERE account LIKE '%|task=b'", "account = rtrim(account, 'x')"],
  ] as const) {
    change(mistake);
    t.not(findings(house).length, 0, mistake);
    change(cure);
    t.deepEqual(findings(house), []);
  }
});

test("free work leaves nothing in memory by the name that its client chose", async (t) => {
  const free = upstream("flux", { price: perHour("0") });
  const house = await houseOf(t, policy({ upstreams: [free], budgets: [each, session] }));
  await work(house, "shot-1");
  await house.accounts.heartbeat();
  t.deepEqual([...house.accounts.book.all()], []);
  t.deepEqual(findings(house), []);
});

test("whoever waits for a task that is forgotten is told that it has money again", async (t) => {
  const house = await houseOf(t, given);
  await work(house, "shot-1");
  house.clock.pass(SILENT_FOR + SECOND);
  const freed: string[] = [];
  house.accounts.watchFreed((accounts) => void freed.push(...accounts.map((one) => one.slice(-11))));
  await forget(house);
  t.deepEqual(freed, ['of shot-1"]', "task=shot-1"]);
});
