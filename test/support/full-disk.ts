// Run as `node --import THIS THIS` in a folder: a ledger there that may not grow beyond as many pages as stand
// in the file `pages`, in its own process, because a worker thread can be reached only through --import. It
// fills the disk, makes space again, and prints as JSON what became of each write.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import type { HeldRow } from "../../src/ledger/held.ts";
import { SqliteStore } from "../../src/ledger/sqlite.ts";
import { type ContainerRow, StoreError } from "../../src/ledger/store.ts";
import { Lease } from "../../src/metering/lease.ts";
import { container } from "./containers.ts";
import { eventually } from "./gateway-client.ts";
import { entry } from "./ledger.ts";
import { TEN, ZERO } from "./policies.ts";

export interface FullDiskReport {
  readonly before: string;
  readonly full: readonly string[];
  readonly after: string;
  /** What is known of the join that went with a refused write, once another one was written. */
  readonly join: string | null;
  /** What became of writes that waited behind a refused one until there was space: with a lease's state, and without. */
  readonly behind: readonly string[];
}

const HELD = {
  id: "held.1",
  version: 1,
  claims: [],
  amount: 0n,
  price: { kind: "request", amount: 0n },
} as never as HeldRow;

const about = container();
const LEASE: ContainerRow = {
  ...{ about, machines: ["aws"], lastLeft: undefined, rates: [], isOver: false },
  state: new Lease(TEN, about.price.rate, about.idlePrice, "ready").state(),
  ...{ idlePosted: ZERO, startupPosted: ZERO },
};

function large() {
  return entry({ request: "lost", price: "x".repeat(100_000) });
}

const exec = DatabaseSync.prototype.exec;
const folder = process.cwd();
const pages = join(folder, "pages");
/** While it is there no batch begins; `held` says that one would. */
const gate = join(folder, "gate");
const held = join(folder, "held");
const LONGEST_HELD_MS = 60_000;

/** The thread sleeps meanwhile: a batch that has been handed over is under way, and what comes then is behind it. */
function waitAtGate() {
  if (!existsSync(gate)) return;
  writeFileSync(held, "");
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; existsSync(gate) && waited < LONGEST_HELD_MS; waited += 1)
    Atomics.wait(nobody, 0, 0, 1);
}

DatabaseSync.prototype.exec = function (sql) {
  if (sql.startsWith("BEGIN") && existsSync(pages)) {
    waitAtGate();
    exec.call(this, `PRAGMA max_page_count = ${readFileSync(pages, "utf8")}`);
  }
  exec.call(this, sql);
};

if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url)) {
  const store = await SqliteStore.open(folder, { committed: () => undefined });
  const write = async (name: string, length: number, containers: readonly ContainerRow[] = []) => {
    const entries = [entry({ request: name, price: "x".repeat(length) })];
    try {
      await store.write({ entries, containers, at: TEN, wall: TEN });
      return "written";
    } catch (error) {
      return error instanceof StoreError ? `${error.fatal ? "fatal" : "passing"}: ${error.message}` : "a bug";
    }
  };
  const before = await write("before", 10);
  await store.write({ hold: [{ ...HELD }], at: TEN, wall: TEN });
  writeFileSync(pages, "1");
  const first = write("alone", 100_000);
  const full = await Promise.all([first, write("large", 100_000), write("small, in its batch", 10)]);
  const lost = { joins: [{ id: HELD.id, join: { start: TEN, V0: "7" } }], entries: [large()] };
  await store.write({ ...lost, at: TEN, wall: TEN }).catch(() => undefined);
  writeFileSync(pages, "1000000");
  const after = await write("after", 100_000);
  writeFileSync(pages, "1");
  writeFileSync(gate, "");
  const refused = write("refused", 100_000).then(() => writeFileSync(pages, "1000000"));
  await eventually("the batch has been handed over", () => existsSync(held));
  const waiting = [write("lease", 10, [LEASE]), write("behind", 10)];
  rmSync(gate);
  const behind = await Promise.all(waiting);
  await refused;
  await store.close();
  const read = new DatabaseSync(join(folder, "ledger.db"), { readOnly: true });
  const known = read.prepare("SELECT joined FROM reservations WHERE id = ?").get(HELD.id)?.joined;
  process.stdout.write(
    JSON.stringify({ before, full, after, join: known as string | null, behind } satisfies FullDiskReport),
  );
}
