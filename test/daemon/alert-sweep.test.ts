// The sweep of every half hour, with a timer that only the test turns: it finds what no movement tells any more.

import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { Metrics } from "../../src/admin/metrics.ts";
import { type AlertParts, Alerts } from "../../src/daemon/alerts.ts";
import { LedgerReader } from "../../src/ledger/reader.ts";
import { HOUR } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { houseOf } from "../support/ledger.ts";
import { budget, policy, upstream } from "../support/policies.ts";

const POLICY = policy({
  upstreams: [upstream("aws", { hasContainer: true })],
  budgets: [budget("month", { limit_usd: "0.04", onLimit: "warn", period: "monthly", from: "2026-11-23" })],
});

test("D33: what idled away before a budget begins is told by the sweep, half an hour at most after it, once", async (t) => {
  const house = await houseOf(t, POLICY);
  const { accounts } = house;
  const reader = new LedgerReader(house.folder, () => accounts.outbox.settled());
  t.teardown(() => reader.close());
  const timers: { readonly every: number; readonly call: () => void; isOver: boolean }[] = [];
  const alerts = await Alerts.open({
    books: { accounts, reader, hooks: {}, store: house.disk.store } as unknown as AlertParts["books"],
    metrics: new Metrics(),
    log: { warn: () => undefined } as unknown as AlertParts["log"],
    policy: () => house.policy,
    now: () => accounts.now(),
    every: (every, call) => {
      const timer = { every, call, isOver: false };
      timers.push(timer);
      return () => {
        timer.isOver = true;
      };
    },
  });
  const told = async () => {
    await turn();
    await accounts.outbox.settled();
    const { rows } = await alerts.list({ limit: 50, before: undefined, where: {} });
    return rows.map(({ event, subject }) => `${event} ${subject}`).sort();
  };
  const [sweep] = timers;
  t.is(sweep?.every, 30 * 60_000);
  t.is(timers.length, 1);
  // Half a milli-dollar a second, until the limit is reached; then it is off, and nothing moves any more.
  accounts.containers.seen(container());
  await watch(house, 80);
  accounts.containers.off("i-0a1", accounts.now());
  await accounts.heartbeat();
  sweep?.call();
  t.deepEqual(await told(), [], "the day before it begins");
  house.clock.pass(14 * HOUR);
  await accounts.heartbeat();
  t.deepEqual(await told(), [], "nothing has moved");
  sweep?.call();
  t.deepEqual(await told(), ["critical month", "limit month", "warning month"]);
  sweep?.call();
  t.is((await told()).length, 3);
  await alerts.close();
  t.true(sweep?.isOver);
});
