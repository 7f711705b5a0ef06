// What /metrics counts while the gateway runs is what a restart counts from the ledger, to the nano-dollar.

import test from "ava";
import { Metrics, type Posted } from "../../src/admin/metrics.ts";
import { counted } from "../../src/daemon/posted.ts";
import { remembered } from "../../src/daemon/restore.ts";
import { LedgerReader } from "../../src/ledger/reader.ts";
import { type Entry, type Store, StoreError, type Write } from "../../src/ledger/store.ts";
import { durationUs, SECOND, seconds } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { begun, entry, houseOf, RELAYED } from "../support/ledger.ts";
import { budget, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

function noted() {
  const posted: Posted[] = [];
  return { posted, metrics: { posted: (one: Posted) => void posted.push(one) } };
}

const writeOf = (...entries: readonly Entry[]): Write => ({ entries, at: TEN, wall: TEN });

function storeOf(write: Store["write"]): Store {
  const never = () => Promise.reject(new Error("nobody asks this"));
  return { write, fold: never, forgiven: never, track: never };
}

test("an entry counts once it is durable, by what it charges for", async (t) => {
  const { posted, metrics } = noted();
  const durable = Promise.withResolvers<void>();
  const store = counted(
    storeOf(() => durable.promise),
    metrics,
  );
  const idle = { kind: "idle", request: undefined, elapsed: seconds(4), amount: usd("0.002") } as const;
  const written = store.write(writeOf(entry({ kind: "reserved" }), entry(idle), entry({ kind: "released" })));
  t.deepEqual(posted, []);
  durable.resolve();
  await written;
  t.deepEqual(
    posted.map(({ kind, amount, elapsed }) => ({ kind, amount, elapsed })),
    [{ kind: "idle", amount: usd("0.002"), elapsed: seconds(4) }],
  );
});

test("what the disk refuses does not count", async (t) => {
  const { posted, metrics } = noted();
  const full = new StoreError("the disk is full", false);
  const store = counted(
    storeOf(() => Promise.reject(full)),
    metrics,
  );
  t.is(await t.throwsAsync(store.write(writeOf(entry({ kind: "settled" })))), full);
  t.deepEqual(posted, []);
});

test("a restart goes on with the sums that were counted while it ran, a container's own too", async (t) => {
  const live = new Metrics();
  const house = await houseOf(
    t,
    policy({
      upstreams: [upstream("aws", { hasContainer: true, price: perHour("3.6") })],
      budgets: [budget("day", { limit_usd: "10" })],
    }),
  );
  const disk = counted(storeOf(house.disk.write.bind(house.disk)), live);
  house.disk.write = (write) => disk.write(write);
  house.accounts.containers.seen(container({ phase: "starting", minBilled: seconds(60) }));
  const first = await begun(house, task({ id: "r-1" }));
  await watch(house, 3);
  house.accounts.containers.seen(container({ minBilled: seconds(60) }));
  await watch(house, 4);
  await first.settle(RELAYED);
  await watch(house, 5);
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await watch(house, 1);
  const reader = new LedgerReader(house.folder, () => house.accounts.outbox.settled());
  t.teardown(() => reader.close());
  const sums = await remembered(reader);
  const anew = new Metrics();
  anew.restore({ ...sums, requests: [], decisions: [] });
  const [before, after] = await Promise.all([live, anew].map(costsOf));
  t.deepEqual(after, before);
  t.true(
    (before ?? []).some((line) => line.includes('kind="idle"')),
    String(before),
  );
  t.true(
    (before ?? []).some((line) => line.includes('kind="minimum"')),
    String(before),
  );
  t.true((before ?? []).some((line) => line.startsWith("budgetguard_container_idle_seconds_total")));
});

async function costsOf(metrics: Metrics): Promise<readonly string[]> {
  const text = await metrics.render({
    status: () => ({ inFlight: 0, waiting: 0, upstreams: [], budgets: [], version: "1", at: TEN }) as never,
    policy: () => ({ policy: policy({ upstreams: [], models: [] }), loadedAt: TEN, problems: [] }) as never,
    estimateErrors: () => new Map(),
    stopped: () => undefined,
    containers: () => [],
    leaseImbalance: () => undefined,
  });
  return text
    .split("\n")
    .filter((line) => /^budgetguard_(cost|container_idle)/.test(line))
    .toSorted();
}

test("nothing that is only held counts, whatever its unit", (t) => {
  const { posted, metrics } = noted();
  const store = counted(
    storeOf(async () => undefined),
    metrics,
  );
  return store.write(writeOf(entry({ kind: "extended", elapsed: durationUs(SECOND) }))).then(() => {
    t.deepEqual(posted, []);
  });
});
