// Tables: they fit, they keep amounts whole, and nothing from outside moves the cursor.

import { stripVTControlCharacters } from "node:util";
import test from "ava";
import fc from "fast-check";
import { elapsed, moment, turn } from "../../src/cli/moment.ts";
import { printable, printableDeep, widthOf, wrap } from "../../src/cli/printable.ts";
import { type Column, table } from "../../src/cli/table.ts";
import { screen } from "../support/cli.ts";

const columns: readonly Column[] = [
  { title: "budget", wraps: true },
  { title: "USD", align: "point" },
  { title: "why", wraps: true },
];
const rows = [
  ["studio-day", "20.00", "everything that the studio spends in a day"],
  ["alice", "0.003353333", ""],
];

test("what nobody looks at is not broken, and amounts meet at their points", (t) => {
  t.is(
    table(screen(), columns, rows),
    [
      "budget               USD  why",
      "studio-day  20.00         everything that the studio spends in a day",
      "alice        0.003353333",
    ].join("\n"),
  );
});

test("a narrow screen wraps the words and keeps the amounts", (t) => {
  t.is(
    table(screen(44), columns, rows),
    [
      "budget               USD  why",
      "studio-day  20.00         everything that",
      "                          the studio spends",
      "                          in a day",
      "alice        0.003353333",
    ].join("\n"),
  );
});

test("a table is stacked before a word is broken", (t) => {
  const long = [["studio-day", "20.00", "rate aws/us-east-1/g5.xlarge"]];
  t.regex(table(screen(45), columns, long), / {2}rate\n {19}aws\/us-east-1\/g5\.xlarge$/);
  t.regex(table(screen(41), columns, long), /\nwhy {5}rate aws\/us-east-1\/g5\.xlarge$/);
});

test("what cannot stand side by side stands one below the other", (t) => {
  t.is(
    table(screen(24), columns, rows),
    [
      "budget  studio-day",
      "USD     20.00",
      "why     everything that",
      "        the studio",
      "        spends in a day",
      "",
      "budget  alice",
      "USD     0.003353333",
    ].join("\n"),
  );
});

test("a column that says nothing is left out", (t) => {
  t.is(table(screen(), columns, [["alice", "1.00", ""]]), "budget   USD\nalice   1.00");
});

test("colour takes no room, and is not there where it is not wanted", (t) => {
  const painted = [[{ text: "no", style: "red" as const }, "1.00", "x"]];
  const bare = table(screen(), columns, painted);
  t.false(bare.includes("\u001b"));
  const coloured = table(screen(80, true), columns, painted);
  t.true(coloured.includes("\u001b[31mno"));
  t.is(stripVTControlCharacters(coloured), bare);
});

test("no line is wider than the screen, and no amount is broken, whatever the words", (t) => {
  const word = fc.string({ unit: "grapheme", maxLength: 40 }).map(printable);
  const amount = fc.bigInt({ min: 0n, max: 10n ** 12n }).map((nanos) => `${nanos}.000000001`);
  const anyRows = fc.array(fc.tuple(word, amount, word), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(anyRows, fc.integer({ min: 40, max: 120 }), (given, width) => {
      const text = table(screen(width), columns, given);
      for (const line of text.split("\n")) t.true(widthOf(line) <= width, line);
      for (const [, each] of given) t.true(text.includes(each), each);
    }),
    { numRuns: 200 },
  );
});

test("wrapping loses no word", (t) => {
  t.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  t.deepEqual(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
});

test("an escape sequence in a name does not reach the screen", (t) => {
  t.is(printable("\u001b[2Jalice\u202E\n"), "\uFFFD[2Jalice\uFFFD\uFFFD");
  t.deepEqual(printableDeep({ a: ["\u0007", 1, null], b: true }), { a: ["\uFFFD", 1, null], b: true });
});

test("wide characters take two columns", (t) => {
  t.is(widthOf("猫 a"), 4);
});

test("times are told in the zone that is asked for, durations exactly", (t) => {
  t.is(moment("2026-11-22T10:15:00.999999Z", "Europe/Berlin"), "2026-11-22 11:15:00 Europe/Berlin");
  t.is(turn("2026-11-22T23:00:00.000000Z", "Europe/Berlin"), "2026-11-23 00:00 Europe/Berlin");
  t.is(elapsed(12_000_000), "12 s");
  t.is(elapsed(10), "0.00001 s");
  t.is(elapsed(600_000_000), "600 s");
  t.is(elapsed(0), "0 s");
});
