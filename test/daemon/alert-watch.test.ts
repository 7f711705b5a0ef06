// Alerts over a real ledger: what moves a balance, a crash in between, a disk that refuses, a crowd.

import { setImmediate as turn } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { AlertDesk } from "../../src/daemon/alert-desk.ts";
import { AlertWatch } from "../../src/daemon/alert-watch.ts";
import type { AlertRow } from "../../src/ledger/alert-rows.ts";
import { LedgerReader } from "../../src/ledger/reader.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { DAY, earlier, later, MINUTE } from "../../src/metering/time.ts";
import { accountOf, groundsOf, periodFor } from "../../src/policy/match.ts";
import { container, watch as pass } from "../support/containers.ts";
import { type House, houseOf, restarted, rows, writesOf } from "../support/ledger.ts";
import { budget, perRequest, policy, task, upstream } from "../support/policies.ts";

const POLICY = policy({
  upstreams: [upstream("flux-aws", { price: perRequest("0.01") })],
  budgets: [
    budget("day", { limit_usd: "0.04", onLimit: "warn", period: "daily" }),
    budget("users", { limits: { requests: 2 }, per: "user" }),
  ],
});

async function watch(t: ExecutionContext, house: House) {
  const { accounts } = house;
  const reader = new LedgerReader(house.folder, () => accounts.outbox.settled());
  t.teardown(() => reader.close());
  const now = () => accounts.now();
  const memory = await reader.alertMemory(now(), earlier(now(), DAY));
  const sent: AlertRow[] = [];
  const counted: string[] = [];
  const desk = new AlertDesk(
    {
      outbox: accounts.outbox,
      webhooks: { send: (row) => void sent.push(row) },
      metrics: { alert: (event) => void counted.push(event) },
      log: { warn: () => undefined },
      configured: () => [],
      now,
    },
    memory.told,
  );
  const watching = new AlertWatch({ accounts, desk, policy: () => house.policy, now });
  watching.sweep();
  const told = async () => {
    await turn();
    await accounts.outbox.settled();
    return sent.map(({ event, subject, value, unit }) => `${event} ${subject} ${value ?? unit}`);
  };
  return { watching, told, desk, counted };
}

/** What a container costs, posted to a budget by nobody's request. */
function idle(house: House, nanos: bigint): void {
  const [ground] = groundsOf(house.policy);
  if (ground === undefined) throw new Error("no ground");
  const period = periodFor(ground, house.accounts.now());
  house.accounts.book.move(ground.key, period, { kind: "settle", amount: quantityOf(nanos) });
}

test("container money alone crosses thresholds as requests do", async (t) => {
  const house = await houseOf(t, POLICY);
  const { told } = await watch(t, house);
  idle(house, 29_999_999n);
  t.deepEqual(await told(), []);
  idle(house, 1n);
  t.deepEqual(await told(), ["warning day usd"]);
  idle(house, 10_000_000n);
  t.deepEqual(await told(), ["warning day usd", "critical day usd", "limit day usd"]);
});

test("a container that only idles tells each threshold with the heartbeat that posts it", async (t) => {
  const house = await houseOf(t, POLICY);
  const { told } = await watch(t, house);
  // Half a milli-dollar a second: the limit is reached after 80 s.
  house.accounts.containers.seen(container());
  await pass(house, 59);
  t.deepEqual(await told(), []);
  await pass(house, 1);
  t.deepEqual(await told(), ["warning day usd"]);
  await pass(house, 20);
  t.deepEqual(await told(), ["warning day usd", "critical day usd", "limit day usd"]);
});

test("holds tell too, and a refusal after them tells nothing more", async (t) => {
  const house = await houseOf(t, POLICY);
  const { told } = await watch(t, house);
  for (let sent = 0; sent < 4; sent += 1) await house.admit(task({ labels: { user: "ann" } }));
  t.deepEqual(await told(), ["warning users ann", "critical users ann", "limit users ann"]);
  await house.admit(task({ labels: { user: "bob" } }));
  t.is((await told()).at(-1), "warning day usd");
});

