// What a failing disk makes the ledger keep: every ending, and no more than one heartbeat.

import test from "ava";
import type { Write } from "../../src/ledger/store.ts";
import { verify } from "../../src/ledger/verify.ts";
import { SECOND } from "../../src/metering/time.ts";
import { container, kinds, watch } from "../support/containers.ts";
import { begun, charges, houseOf, onDisk, RELAYED, restarted, stored } from "../support/ledger.ts";
import { budget, perHour, policy, task, upstream, usd } from "../support/policies.ts";

const paid = policy({ upstreams: [upstream("aws")], budgets: [budget("day", { limit_usd: "10" })] });

test("a long outage keeps the endings and one heartbeat, and writes them all when it is over", async (t) => {
  const house = await houseOf(t, paid);
  const [first, second, third] = [
    await begun(house, task()),
    await begun(house, task()),
    await begun(house, task()),
  ];
  house.disk.refuses = () => true;
  for (let beat = 0; beat < 100; beat += 1) {
    house.clock.pass(SECOND);
    if (beat === 29) await t.throwsAsync(first.settle(RELAYED));
    if (beat === 59) await t.throwsAsync(second.settle(RELAYED));
    await t.throwsAsync(house.accounts.heartbeat());
  }
  t.is(house.accounts.outbox.kept, 3);
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  t.is(house.accounts.outbox.kept, 0);
  t.deepEqual(
    charges(house.folder).map(({ amount }) => amount),
    [usd("0.01"), usd("0.025")],
  );
  await third.settle(RELAYED);
  t.is(stored(house.folder)[0]?.settled, usd("0.1"));
});

test("what was begun during an outage is known to the disk after it", async (t) => {
  const house = await houseOf(t, paid);
  await begun(house, task());
  house.disk.refuses = () => true;
  for (let beat = 0; beat < 5; beat += 1) {
    house.clock.pass(SECOND);
    await t.throwsAsync(house.accounts.heartbeat());
  }
  house.disk.refuses = () => false;
  house.clock.pass(SECOND);
  await house.accounts.heartbeat();
  await restarted(t, house, 60 * SECOND);
  t.deepEqual(
    charges(house.folder).map(({ amount }) => amount),
    [usd("0.007")],
  );
});

const free = policy({ upstreams: [upstream("aws", { price: perHour("0") })] });

test("who asks once all is settled finds the ending of work that nobody waited for", async (t) => {
  const house = await houseOf(t, free);
  const held = await begun(house, task());
  house.disk.shut();
  await held.settle(RELAYED);
  let isSettled = false;
  const settled = house.accounts.outbox.settled().then(() => {
    isSettled = true;
  });
  await new Promise(setImmediate);
  t.false(isSettled, "nothing is on disk yet");
  await house.disk.open();
  await settled;
  t.is(charges(house.folder).length, 1);
});

test("a refused write is settled too: nobody waits for it for ever", async (t) => {
  const house = await houseOf(t, paid);
  house.disk.refuses = () => true;
  const admission = house.admit(task());
  await house.accounts.outbox.settled();
  t.is((await admission).kind, "ledger_unavailable");
});

const served = policy({
  upstreams: [upstream("aws", { hasContainer: true })],
  budgets: [budget("day", { limit_usd: "10" })],
});

test("what a container was posted and the disk refused goes with the next state of its lease, as one write", async (t) => {
  const house = await houseOf(t, served);
  house.accounts.containers.seen(container({ minBilled: 60 * SECOND } as never));
  const run = await begun(house, task());
  await watch(house, 3);
  const seen: Write[] = [];
  house.disk.refuses = (asked) => typeof asked !== "string" && asked.ending === undefined;
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await house.accounts.outbox.settled();
  t.is(house.accounts.outbox.kept, 1);
  house.disk.refuses = (asked) => {
    if (typeof asked !== "string") seen.push(asked);
    return false;
  };
  await run.settle({ ...RELAYED, outcome: "cut" });
  t.is(house.accounts.outbox.kept, 0);
  t.deepEqual(
    seen.map(({ entries = [] }) => entries.map(({ kind }) => kind)),
    [["minimum", "settled"]],
  );
  await restarted(t, house, SECOND);
  t.deepEqual(kinds(house), { minimum: usd("0.057"), settled: usd("0.003") });
  t.true(onDisk(house.folder, verify).ok);
});

test("it is kept apart where the disk refuses both", async (t) => {
  const house = await houseOf(t, served);
  house.accounts.containers.seen(container({ minBilled: 60 * SECOND } as never));
  const run = await begun(house, task());
  await watch(house, 3);
  house.disk.refuses = () => true;
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await t.throwsAsync(run.settle({ ...RELAYED, outcome: "cut" }));
  t.is(house.accounts.outbox.kept, 2);
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  t.deepEqual(kinds(house), { minimum: usd("0.057"), settled: usd("0.003") });
  t.true(onDisk(house.folder, verify).ok);
});
