// The reading thread is there while somebody asks, and only then.

import test from "ava";
import { LedgerReader } from "../../src/ledger/reader.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { eventually } from "../support/gateway-client.ts";
import { ledgerFolder } from "../support/ledger.ts";

const ALL = { limit: 50, before: undefined, where: {} };

function folderWithLedger(t: Parameters<typeof ledgerFolder>[0]): string {
  const folder = ledgerFolder(t);
  openLedger(folder).close();
  return folder;
}

test("nobody asked: there is no thread, and closing is done at once", async (t) => {
  const reader = new LedgerReader(folderWithLedger(t), () => Promise.resolve());
  t.false(reader.isWarm);
  await reader.close();
});

test("a thread that nobody asks ends, and the next question finds another one", async (t) => {
  const reader = new LedgerReader(folderWithLedger(t), () => Promise.resolve(), 20);
  t.teardown(() => reader.close());
  t.deepEqual(await reader.records(ALL), []);
  t.true(reader.isWarm);
  await eventually("the thread has ended", () => Promise.resolve(!reader.isWarm));
  t.deepEqual(await reader.records(ALL), []);
});

test("questions at once are answered by one thread, each with its own answer", async (t) => {
  const reader = new LedgerReader(folderWithLedger(t), () => Promise.resolve());
  t.teardown(() => reader.close());
  const answers = await Promise.all([reader.records(ALL), reader.record("r-1"), reader.records(ALL)]);
  t.deepEqual(answers, [[], undefined, []]);
});

test("a reader whose ledger is not there says so, and reads once it is", async (t) => {
  const folder = ledgerFolder(t);
  const reader = new LedgerReader(folder, () => Promise.resolve());
  t.teardown(() => reader.close());
  await t.throwsAsync(reader.records(ALL), { message: /the ledger cannot be read/ });
  openLedger(folder).close();
  t.deepEqual(await reader.records(ALL), []);
});

test("who asks after the end is refused", async (t) => {
  const reader = new LedgerReader(folderWithLedger(t), () => Promise.resolve());
  await reader.close();
  await t.throwsAsync(reader.records(ALL), { message: /closed/ });
});
