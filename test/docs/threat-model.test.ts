// The threat model promises tests: each one that it names is there, under that name.

import { readFileSync } from "node:fs";
import test from "ava";

const root = new URL("../../", import.meta.url);
const text = readFileSync(new URL("docs/threat-model.md", root), "utf8");
/** `test/x.test.ts` "a title", "another" */
const NAMED = /`(test\/[\w/.-]+\.test\.ts)`((?:,? "[^"]+")*)/g;

test("every threat has a test, and every test that the threat model names exists", (t) => {
  const rows = text.split("\n").filter((line) => /^\| T\d+ \|/.test(line));
  t.is(rows.length, 18);
  for (const row of rows) t.true([...row.matchAll(NAMED)].length > 0, `no test: ${row.slice(0, 60)}`);
  let titles = 0;
  for (const [, path = "", quoted = ""] of text.matchAll(NAMED)) {
    const source = readFileSync(new URL(path, root), "utf8");
    for (const [, title = ""] of quoted.matchAll(/"([^"]+)"/g)) {
      titles++;
      t.true(source.includes(title), `${path} has no test "${title}"`);
    }
  }
  t.true(titles >= 40, `only ${titles} titles were found: the pattern does not fit any more`);
});
