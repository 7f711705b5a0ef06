// A ledger that could not be put to use leaves no thread behind: the process that refused it can end.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import test from "ava";
import { Metrics } from "../../src/admin/metrics.ts";
import { openBooks } from "../../src/daemon/books.ts";
import { systemClock } from "../../src/daemon/clock.ts";
import { makeLog } from "../../src/daemon/log.ts";
import { DAY, earlier, SECOND } from "../../src/metering/time.ts";
import { ENTRIES_KEPT } from "../../src/policy/rolled-up.ts";
import { entry, ledgerFolder, openStore, rows } from "../support/ledger.ts";
import { policy } from "../support/policies.ts";

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
    timeout: 90_000,
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  t.deepEqual(await once(child, "close"), [0, null]);
  t.regex(said, /time zone/i);
});

test("a gateway that runs drops entries that have grown too old, without being asked", async (t) => {
  const folder = ledgerFolder(t);
  const now = systemClock.wall();
  const store = await openStore(t, folder);
  const ages = [ENTRIES_KEPT + 2 * DAY, ENTRIES_KEPT - DAY, SECOND];
  const entries = ages.map((age, index) => entry({ at: earlier(now, age as never), request: `r-${index}` }));
  await store.write({ entries, at: earlier(now, SECOND), wall: now });
  await store.close();
  const books = await openBooks(folder, policy({ upstreams: [] }), new Metrics(), makeLog("silent"));
  const left = () => rows(folder, "SELECT request FROM entries ORDER BY seq").map(({ request }) => request);
  for (let waited = 0; left().length === 3 && waited < 600; waited += 1) await sleep(100);
  t.deepEqual(left(), ["r-1", "r-2"]);
  await books.close();
});
