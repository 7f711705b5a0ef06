// Amounts survive the disk exactly, and no text that a client sends can become one.

import test from "ava";
import fc from "fast-check";
import { decode, encode } from "../../src/ledger/json.ts";

const RUNS = { seed: 20261122, numRuns: 100 };

test("amounts of any size come back exact", (t) => {
  const law = fc.property(fc.bigInt(), (amount) => {
    t.deepEqual(decode(encode({ amount, list: [amount] })), { amount, list: [amount] });
  });
  t.notThrows(() => fc.assert(law, RUNS));
});

test("any label comes back as the text that it was", (t) => {
  const law = fc.property(fc.string({ unit: "binary" }), (label) => {
    t.deepEqual(decode(encode({ label, amount: 5n })), { label, amount: 5n });
  });
  t.notThrows(() => fc.assert(law, RUNS));
});

test("a label that looks like an amount stays a label", (t) => {
  for (const label of ['{"$bigint":"5"}', "$bigint", "5n", '"}, "amount": {"$bigint": "0"}']) {
    t.deepEqual(decode(encode({ label })), { label });
  }
});
