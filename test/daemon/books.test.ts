// A ledger that could not be put to use leaves no thread behind: the process that refused it can end.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../${path}`, import.meta.url)));

/** A zone that nobody knows is refused by the parser; here it stands for whatever fails after opening. */
const OPENS_AND_FAILS = `
  const { openBooks } = await import(${source("src/daemon/books.ts")});
  const { Metrics } = await import(${source("src/admin/metrics.ts")});
  const { budget, policy } = await import(${source("test/support/policies.ts")});
  const given = policy({ upstreams: [], timezone: "Mars/Base", budgets: [budget("day", { limit_usd: "1" })] });
  const failed = await openBooks(process.argv[2], given, new Metrics(), undefined).catch((error) => error.message);
  console.log(failed);
`;

test("what fails after the ledger was opened closes it, and the process ends", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-books-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const script = join(folder, "opens.mjs");
  writeFileSync(script, OPENS_AND_FAILS);
  const child = spawn(process.execPath, [script, folder], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 30_000,
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  t.deepEqual(await once(child, "close"), [0, null]);
  t.regex(said, /time zone/i);
});
