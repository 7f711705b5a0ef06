// The store on SQLite: order, group commit, all or nothing, and which failures pass.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import type { HeldRow } from "../../src/ledger/held.ts";
import { SqliteStore } from "../../src/ledger/sqlite.ts";
import { StoreError, type Write } from "../../src/ledger/store.ts";
import { Lease } from "../../src/metering/lease.ts";
import { hourlyRate, nanoUsd } from "../../src/metering/money.ts";
import { FOREVER, later, seconds } from "../../src/metering/time.ts";
import type { FullDiskReport } from "../support/full-disk.ts";
import { entry, facts, ledgerFolder, openStore, rows } from "../support/ledger.ts";
import { perHour, TEN, usd } from "../support/policies.ts";

function write(over: Partial<Write> = {}): Write {
  return { at: TEN, wall: TEN, ...over };
}

function posted(request: string, amount = "0.01"): Write {
  const end = later(TEN, seconds(60));
  return write({
    entries: [entry({ request, amount: usd(amount) })],
    balances: [{ account: "usd|day", start: TEN, end, settled: usd(amount), held: usd("0") }],
  });
}

function held(id: string, version = 1, over: Partial<HeldRow> = {}): HeldRow {
  return {
    ...{ id, request: "r-1", version, at: TEN, clientRequestId: undefined, facts: facts(), images: 1 },
    ...{ price: perHour("3.6"), machine: "m", amount: usd("0.01"), horizon: FOREVER, claims: [] },
    join: undefined,
    ...over,
  };
}

function requests(folder: string): readonly unknown[] {
  return rows(folder, "SELECT request FROM entries ORDER BY seq").map(({ request }) => request);
}

async function refused(writing: Promise<unknown>): Promise<StoreError> {
  const error = await writing.then(
    () => new Error("it was written"),
    (cause: unknown) => cause,
  );
  if (!(error instanceof StoreError)) throw error;
  return error;
}

async function check(t: ExecutionContext, given: readonly Write[], expected: () => void): Promise<void> {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  for (const one of given) await store.write(one);
  folders.set(t, folder);
  expected();
}
const folders = new WeakMap<ExecutionContext, string>();

test("what has resolved is there for a second connection", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  for (const name of ["r-1", "r-2"]) {
    await store.write(posted(name));
    t.is(requests(folder).at(-1), name);
  }
});

test("writes are durable in the order in which they were asked for", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const names = Array.from({ length: 500 }, (_, index) => `r-${index}`);
  const ended: string[] = [];
  await Promise.all(names.map((name) => store.write(posted(name)).then(() => ended.push(name))));
  t.deepEqual(requests(folder), names);
  t.deepEqual(ended, names);
});

test("what one turn of the loop asks for is one commit, and so is what gathers while that is under way", async (t) => {
  let commits = 0;
  const folder = ledgerFolder(t);
  const store = await SqliteStore.open(folder, {
    committed: () => {
      commits += 1;
    },
  });
  const crowd = (name: string) =>
    Array.from({ length: 150 }, (_, at) => store.write(posted(`${name}-${at}`)));
  const first = crowd("first");
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([...first, ...crowd("second")]);
  await store.close();
  t.is(commits, 2);
  t.is(requests(folder).length, 300);
});

test("a fold counts every write before it and none after it", async (t) => {
  const store = await openStore(t, ledgerFolder(t));
  const question = {
    key: "usd|new",
    unit: "usd" as const,
    per: undefined,
    when: [],
    requestsOnly: false,
    since: TEN,
  };
  const asked = [{ ...question, start: TEN, end: later(TEN, seconds(60)) }];
  const before = store.write(posted("r-1", "0.01"));
  const folded = store.fold(asked);
  const after = store.write(posted("r-2", "0.02"));
  t.is((await folded).changes[0]?.settled, usd("0.01"));
  await Promise.all([before, after]);
});

test("a write that no disk could take is refused alone; the others of its batch go on", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  await store.write(write({ hold: [held("h-1")] }));
  const alone = store.write(posted("alone"));
  const twice = { ...posted("twice"), hold: [held("h-1")] };
  const batch = [store.write(posted("before")), store.write(twice), store.write(posted("after"))] as const;
  await alone;
  await Promise.all([batch[0], batch[2]]);
  const error = await refused(batch[1]);
  t.regex(error.message, /UNIQUE constraint/);
  t.false(error.fatal);
  t.deepEqual(requests(folder), ["alone", "before", "after"]);
});

test("an amount beyond 64 bits is refused alone, and the ledger goes on", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const huge = { ...posted("huge"), entries: [entry({ request: "huge", amount: nanoUsd(2n ** 63n) })] };
  const batch = [store.write(huge), store.write(posted("next"))] as const;
  t.false((await refused(batch[0])).fatal);
  await batch[1];
  t.deepEqual(requests(folder), ["next"]);
});

