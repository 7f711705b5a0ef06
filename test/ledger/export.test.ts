// The export is what finance believes: every amount exact, every cell the text that it was, and no cell
// that a spreadsheet would run.

import test, { type ExecutionContext } from "ava";
import { writeAdjustment } from "../../src/ledger/adjustments.ts";
import { exportLines } from "../../src/ledger/export.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import type { Entry } from "../../src/ledger/store.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { durationUs, later } from "../../src/metering/time.ts";
import { entry, facts, ledgerFolder } from "../support/ledger.ts";
import { TEN, usd } from "../support/policies.ts";

const HEADER =
  "seq,at,kind,request,client_request_id,upstream,provider,model,tier,user,workflow,amount_usd,elapsed_us," +
  "outcome,price,price_source,input_tokens,output_tokens,idle_discount_usd,budget,value,unit,adjustment,author,reason";

function lines(t: ExecutionContext, format: "jsonl" | "csv", entries: readonly Entry[]): readonly string[] {
  const database = openLedger(ledgerFolder(t));
  t.teardown(() => database.close());
  new SqliteWriter(database).put({ entries, at: TEN, wall: TEN });
  return [...exportLines(database, format)];
}

/** The cell of `user` in a CSV line. */
function check(t: ExecutionContext, given: string, expected: string): void {
  const [, line] = lines(t, "csv", [entry({ facts: facts({ user: given }) })]);
  t.is(
    line,
    `1,2026-11-22T10:00:00.000000Z,settled,r-1,,flux-aws,aws,flux-dev,a10g,${expected},,0.01,10000000,` +
      "relayed,3.60/h,from the policy,0,0,,,,,,,",
  );
}

test("a line of JSON has every column, exact, in the order of the ledger", (t) => {
  const [one, two] = lines(t, "jsonl", [
    entry({
      ...{ at: later(TEN, durationUs(1)), amount: usd("123456789.000000001"), elapsed: durationUs(7) },
      tokens: { input: 1200, output: 34 },
    }),
    entry({ request: "r-2", kind: "reserved", outcome: undefined, clientRequestId: "mine" }),
  ]);
  t.deepEqual(JSON.parse(one ?? ""), {
    ...{ seq: 1, at: "2026-11-22T10:00:00.000001Z", kind: "settled", request: "r-1" },
    ...{ client_request_id: null, upstream: "flux-aws", provider: "aws", model: "flux-dev", tier: "a10g" },
    ...{ user: "alice", workflow: null, amount_usd: "123456789.000000001", elapsed_us: 7 },
    ...{ outcome: "relayed", price: "3.60/h", price_source: "from the policy" },
    ...{ input_tokens: 1200, output_tokens: 34 },
    idle_discount_usd: null,
    ...{ budget: null, value: null, unit: null, adjustment: null, author: null, reason: null },
  });
  const { seq, kind, outcome, client_request_id } = JSON.parse(two ?? "");
  t.deepEqual(
    { seq, kind, outcome, client_request_id },
    {
      ...{ seq: 2, kind: "reserved", outcome: null, client_request_id: "mine" },
    },
  );
});

test("CSV begins with its header, also when there is nothing else", (t) => {
  t.deepEqual(lines(t, "csv", []), [HEADER]);
});

test("JSON of an empty ledger is no line", (t) => {
  t.deepEqual(lines(t, "jsonl", []), []);
});

test("a plain cell stands as it is", (t) => {
  check(t, "Änne O'Hara 東京", "Änne O'Hara 東京");
});

test("a cell with a comma, a quote or a line end is quoted", (t) => {
  check(t, "a,b", '"a,b"');
  check(t, 'say "hi"', '"say ""hi"""');
  check(t, "two\nlines", '"two\nlines"');
  check(t, "two\rlines", '"two\rlines"');
});

test("a cell that a spreadsheet would run is text", (t) => {
  check(t, "=1+1", "'=1+1");
  check(t, "+49", "'+49");
  check(t, "-cmd", "'-cmd");
  check(t, "@SUM(A1)", "'@SUM(A1)");
  check(t, "\t=1", "'\t=1");
  check(t, "\r=1", `"'\r=1"`);
  check(t, '=HYPERLINK("x","y")', `"'=HYPERLINK(""x"",""y"")"`);
});

test("a negative adjustment stays a number", (t) => {
  const [, line] = lines(t, "csv", [entry({ kind: "adjusted", amount: -usd("1.5") as Entry["amount"] })]);
  t.is(line?.split(",")[11], "-1.50");
});

test("the sum of the exported amounts is the sum of the entries, to the nano-dollar", (t) => {
  const amounts = ["0.000000001", "0.1", "0.2", "9999999.999999999"].map(usd);
  const exported = lines(
    t,
    "jsonl",
    amounts.map((amount) => entry({ amount })),
  ).map((line) => usd(JSON.parse(line).amount_usd));
  t.deepEqual(exported, amounts);
});

test("an adjustment stands among the entries by its time, with who and why, and no sum of amounts sees it", (t) => {
  const database = openLedger(ledgerFolder(t));
  t.teardown(() => database.close());
  const after = later(TEN, durationUs(2));
  const entries = [entry(), entry({ at: after, request: "r-2" })];
  new SqliteWriter(database).put({ entries, at: TEN, wall: TEN });
  const period = { start: TEN, end: later(TEN, durationUs(9)) };
  const one = {
    kind: "reset",
    budget: "each",
    value: "=ann",
    account: "usd|daily/1/UTC|all||user==ann",
  } as const;
  const more = { unit: "usd", amount: quantityOf(-10_000_000n), by: "ops", reason: "late" } as const;
  writeAdjustment(database, { ...one, ...more, period, at: later(TEN, durationUs(1)) });
  writeAdjustment(database, { ...one, ...more, unit: "seconds", period, at: later(TEN, durationUs(3)) });
  const told = [...exportLines(database, "jsonl")].map((line) => JSON.parse(line));
  t.deepEqual(
    told.map(({ seq, kind, amount_usd, adjustment }) => [seq, kind, amount_usd, adjustment]),
    [
      [1, "settled", "0.01", null],
      [null, "reset", null, "-0.01"],
      [2, "settled", "0.01", null],
      [null, "reset", null, "-10"],
    ],
  );
  t.like(told[1], { budget: "each", value: "=ann", unit: "usd", author: "ops", reason: "late" });
  t.true([...exportLines(database, "csv")][2]?.endsWith("each,'=ann,usd,-0.01,ops,late"));
});
