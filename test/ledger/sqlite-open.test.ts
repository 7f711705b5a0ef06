// Opening the ledger keeps its promises or refuses in a sentence that says what to do next.

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { previewBalances } from "../../src/ledger/balance-preview.ts";
import { exportLines } from "../../src/ledger/export.ts";
import { openStored } from "../../src/ledger/open.ts";
import { sums } from "../../src/ledger/queries.ts";
import { openLedger, openLedgerToRead } from "../../src/ledger/sqlite-open.ts";
import { SCHEMA_VERSION } from "../../src/ledger/sqlite-schema.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import { verifyRollups } from "../../src/ledger/verify-rollups.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { DAY, durationUs, EPOCH, FOREVER, instantUs, later } from "../../src/metering/time.ts";
import { entry, facts, HandClock, ledgerFolder } from "../support/ledger.ts";
import { budget, policy, TEN } from "../support/policies.ts";

function check(t: ExecutionContext, folder: string, expected: RegExp): void {
  const error = t.throws(() => openStored(folder, new HandClock()));
  t.regex(error?.message ?? "", expected);
  t.true(error?.message.includes(join(folder, "ledger.db")), "the sentence does not name the file");
}

function filled(t: ExecutionContext): { folder: string; file: string } {
  const folder = ledgerFolder(t);
  openLedger(folder).close();
  return { folder, file: join(folder, "ledger.db") };
}

test("what is reported written is written: WAL, and every commit is synced", (t) => {
  const database = openLedger(ledgerFolder(t));
  t.is(database.prepare("PRAGMA journal_mode").get()?.journal_mode, "wal");
  t.is(database.prepare("PRAGMA synchronous").get()?.synchronous, 2);
  database.close();
});

test("every table is STRICT, so that no float slips in", (t) => {
  const database = openLedger(ledgerFolder(t));
  t.teardown(() => database.close());
  const tables = database.prepare("PRAGMA table_list").all();
  const loose = tables.filter(({ name, strict }) => strict !== 1 && !String(name).startsWith("sqlite_"));
  t.deepEqual(loose, []);
  const insert = database.prepare("INSERT INTO balances VALUES ('a', 0, 1, 'usd', ?, 0, 0)");
  t.throws(() => insert.run(0.5), { message: /cannot store REAL value/ });
  t.throws(() => insert.run("much"), { message: /cannot store TEXT value/ });
});

test("only its owner can read a new ledger", (t) => {
  t.is(statSync(filled(t).file).mode & 0o777, 0o600);
});

test("opening it again changes nothing", (t) => {
  const { folder } = filled(t);
  const first = openLedger(folder);
  first.exec("INSERT INTO grounds VALUES ('kept')");
  first.close();
  const again = openLedger(folder);
  t.is(again.prepare("SELECT count(*) AS n FROM grounds").get()?.n, 1);
  again.close();
});

/** As the fourth version left it: without when a balance last moved. */
function dropMoved(old: DatabaseSync): void {
  old.exec("ALTER TABLE balances DROP COLUMN moved; DROP INDEX adjustments_account");
}

/** As the third version left it: without sums of days, of projects, and of what is no container's. */
function dropDays(old: DatabaseSync): void {
  dropMoved(old);
  old.exec("DROP TABLE days; DROP TABLE fold_gaps; DELETE FROM rollups WHERE dimension = 'project'");
  for (const column of ["busy", "container_amount"]) old.exec(`ALTER TABLE rollups DROP COLUMN ${column}`);
}

/** As the second version left it: without the amount of work. */
function dropLearning(old: DatabaseSync): void {
  dropDays(old);
  for (const column of ["work", "expected", "tries"]) old.exec(`ALTER TABLE decisions DROP COLUMN ${column}`);
}

/** As the first version left it: without tokens. */
function makeOld(file: string): void {
  const old = new DatabaseSync(file);
  for (const table of ["entries", "rollups"]) {
    for (const column of ["input_tokens", "output_tokens"])
      old.exec(`ALTER TABLE ${table} DROP COLUMN ${column}`);
  }
  dropLearning(old);
  old.exec(`
    INSERT INTO entries (at, wall, kind, request, amount, elapsed, images, is_last, price, price_source)
      VALUES (7, 7, 'settled', 'r-1', 5, 3, 1, 1, '1/h', 'policy');
    INSERT INTO rollups VALUES (0, 'total', '', 1, 1, 3, 5);
    PRAGMA user_version = 1`);
  old.close();
}

