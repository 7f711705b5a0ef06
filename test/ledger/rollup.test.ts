// Rollups are the same money as the entries that they count, in fewer rows.

import type { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { sums } from "../../src/ledger/queries.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import type { Entry } from "../../src/ledger/store.ts";
import { add, nanoUsd, ZERO_USD } from "../../src/metering/money.ts";
import {
  DAY,
  durationUs,
  EPOCH,
  FOREVER,
  type Instant,
  later,
  QUARTER_HOUR,
} from "../../src/metering/time.ts";
import { entry, facts, ledgerFolder } from "../support/ledger.ts";
import { TEN, usd } from "../support/policies.ts";

const ALWAYS = { from: EPOCH, to: FOREVER, where: {} };

function ledger(t: ExecutionContext) {
  const folder = ledgerFolder(t);
  let database = openLedger(folder);
  let writer = new SqliteWriter(database);
  t.teardown(() => database.close());
  return {
    get database() {
      return database;
    },
    put: (...all: readonly Entry[]) => {
      database.exec("BEGIN");
      writer.put({ entries: all, at: TEN, wall: TEN });
      database.exec("COMMIT");
    },
    reopen: () => {
      database.close();
      database = openLedger(folder);
      writer = new SqliteWriter(database);
    },
  };
}

const name = fc.constantFrom("a", "b", "c", undefined);
const entries = fc.array(
  fc
    .record({
      at: fc.integer({ min: 0, max: 3 * DAY }).map((by) => later(TEN, durationUs(by))),
      kind: fc.constantFrom<Entry["kind"]>("reserved", "extended", "settled", "released", "startup", "idle"),
      amount: fc.bigInt({ min: 0n, max: 10n ** 15n }).map(nanoUsd),
      elapsed: fc.integer({ min: 0, max: 10 ** 9 }).map(durationUs),
      images: fc.integer({ min: 0, max: 4 }),
      tokens: fc.record({ input: fc.nat(10 ** 8), output: fc.nat(10 ** 8) }),
      isLast: fc.boolean(),
      facts: fc
        .record({ user: name, model: name, provider: name, upstream: name, workflow: name })
        .map((own) => facts({ ...own, project: "all" })),
    })
    .map(entry),
  { minLength: 1, maxLength: 40 },
);

const DIMENSIONS = ["provider", "model", "user", "workflow", "upstream"] as const;

/** Quarter-hours by number, in any order. */
function spanOf(a: number, b: number) {
  const from = later(TEN, durationUs(Math.min(a, b) * QUARTER_HOUR));
  return { from, to: later(TEN, durationUs((Math.max(a, b) + 1) * QUARTER_HOUR)) };
}

function lawOf(database: DatabaseSync, put: (...all: readonly Entry[]) => void, law: Law) {
  const quarter = fc.nat({ max: 3 * 96 });
  const property = fc.property(entries, quarter, quarter, (all, a, b) => {
    database.exec("DELETE FROM rollups; DELETE FROM entries");
    put(...all);
    law(all, spanOf(a, b));
  });
  fc.assert(property, { seed: 20261122, numRuns: 60 });
}

type Law = (all: readonly Entry[], span: { readonly from: Instant; readonly to: Instant }) => void;

test("the sum of the rollups is the sum of the entries, over any quarter-hours", (t) => {
  const { database, put } = ledger(t);
  const law: Law = (all, { from, to }) => {
    for (const by of ["total", ...DIMENSIONS] as const) {
      const naive = new Map<string, bigint[]>();
      for (const { at, kind, amount, elapsed, images, tokens, isLast, facts: own } of all) {
        if (["reserved", "extended", "released"].includes(kind) || at < from || at >= to) continue;
        const value = by === "total" ? "" : (own[by] ?? "");
        const counts = [isLast ? 1 : 0, images, elapsed, tokens.input, tokens.output];
        const due = [...counts.map(BigInt), amount];
        const before = naive.get(value) ?? [0n, 0n, 0n, 0n, 0n, 0n];
        naive.set(
          value,
          before.map((sum, index) => sum + (due[index] ?? 0n)),
        );
      }
      const found = sums(database, { from, to, by, where: {} }).map((row): [string, bigint[]] => [
        row.value,
        [
          ...[row.requests, row.images, row.elapsed, row.tokens.input, row.tokens.output].map(BigInt),
          row.amount,
        ],
      ]);
      t.deepEqual(Object.fromEntries(found), Object.fromEntries(naive));
    }
  };
  t.notThrows(() => lawOf(database, put, law));
});

test("the rows of a dimension add up to the total, and are those that a filter counts", (t) => {
  const { database, put } = ledger(t);
  const law: Law = (_all, span) => {
    const total = sums(database, { ...span, by: "total", where: {} })[0];
    for (const by of DIMENSIONS) {
      const rows = sums(database, { ...span, by, where: {} });
      const all = rows.reduce((sum, { amount }) => add(sum, amount), ZERO_USD);
      const requests = rows.reduce((sum, row) => sum + row.requests, 0);
      t.deepEqual([all, requests], [total?.amount ?? ZERO_USD, total?.requests ?? 0]);
      // Every entry has this project, and a filter is answered from the entries, not from the rollups.
      t.deepEqual(rows, sums(database, { ...span, by, where: { project: "all" } }));
    }
  };
  t.notThrows(() => lawOf(database, put, law));
});

test("money that is only held is in no sum", (t) => {
  const { database, put } = ledger(t);
  put(entry({ kind: "reserved" }), entry({ kind: "extended" }));
  t.deepEqual(sums(database, { ...ALWAYS, by: "total" }), []);
});

for (const by of ["user", "workflow"] as const) {
  test(`the thousand-and-first ${by} of a day is counted as other, and no money is lost`, (t) => {
    const { database, put } = ledger(t);
    const of = (value: string | undefined) => entry({ facts: facts({ [by]: value }) });
    put(...Array.from({ length: 1002 }, (_, index) => of(`w-${index}`)));
    put(of("w-0"), of(undefined));
    const rows = sums(database, { ...ALWAYS, by });
    t.is(rows.length, 1002);
    const requests = (value: string) => rows.find((row) => row.value === value)?.requests;
    const counted = ["other", "w-0", "w-999", ""].map(requests);
    t.deepEqual(counted, [2, 2, 1, 1]);
    t.is(
      rows.reduce((sum, { amount }) => sum + amount, 0n),
      usd("0.01") * 1004n,
    );
  });
}

test("the cap counts by the day, and a restart does not move it", (t) => {
  const book = ledger(t);
  const of = (workflow: string, days: number) =>
    entry({ at: later(TEN, durationUs(days * DAY)), facts: facts({ workflow }) });
  book.put(...Array.from({ length: 1001 }, (_, index) => of(`w-${index}`, 0)));
  book.reopen();
  book.put(of("w-1", 0), of("late", 0), of("late", 1));
  const rows = sums(book.database, { ...ALWAYS, by: "workflow" });
  const requests = (value: string) => rows.find((row) => row.value === value)?.requests;
  t.deepEqual([requests("w-1"), requests("other"), requests("late")], [2, 2, 1]);
});
