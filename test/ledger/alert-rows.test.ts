// Alerts in the ledger: one a key, the later version stays, who acknowledged first stays.

import test from "ava";
import { type AlertRow, alert, alertMemory, alerts } from "../../src/ledger/alert-rows.ts";
import { DAY, type DurationUs, earlier, type Instant, later } from "../../src/metering/time.ts";
import { ledgerFolder, onDisk, openStore } from "../support/ledger.ts";
import { TEN } from "../support/policies.ts";

function row(id: string, over: Partial<AlertRow> = {}): AlertRow {
  return {
    ...{ id, at: TEN, version: 1, event: "limit", severity: "critical", topic: "budget", subject: id },
    ...{ value: "ann", unit: "seconds", timezone: "UTC", text: "a text", advice: "an advice" },
    ...{ period: { start: TEN, end: later(TEN, DAY) }, figures: { limit_seconds: "1.5" } },
    deliveries: { "json to env HOOK": "pending" },
    ...over,
  };
}

const write = (alertRows: readonly AlertRow[]) => ({ alerts: alertRows, at: TEN, wall: TEN });
const all = { limit: 10, before: undefined, where: {} };

test("an alert comes back as it was written", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const [full, bare] = [row("a-1"), row("a-2", { value: undefined, unit: undefined, advice: undefined })];
  await store.write(write([full, bare]));
  const found = onDisk(folder, (database) => alerts(database, all));
  t.deepEqual(found, [
    { ...bare, acknowledged: undefined },
    { ...full, acknowledged: undefined },
  ]);
});

test("a later version stays, in whatever order they come", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const delivered = row("a-1", { version: 2, deliveries: { "json to env HOOK": "delivered" } });
  await store.write(write([delivered]));
  await store.write(write([row("a-1")]));
  const found = onDisk(folder, (database) => alert(database, "a-1"));
  t.like(found, { version: 2, deliveries: { "json to env HOOK": "delivered" } });
});

test("who acknowledged first stays, also when two do it at once", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  await store.write(write([row("a-1")]));
  await Promise.all([store.acknowledgeAlert("a-1", "ann", TEN), store.acknowledgeAlert("a-1", "bob", TEN)]);
  t.is(onDisk(folder, (database) => alert(database, "a-1"))?.acknowledged?.by, "ann");
});

test("a restart remembers what was told in periods that are not over, and what is still to be told", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const over = { start: earlier(TEN, DAY), end: TEN };
  await store.write(
    write([
      row("a-1", { period: over, deliveries: {} }),
      row("a-2", { deliveries: {} }),
      row("a-3", { at: earlier(TEN, DAY) as Instant }),
      row("a-4"),
    ]),
  );
  const memory = onDisk(folder, (database) => alertMemory(database, TEN, earlier(TEN, 1 as typeof DAY)));
  t.is(memory.told.length, 3);
  t.deepEqual(
    memory.pending.map(({ id }) => id),
    ["a-4"],
  );
  t.deepEqual(memory.counts, [{ event: "limit", count: 4 }]);
});

test("alerts older than 400 days go with the next one, unless their period is not over", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const old = (days: number) => earlier(TEN, (days * DAY) as DurationUs);
  const over = (days: number) => ({ at: old(days), period: { start: old(days), end: old(days - 1) } });
  await store.write({ alerts: [row("a-1", over(401)), row("a-2", over(400))], at: old(399), wall: TEN });
  await store.write({ alerts: [row("a-3", { at: old(500) })], at: old(399), wall: TEN });
  await store.write(write([row("a-4")]));
  const kept = onDisk(folder, (database) => alerts(database, all)).map(({ id }) => id);
  t.deepEqual(kept, ["a-4", "a-3", "a-2"]);
});