test("a ledger of the first version gets its new columns, keeps all that it has, and goes on", (t) => {
  const { folder, file } = filled(t);
  const fresh = columnsOf(file);
  makeOld(file);
  t.notDeepEqual(columnsOf(file), fresh);
  openLedger(folder).close();
  t.deepEqual(columnsOf(file), fresh, "a ledger that grew is like one that began so");
  const database = openLedger(folder);
  t.teardown(() => database.close());
  t.is(database.prepare("PRAGMA user_version").get()?.user_version, SCHEMA_VERSION);
  t.like(database.prepare("SELECT * FROM entries").get(), { request: "r-1", amount: 5, input_tokens: 0 });
  new SqliteWriter(database).put({
    entries: [entry({ at: instantUs(8), tokens: { input: 10, output: 2 } })],
    at: instantUs(8),
    wall: instantUs(8),
  });
  const [total] = sums(database, { from: EPOCH, to: FOREVER, by: "total", where: {} });
  t.like(total, { requests: 2, tokens: { input: 10, output: 2 } });
});

test("a ledger of the third version gets the sums that it would have had", (t) => {
  const { folder, file } = filled(t);
  const begun = openLedger(folder);
  const none = { request: undefined, isLast: false, images: 0 };
  const owned = facts({ user: undefined, model: undefined, upstream: undefined });
  const of = (user: string, days: number) =>
    entry({ at: later(TEN, durationUs(days * DAY)), facts: facts({ user }) });
  const entries = [
    ...Array.from({ length: 1003 }, (_, index) => of(`u-${index}`, 0)),
    ...[of("u-1002", 1), of("u-1", 1), entry({ facts: facts({ project: "film", workflow: "w" }) })],
    entry({ kind: "startup", at: later(TEN, durationUs(DAY)) }),
    entry({ ...none, kind: "idle", facts: owned }),
    entry({ ...none, kind: "adjusted", facts: { ...owned, machine: undefined } }),
    entry({ ...none, kind: "adjusted", facts: owned, amount: nanoUsd(-2n) }),
    ...(["reserved", "extended", "released"] as const).map((kind) => entry({ kind })),
  ];
  new SqliteWriter(begun).put({ entries, at: TEN, wall: TEN });
  const sumsOf = (database: DatabaseSync) =>
    ["rollups", "days"].map((table) => database.prepare(`SELECT * FROM ${table} ORDER BY 1, 2, 3`).all());
  const due = sumsOf(begun);
  t.true(due[1]?.some(({ value, container_amount }) => value === "aws" && Number(container_amount) > 0));
  dropDays(begun);
  begun.exec("PRAGMA user_version = 3");
  begun.close();
  // Whoever only looks changes nothing, and is told by the entries.
  const old = openLedgerToRead(folder);
  const ever = budget("ever", { period: "infinite", limits: { requests: 1 } });
  const [told] = previewBalances(old, policy({ upstreams: [], budgets: [ever] }), TEN);
  t.is(told?.rows[0]?.after, 1007n as never);
  t.true(verifyRollups(old).notes[0]?.startsWith("the ledger is of an earlier version"));
  old.close();
  const grown = openLedger(folder);
  t.deepEqual(sumsOf(grown), due);
  grown.close();
  t.deepEqual(columnsOf(file), columnsOf(filled(t).file));
});

test("a ledger of the second version opens, and teaches nothing of what it does not say", (t) => {
  const { folder, file } = filled(t);
  const fresh = columnsOf(file);
  const old = new DatabaseSync(file);
  dropLearning(old);
  old.exec(`
    INSERT INTO decisions (request, at, model, upstream, estimate, hold, explanation, outcome, elapsed)
      VALUES ('r-1', 7, 'flux-dev', 'flux-aws', 1, 1, '{}', 'relayed', 5);
    PRAGMA user_version = 2`);
  old.close();
  const { learning } = openStored(folder, new HandClock(instantUs(8)));
  t.deepEqual([...learning.errors(instantUs(8))], []);
  t.deepEqual(columnsOf(file), fresh);
});