test("a crash in between: the same period tells nothing again, the next one does", async (t) => {
  const house = await houseOf(t, POLICY);
  const first = await watch(t, house);
  for (let sent = 0; sent < 2; sent += 1) await house.admit(task({ labels: { user: "ann" } }));
  t.is((await first.told()).length, 3);
  const next = await restarted(t, house);
  const second = await watch(t, next);
  second.watching.sweep();
  await next.admit(task({ labels: { user: "ann" } }));
  t.deepEqual(await second.told(), []);
  const stored = rows(house.folder, "SELECT event, once FROM alerts");
  t.is(stored.length, 3);
  next.clock.pass(DAY);
  await next.accounts.heartbeat();
  for (let sent = 0; sent < 2; sent += 1) await next.admit(task({ labels: { user: "ann" } }));
  t.deepEqual(await second.told(), ["warning users ann", "critical users ann", "limit users ann"]);
  t.is(rows(house.folder, "SELECT 1 FROM alerts").length, 6);
});

test("a disk that refuses an alert keeps nobody from being told, and has it in the end", async (t) => {
  const house = await houseOf(t, POLICY);
  const { told } = await watch(t, house);
  house.disk.refuses = writesOf("alerts");
  idle(house, 31_000_000n);
  t.deepEqual(await told(), ["warning day usd"]);
  idle(house, 1n);
  t.is((await told()).length, 1);
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  t.is(rows(house.folder, "SELECT 1 FROM alerts").length, 1);
});

test("the ledger itself has no alert twice, whoever writes it", async (t) => {
  const house = await houseOf(t, POLICY);
  const { told } = await watch(t, house);
  idle(house, 31_000_000n);
  await told();
  const other = await watch(t, { ...house, accounts: house.accounts });
  const forgetful = new AlertDesk(
    {
      outbox: house.accounts.outbox,
      webhooks: { send: () => undefined },
      metrics: { alert: () => undefined },
      log: { warn: () => undefined },
      configured: () => [],
      now: () => house.accounts.now(),
    },
    [],
  );
  new AlertWatch({
    accounts: house.accounts,
    desk: forgetful,
    policy: () => house.policy,
    now: () => house.accounts.now(),
  }).sweep();
  await other.told();
  t.is(rows(house.folder, "SELECT 1 FROM alerts").length, 1);
});

test("a crowd hides neither what the ledger nor what the policy has to tell", async (t) => {
  const house = await houseOf(t, POLICY);
  const { desk } = await watch(t, house);
  const raise = (event: "limit" | "ledger" | "policy", subject: string) =>
    desk.raise({
      ...{ event, subject, severity: "critical", topic: event === "limit" ? "budget" : event },
      ...{
        value: undefined,
        unit: undefined,
        timezone: "UTC",
        text: "a text",
        advice: undefined,
        figures: {},
      },
      period: { start: house.accounts.now(), end: later(house.accounts.now(), DAY) },
    });
  for (let number = 0; number < 120; number += 1) t.true(raise("limit", `user-${number}`));
  t.false(raise("limit", "one-more"), "the pace");
  t.true(raise("ledger", "disk"));
  t.true(raise("policy", "reload"));
  t.false(raise("ledger", "disk"), "once");
});

test("a crowd that runs out at once is told at a pace, and nobody is left out", async (t) => {
  const house = await houseOf(t, POLICY);
  const { told, watching } = await watch(t, house);
  const users = groundsOf(POLICY)[1];
  if (users === undefined) throw new Error("no ground");
  const period = periodFor(users, house.accounts.now());
  for (let user = 0; user < 100; user += 1) {
    const account = accountOf(users.key, `u${user}`);
    house.accounts.book.move(account, period, { kind: "settle", amount: quantityOf(2) });
  }
  t.is((await told()).length, 120);
  for (let minute = 0; minute < 3; minute += 1) {
    house.clock.pass(MINUTE);
    watching.sweep();
    await told();
  }
  t.is(new Set(await told()).size, 300);
  t.is((await told()).length, 300);
});
