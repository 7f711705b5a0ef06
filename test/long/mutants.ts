// npm run mutants: breaks one line of the money code at a time, in a copy of the checkout, and runs the tests
// that should notice. Ends with 1 where one does not: then a test is missing. `-- WORD` runs those alone whose file
// or mistake has that word.

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../support/program.ts";
import { MUTANTS, type Mutant } from "./mutant.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COPIED = ["src", "test", "config", "bin", "package.json", "ava.config.js", "tsconfig.json"];

const word = process.argv[2] ?? "";
const mutants = MUTANTS.filter(({ file, what }) => `${file} ${what}`.includes(word));

const folder = mkdtempSync(join(tmpdir(), "budgetguard-mutants-"));
let survivors = 0;
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const mutant of mutants) {
    const isNoticed = await isKilled(mutant);
    if (!isNoticed) survivors += 1;
    console.log(`${isNoticed ? "noticed " : "SURVIVES"} ${mutant.file}: ${mutant.what}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${mutants.length} mutants, ${survivors} not noticed`);
if (survivors > 0) process.exitCode = 1;

async function isKilled({ file, from, to, tests }: Mutant): Promise<boolean> {
  const path = join(folder, "src", file);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2) throw new Error(`${file} does not have exactly once: ${from}`);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  try {
    const ava = join(folder, "node_modules", "ava", "entrypoints", "cli.js");
    const { code } = await run(process.execPath, [ava, "--fail-fast", ...tests], { cwd: folder });
    return code !== 0;
  } finally {
    writeFileSync(path, source);
  }
}
