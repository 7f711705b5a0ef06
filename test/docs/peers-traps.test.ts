// The page of traps promises tests: each one that it names is there, under that name.

import { existsSync, readFileSync } from "node:fs";
import test from "ava";

const root = new URL("../../", import.meta.url);
const text = readFileSync(new URL("docs/peers-traps.md", root), "utf8");
/** `test/x.test.ts` "a title", "another" */
const NAMED = /`(test\/[\w/.-]+\.test\.ts)`((?:,? "[^"]+")*)/g;

test("every trap has a test, and every test that the page names exists", (t) => {
  const rows = text.split("\n").filter((line) => /^\| P\d+ \|/.test(line));
  t.deepEqual(
    rows.map((row) => row.split(" ")[1]),
    rows.map((_, index) => `P${index + 1}`),
  );
  t.true(rows.length >= 50, `only ${rows.length} traps`);
  for (const row of rows) {
    const named = [...row.matchAll(NAMED)];
    t.true(named.length > 0, `no test: ${row.slice(0, 60)}`);
    for (const [, path = "", quoted = ""] of named) {
      t.true(existsSync(new URL(path, root)), `there is no ${path}`);
      const source = readFileSync(new URL(path, root), "utf8");
      const titles = [...quoted.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => title);
      t.true(titles.length > 0, `no title: ${row.slice(0, 60)}`);
      for (const title of titles) t.true(source.includes(title), `${path} has no test "${title}"`);
    }
  }
});
