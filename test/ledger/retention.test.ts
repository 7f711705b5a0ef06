// Old entries go, a few at a time, and nothing that anybody asks for goes with them: balances, sums, a restart,
// a recount, and what a budget that is new afterwards begins with.

import type { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { balanceChanges } from "../../src/daemon/balance-changes.ts";
import { previewBalances } from "../../src/ledger/balance-preview.ts";
import { entriesFrom, MOST_DROPPED } from "../../src/ledger/dropping.ts";
import { missedBefore } from "../../src/ledger/folding.ts";
import { POLICY, recordOf } from "../../src/ledger/policy-record.ts";
import { sums } from "../../src/ledger/queries.ts";
import { keptFrom, Retention } from "../../src/ledger/retention.ts";
import type { Finding } from "../../src/ledger/verified.ts";
import { verify } from "../../src/ledger/verify.ts";
import {
  DAY,
  EPOCH,
  earlier,
  FOREVER,
  formatInstant,
  HOUR,
  type Instant,
  later,
  MINUTE,
  quarterHourOf,
  SECOND,
} from "../../src/metering/time.ts";
import { balanceLines } from "../../src/policy/balance-diff.ts";
import { groundsOf } from "../../src/policy/match.ts";
import type { Budget } from "../../src/policy/policy.ts";
import { ENTRIES_KEPT } from "../../src/policy/rolled-up.ts";
import { playBusy } from "../support/busy-ledger.ts";
import { container, watch } from "../support/containers.ts";
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
import { budget, model, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

function dayOf(at: number): Instant {
  return (at - (at % DAY)) as Instant;
}

function policyOf(...budgets: readonly Budget[]) {
  const aws = upstream("aws", { price: perHour("3.6"), machine: "aws", hasContainer: true });
  return policy({ upstreams: [aws], budgets });
}

const YEAR = budget("year", { limit_usd: "100", period: "yearly" });
const EVER = budget("ever", { limit_usd: "100", period: "infinite" });
const MACHINE = budget("machine", { limit_usd: "100", period: "infinite", when: { machine: "aws" } });

function checkKept(t: ExecutionContext, budgets: readonly Budget[], expected: Instant): void {
  t.is(keptFrom(policyOf(...budgets), TEN), expected);
}

test("entries are kept for as long as the longest open period of a budget in force, and for 400 days", (t) => {
  const least = dayOf(TEN - ENTRIES_KEPT);
  checkKept(t, [], least);
  checkKept(t, [YEAR, budget("day", { limit_usd: "1" })], least);
  checkKept(t, [YEAR, EVER], EPOCH);
  checkKept(t, [{ ...EVER, enabled: false }], least);
  checkKept(t, [budget("one", { limit_usd: "1", period: "per_session" })], least);
  t.true(ENTRIES_KEPT > 366 * DAY, "a year that has begun is counted from entries where sums do not do");
});

/** One request of ten seconds by each of these users, and what it leaves. */
async function work(house: House, ...users: readonly string[]): Promise<void> {
  for (const user of users) {
    const held = await begun(house, task({ labels: { user } }));
    house.clock.pass(10 * SECOND);
    await held.settle(RELAYED);
  }
}

async function dropAll(house: House): Promise<void> {
  const { accounts, disk } = house;
  const onTrouble = (error: unknown) => void house.troubles.push(error);
  const retention = new Retention({ store: disk.store, accounts, onTrouble });
  await accounts.outbox.settled();
  for (let looks = 0; looks < 20; looks += 1) await retention.look();
}

function verified(folder: string) {
  const { checks } = onDisk(folder, verify);
  const short = ({ check, what, where, expected, found }: Finding) =>
    `${check}: ${what} | ${where} | ${expected} ${found}`;
  return {
    findings: checks.flatMap(({ findings }) => findings.map(short)),
    notes: checks.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`)),
  };
}

const count = (house: House) => Number(rows(house.folder, "SELECT count(*) AS n FROM entries")[0]?.n);
const settledOf = (house: House, budgetId: string) => {
  const ground = groundsOf(house.policy).find(({ budget: { id } }) => id === budgetId);
  if (ground === undefined) throw new Error(`no budget ${budgetId}`);
  return house.accounts.book.balance(ground.key, EPOCH).settled as bigint;
};
const spentBy = (database: DatabaseSync, by: string) =>
  Object.fromEntries(
    sums(database, { from: EPOCH, to: FOREVER, by, where: {} }).map((row) => [row.value, row.amount]),
  );

test("what is old goes whole requests at a time; sums, records and what is young stay", async (t) => {
  const house = await houseOf(t, policyOf(YEAR));
  await work(house, "ann", "bob");
  // It runs through the midnight that entries will be kept from.
  house.clock.pass(dayOf(TEN + DAY) - house.accounts.now() - 5 * SECOND);
  await work(house, "cat");
  house.clock.pass(DAY);
  await work(house, "dan");
  await house.accounts.outbox.settled();
  const [all, was] = [count(house), onDisk(house.folder, (database) => spentBy(database, "user"))];
  await dropAll(house);
  t.is(count(house), all, "nothing is old yet");
  t.is(onDisk(house.folder, entriesFrom), EPOCH);
  house.clock.pass(ENTRIES_KEPT - DAY);
  await dropAll(house);
  const left = rows(house.folder, "SELECT DISTINCT user FROM entries ORDER BY user").map(({ user }) => user);
  t.deepEqual(left, ["cat", "dan"]);
  t.is(onDisk(house.folder, entriesFrom), dayOf(TEN + DAY));
  t.deepEqual(
    onDisk(house.folder, (database) => spentBy(database, "user")),
    was,
  );
  t.is(rows(house.folder, "SELECT 1 FROM decisions").length, 4);
  const { findings, notes } = verified(house.folder);
  t.deepEqual(findings, []);
  t.deepEqual(notes, [
    "settled: balances that began before 2026-11-23: 1, entries of then are gone",
    "records: requests that began before 2026-11-23: 2, entries of then are gone",
  ]);
  t.deepEqual(house.troubles, []);
});

test("the newest entry stays however old it is, so that none is numbered like one that is gone", async (t) => {
  const house = await houseOf(t, policyOf());
  await work(house, "ann", "bob");
  const last = () => rows(house.folder, "SELECT max(seq) AS seq, count(*) AS n FROM entries")[0];
  const before = last();
  house.clock.pass(2 * ENTRIES_KEPT);
  await dropAll(house);
  t.deepEqual([last()?.seq, last()?.n], [before?.seq, 2n]);
  t.deepEqual(verified(house.folder).findings, []);
});

test("an amount that is open keeps its entries, however old it is", async (t) => {
  const house = await houseOf(t, policyOf(YEAR));
  const asked = { id: "a-1", facts: facts({ user: "ann" }), amount: usd("1"), until: FOREVER };
  const { allocations } = house.accounts;
  await allocations.allocate({ ...asked, by: "ops", reason: "a shot" }, house.accounts.view());
  await work(house, "bob");
  house.clock.pass(ENTRIES_KEPT + 2 * DAY);
  await work(house, "cat");
  await dropAll(house);
  const left = rows(house.folder, "SELECT DISTINCT user FROM entries ORDER BY user").map(({ user }) => user);
  t.deepEqual(left, ["ann", "cat"]);
  t.deepEqual(verified(house.folder).findings, []);
  t.is((await allocations.release("a-1")).kind, "ended");
  await dropAll(house);
  t.deepEqual(verified(house.folder).findings, []);
});

test("a budget that is new after old entries have gone begins with all of it, or says that it does not", async (t) => {
  const house = await houseOf(t, policyOf(YEAR));
  await work(house, "ann", "bob");
  house.clock.pass(ENTRIES_KEPT + 2 * DAY);
  await work(house, "ann");
  await dropAll(house);
  const each = budget("each", { limit_usd: "100", period: "infinite", per: "user" });
  const others = [EVER, each, budget("time", { limits: { seconds: 1000 }, period: "infinite" })];
  const [was, next] = [house.policy, policyOf(YEAR, ...others, MACHINE)];
  await house.disk.store.setSwitch(POLICY, recordOf(was), "policy file", house.accounts.now());
  const now = house.accounts.now();
  const told = onDisk(house.folder, (database) => previewBalances(database, next, now).flatMap(balanceLines));
  await house.adopt(next);
  const { book, folding } = house.accounts;
  t.deepEqual(told, balanceChanges(was, next, book, house.accounts.now(), folding.gaps));
  const from = onDisk(house.folder, entriesFrom);
  const day = formatInstant(from).slice(0, 10);
  t.deepEqual(told.slice(-2), [
    "budget machine: settled none → 0.01 USD",
    `budget machine: entries of before ${day}T00:00Z are gone, it does not count all of them`,
  ]);
  const check = (one: House) => {
    t.deepEqual([settledOf(one, "ever"), settledOf(one, "time")], [usd("0.03"), BigInt(30 * SECOND)]);
    t.is(settledOf(one, "machine"), usd("0.01"));
    const missed = groundsOf(one.policy).flatMap((ground) => {
      const before = missedBefore(one.accounts.folding.gaps, ground, one.accounts.now());
      return before === undefined ? [] : [[ground.budget.id, before]];
    });
    t.deepEqual(missed, [["machine", from]]);
  };
  check(house);
  // All that is left counts now, and stays.
  house.clock.pass(2 * ENTRIES_KEPT);
  await dropAll(house);
  t.is(onDisk(house.folder, entriesFrom), from);
  await work(house, "ann");
  const { findings } = verified(house.folder);
  t.deepEqual(findings, []);
  const again = await restarted(t, house);
  t.is(settledOf(again, "ever"), usd("0.04"));
  t.is(again.accounts.folding.gaps.size, 1);
  await again.adopt(policyOf(YEAR));
  t.is(again.accounts.folding.gaps.size, 0);
  t.is(rows(again.folder, "SELECT 1 FROM fold_gaps").length, 0);
});

test("a container that is up since before then is recounted no more, and said so", async (t) => {
  const house = await houseOf(t, policyOf({ ...YEAR, onLimit: "ignore" }));
  house.accounts.containers.seen(container());
  await watch(house, 20);
  await work(house, "ann");
  house.clock.pass(DAY);
  await house.accounts.heartbeat();
  house.accounts.containers.seen(container());
  await watch(house, 3);
  await work(house, "bob");
  await house.accounts.heartbeat();
  const before = dayOf(house.accounts.now());
  t.true((await house.disk.store.drop(before)) > 0);
  const { findings, notes } = verified(house.folder);
  t.deepEqual(findings, []);
  t.true(
    notes.some((note) => note.startsWith("machines: containers that began before")),
    notes.join("\n"),
  );
});

test("who shared a machine with somebody dearer, whose entries have gone, was charged no too much", async (t) => {
  const on = (id: string, price: string) => upstream(id, { price: perHour(price), machine: "pool" });
  const upstreams = [on("dear", "3.6"), on("cheap", "0.36")];
  const models = [model("dear", ["dear"]), model("cheap", ["cheap"])];
  const house = await houseOf(t, policy({ upstreams, models }));
  house.clock.pass(dayOf(TEN + DAY) - house.accounts.now() - 20 * SECOND);
  const [dear, cheap] = [
    await begun(house, task({ model: "dear" })),
    await begun(house, task({ model: "cheap", id: "r-cheap" })),
  ];
  house.clock.pass(15 * SECOND);
  await dear.settle(RELAYED);
  house.clock.pass(10 * SECOND);
  await cheap.settle(RELAYED);
  await house.accounts.outbox.settled();
  t.deepEqual(verified(house.folder).findings, []);
  t.true((await house.disk.store.drop(dayOf(TEN + DAY))) > 0);
  t.deepEqual(rows(house.folder, "SELECT DISTINCT model FROM entries"), [{ model: "cheap" }] as never);
  t.deepEqual(verified(house.folder).findings, []);
});

test("a drop takes no more than its bound at once, and goes on until all is gone", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const idle = entry({
    kind: "idle",
    request: undefined,
    isLast: false,
    images: 0,
    facts: facts({ user: undefined }),
  });
  const entries = Array.from({ length: 2 * MOST_DROPPED + 5 }, () => idle);
  await store.write({ entries, at: TEN, wall: TEN });
  const found: number[] = [];
  const left = () => rows(folder, "SELECT count(*) AS n FROM entries")[0]?.n;
  for (let drop = 0; drop < 3; drop += 1) {
    found.push(await store.drop(later(TEN, DAY)));
    t.is(left(), BigInt(entries.length - found.reduce((sum, one) => sum + one, 0)));
    t.deepEqual(verified(folder).findings, []);
  }
  t.deepEqual(found, [MOST_DROPPED, MOST_DROPPED, 4]);
});

for (const seed of [1, 2, 3, 4]) {
  test(`whatever is dropped from a busy ledger, and whenever, the rest adds up, seed ${seed}`, async (t) => {
    const folder = ledgerFolder(t);
    let steps = 0;
    let dropped = 0;
    const look = async (house: House) => {
      steps += 1;
      if (steps % 12 !== 0 || house.accounts.outbox.kept > 0) return;
      await house.accounts.outbox.settled();
      // Younger than retention ever takes, so that much is open beside what goes.
      const before = quarterHourOf(earlier(house.accounts.now(), steps % 24 === 0 ? MINUTE : HOUR));
      dropped += await house.disk.store.drop(before);
      t.deepEqual(verified(folder).findings, [], `seed ${seed}, step ${steps}`);
    };
    const house = await playBusy(folder, seed, 150, look);
    await house.crash();
    t.deepEqual(verified(folder).findings, [], `seed ${seed}, at the end`);
    t.true(dropped > 0, `seed ${seed} dropped nothing`);
  });
}
