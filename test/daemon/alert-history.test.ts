// What the rules look at, from a real ledger: who is judged, whose money is an image's, which hours there are.

import test from "ava";
import { spendHistory } from "../../src/daemon/alert-history.ts";
import { LedgerReader } from "../../src/ledger/reader.ts";
import type { Entry } from "../../src/ledger/store.ts";
import { DAY, earlier, HOUR, type Instant, later } from "../../src/metering/time.ts";
import { entry, facts, ledgerFolder, openStore } from "../support/ledger.ts";
import { TEN, usd } from "../support/policies.ts";

const llm = facts({ model: "llama" });
const NO_IMAGE = { images: 0 };

const ENTRIES: readonly Partial<Entry>[] = [
  {},
  { amount: usd("0.03"), outcome: "failed", ...NO_IMAGE },
  { amount: usd("0.05"), outcome: "aborted", ...NO_IMAGE },
  { amount: usd("0.07"), outcome: "cut", ...NO_IMAGE },
  { amount: usd("0.50"), facts: llm, tokens: { input: 10, output: 20 } },
  { amount: usd("1"), at: earlier(TEN, HOUR) },
  { amount: usd("2"), at: earlier(TEN, DAY) },
  { amount: usd("4"), at: earlier(TEN, (13 * DAY) as typeof DAY) },
  { amount: usd("8"), at: earlier(TEN, (30 * DAY) as typeof DAY) },
];

test("upstreams are judged, clients and budgets are not; failed work is part of an image's price", async (t) => {
  const folder = ledgerFolder(t);
  const store = await openStore(t, folder);
  const entries = ENTRIES.map((over, index) => entry({ request: `r-${index}`, ...over }));
  await store.write({ entries, at: TEN, wall: TEN });
  const reader = new LedgerReader(folder, async () => undefined);
  t.teardown(() => reader.close());
  const { day, month, hours } = await spendHistory(reader, "UTC", later(TEN, 1 as typeof DAY));
  t.like(day, { images: 2, imageMoney: usd("1.16"), succeeded: 3, failed: 1 });
  t.is(month.spent, usd("7.66"));
  const hour = (at: Instant) => hours.find(({ start }) => start === at)?.amount;
  t.deepEqual(hours.map(({ start }) => start).at(-1), TEN);
  t.is(hour(TEN), usd("0.66"));
  t.is(hour(earlier(TEN, HOUR)), usd("1"));
  t.is(hours.length, 4, "the one of 30 days ago is too old");
});