test("a full disk refuses whole batches, passes, and is written again when there is space", (t) => {
  const folder = ledgerFolder(t);
  const program = fileURLToPath(new URL("../support/full-disk.ts", import.meta.url));
  const ran = spawnSync(process.execPath, ["--import", program, program], { cwd: folder, encoding: "utf8" });
  t.is(ran.status, 0, ran.stderr);
  const { before, full, after, join: known, behind } = JSON.parse(ran.stdout) as FullDiskReport;
  t.deepEqual([before, after], ["written", "written"]);
  for (const said of full)
    t.regex(said, /^passing: the ledger could not be written: database or disk is full/);
  t.deepEqual(requests(folder), ["before", "after", "behind"]);
  t.regex(behind[0] ?? "", /full/, "a lease's state would take what was refused before it for written");
  t.is(behind[1], "written");
  t.is(known, JSON.stringify({ start: TEN, V0: "7" }), "a refused join goes with the next commit");
  t.is(rows(folder, "SELECT requests FROM rollups WHERE dimension = 'total'")[0]?.requests, 3n);
});

test("a write that cannot be handed over is refused, and the next one is written", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const odd = { ...posted("odd"), unhold: [(() => undefined) as never] };
  await t.throwsAsync(store.write(odd), { message: /could not be cloned/ });
  await store.write(posted("next"));
  t.deepEqual(requests(folder), ["next"]);
});

test("closing waits until what was handed over is durable", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const writing = Promise.all(["r-1", "r-2", "r-3"].map((name) => store.write(posted(name))));
  await store.close();
  await writing;
  t.is(requests(folder).length, 3);
});

test("a store that is closed refuses, and says so", async (t) => {
  const store = await openStore(t, ledgerFolder(t));
  await store.close();
  const error = await refused(store.write(posted("late")));
  t.true(error.fatal);
  t.regex(error.message, /the ledger is closed/);
});

test("a store that cannot be opened is refused with the sentence for the operator", async (t) => {
  const folder = ledgerFolder(t);
  writeFileSync(join(folder, "ledger.db"), "not a ledger\n".repeat(100));
  await t.throwsAsync(openStore(t, folder), { message: /is not a ledger, or is damaged: keep it/ });
});

test("an older version of a hold never covers a later one, and none brings back one that ended", async (t) => {
  const text = () =>
    rows(folders.get(t) ?? "", "SELECT version FROM reservations").map(({ version }) => version);
  await check(
    t,
    [
      write({ hold: [held("h-1", 1)] }),
      write({ rehold: [held("h-1", 3)] }),
      write({ rehold: [held("h-1", 2)] }),
    ],
    () => t.deepEqual(text(), [3n]),
  );
  await check(
    t,
    [write({ hold: [held("h-1")] }), write({ unhold: ["h-1"] }), write({ rehold: [held("h-1", 2)] })],
    () => t.deepEqual(text(), []),
  );
});

test("an older state of a lease never covers a later one", async (t) => {
  const lease = new Lease(TEN, hourlyRate(usd("3.6")), hourlyRate(0n), "ready");
  const early = lease.state();
  lease.advance(later(TEN, seconds(5)));
  const leases = (state: typeof early) => write({ leases: [{ machine: "m", state }] });
  await check(t, [leases(lease.state()), leases(early)], () => {
    t.is(rows(folders.get(t) ?? "", "SELECT at FROM leases")[0]?.at, BigInt(later(TEN, seconds(5))));
  });
});

test("the high-water mark never goes back", async (t) => {
  await check(t, [write({ at: later(TEN, seconds(9)) }), write()], () => {
    const found = rows(folders.get(t) ?? "", "SELECT value FROM meta WHERE key = 'high_water'");
    t.is(found[0]?.value, String(later(TEN, seconds(9))));
  });
});

test("writes that nobody waits for gather for a moment, and go with the first that somebody waits for", async (t) => {
  let commits = 0;
  const folder = ledgerFolder(t);
  const store = await SqliteStore.open(folder, {
    committed: () => {
      commits += 1;
    },
  });
  t.teardown(() => store.close());
  const first = store.write(posted("first"), "soon");
  await new Promise((resolve) => setImmediate(resolve));
  const second = store.write(posted("second"), "soon");
  await Promise.all([first, second]);
  t.is(commits, 1);
  const third = store.write(posted("third"), "soon");
  await store.write(posted("fourth"));
  await third;
  t.is(commits, 2);
  t.deepEqual(requests(folder), ["first", "second", "third", "fourth"]);
});
