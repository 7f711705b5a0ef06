// What a new budget would have counted, from entries of every kind: also those of containers (MONEY §1, §2).

import test, { type ExecutionContext } from "ava";
import { foldEntries } from "../../src/ledger/fold-entries.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import type { Entry, FoldQuestion } from "../../src/ledger/store.ts";
import { later, seconds } from "../../src/metering/time.ts";
import { entry, facts, ledgerFolder } from "../support/ledger.ts";
import { TEN, usd } from "../support/policies.ts";

const NOBODY = facts({ user: undefined, task: undefined, model: undefined });

function container(kind: Entry["kind"], amount: string): Entry {
  return entry({ kind, request: undefined, facts: NOBODY, amount: usd(amount), outcome: undefined });
}

const ENTRIES: readonly Entry[] = [
  entry({ amount: usd("1") }),
  entry({ amount: usd("2"), facts: facts({ user: "bob", provider: "gcp" }) }),
  entry({ kind: "startup", amount: usd("4") }),
  entry({ kind: "reserved", amount: usd("8") }),
  entry({ kind: "extended", amount: usd("16") }),
  entry({ kind: "released", amount: usd("32") }),
  container("startup", "64"),
  container("idle", "128"),
  container("minimum", "256"),
  container("gap", "512"),
  entry({ at: later(TEN, seconds(-1)), amount: usd("1024") }),
];

function check(
  t: ExecutionContext,
  given: Partial<FoldQuestion>,
  expected: Readonly<Record<string, string>>,
): void {
  const database = openLedger(ledgerFolder(t));
  new SqliteWriter(database).put({ entries: ENTRIES, at: TEN, wall: TEN });
  const period = { since: TEN, start: TEN, end: later(TEN, seconds(60)) };
  const question = {
    key: "k",
    unit: "usd" as const,
    per: undefined,
    when: [],
    requestsOnly: false,
    ...period,
    ...given,
  };
  const found = foldEntries(database, question).map(({ change }) => [change.account, change.settled]);
  database.close();
  const wanted = Object.entries(expected).map(([account, amount]) => [account, usd(amount)]);
  t.deepEqual(Object.fromEntries(found), Object.fromEntries(wanted));
}

test("everything that was charged counts, and nothing that was only held", (t) => {
  check(t, {}, { k: "967" });
});

test("without container money, the start-up that a request waited for still counts", (t) => {
  check(t, { requestsOnly: true }, { k: "7" });
});

test("container money is counted by what it carries", (t) => {
  check(t, { when: [["provider", ["aws"]]] }, { k: "965" });
  check(t, { per: "provider" }, { "k=aws": "965", "k=gcp": "2" });
});

test("a budget that names a user never receives container money", (t) => {
  check(t, { when: [["user", ["alice", "bob"]]] }, { k: "7" });
  check(t, { per: "user" }, { "k=alice": "5", "k=bob": "2" });
});

test("several values of one key are either, several keys are both", (t) => {
  check(t, { when: [["provider", ["aws", "gcp"]]], requestsOnly: true }, { k: "7" });
  check(
    t,
    {
      when: [
        ["provider", ["aws"]],
        ["user", ["bob"]],
      ],
    },
    {},
  );
});

test("requests that do not say are one balance", (t) => {
  check(t, { per: "project" }, { "k=unknown": "7" });
  check(t, { per: "session" }, { 'k=["alice",null]': "5", 'k=["bob",null]': "2" });
});

test("what lies before the period does not count", (t) => {
  check(t, { since: later(TEN, seconds(-1)) }, { k: "1991" });
});
