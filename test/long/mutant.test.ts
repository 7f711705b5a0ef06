// A mutant whose line has changed breaks nothing, and proves nothing.

import { readFileSync } from "node:fs";
import test from "ava";
import { MUTANTS } from "./mutant.ts";

for (const { file, what, from } of MUTANTS) {
  test(`there is one line to break in ${file} so that ${what}`, (t) => {
    const source = readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8");
    t.is(source.split(from).length - 1, 1);
  });
}