test("a ledger of the first version can be exported as it is", (t) => {
  const { folder, file } = filled(t);
  makeOld(file);
  const database = openLedgerToRead(folder);
  t.teardown(() => database.close());
  t.like(JSON.parse([...exportLines(database, "jsonl")][0] ?? ""), { request: "r-1", input_tokens: 0 });
});

function columnsOf(file: string): unknown {
  const database = new DatabaseSync(file);
  const columns = ["entries", "rollups", "decisions", "days", "fold_gaps"].map((table) =>
    database.prepare(`SELECT name, type, "notnull" FROM pragma_table_info('${table}')`).all(),
  );
  database.close();
  return columns;
}

test("a ledger of a later version is refused, and left as it is", (t) => {
  const { folder, file } = filled(t);
  const later = new DatabaseSync(file);
  later.exec("PRAGMA user_version = 99");
  later.close();
  check(t, folder, /later version.*start that version, or name another --data folder/);
  const after = new DatabaseSync(file);
  t.is(after.prepare("PRAGMA user_version").get()?.user_version, 99);
  after.close();
});

test("a file that is no ledger is refused, and left as it is", (t) => {
  const folder = ledgerFolder(t);
  const text = "these are holiday photos\n".repeat(200);
  writeFileSync(join(folder, "ledger.db"), text);
  check(t, folder, /is not a ledger, or is damaged: keep it, and restore a backup/);
  t.is(readFileSync(join(folder, "ledger.db"), "utf8"), text);
});

test("a damaged ledger is refused", (t) => {
  const { folder, file } = filled(t);
  const bytes = readFileSync(file);
  // The header stays; the schema's page is overwritten.
  bytes.fill(0xa5, 100, 4096);
  writeFileSync(file, bytes);
  check(t, folder, /is damaged: keep it, and restore a backup/);
});

test("a folder in the ledger's place is refused", (t) => {
  const folder = ledgerFolder(t);
  mkdirSync(join(folder, "ledger.db"));
  check(t, folder, /cannot be opened: look at its permissions/);
});

test("a ledger that this user cannot write is refused", (t) => {
  const { folder, file } = filled(t);
  chmodSync(file, 0o444);
  chmodSync(folder, 0o555);
  t.teardown(() => chmodSync(folder, 0o755));
  // Root may write everything: then another user tries.
  const isRoot = process.getuid?.() === 0;
  const program = `
    const { openLedger } = await import(${JSON.stringify(new URL("../../src/ledger/sqlite-open.ts", import.meta.url).href)});
    try { openLedger(${JSON.stringify(folder)}); } catch (error) { process.stdout.write(error.message); }`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    ...(isRoot ? { uid: 65534, gid: 65534 } : {}),
  });
  t.is(ran.status, 0, ran.stderr);
  t.regex(ran.stdout, /ledger\.db cannot be written: make it and its folder writable/);
});

test("questions to a folder without a ledger are answered with where to look", (t) => {
  t.throws(() => openLedgerToRead(ledgerFolder(t)), { message: /there is no ledger at .*--data folder/ });
});

test("who may only ask cannot write", (t) => {
  const { folder } = filled(t);
  const database = openLedgerToRead(folder);
  t.throws(() => database.exec("DELETE FROM entries"), { message: /readonly/ });
  database.close();
});

test("a ledger of the fourth version takes no balance of a task for one that was silent since ever", (t) => {
  const { folder } = filled(t);
  const begun = openLedger(folder);
  const [account, start] = ["usd|per_task/1/UTC|all||task=shot-12", EPOCH];
  const balances = [{ account, start, end: FOREVER, settled: nanoUsd(1n), held: nanoUsd(0n) }];
  new SqliteWriter(begun).put({ balances, at: TEN, wall: TEN });
  dropMoved(begun);
  begun.exec("PRAGMA user_version = 4");
  begun.close();
  const database = openLedger(folder);
  t.teardown(() => database.close());
  t.is(database.prepare("SELECT moved FROM balances WHERE account = ?").get(account)?.moved, TEN);
});
