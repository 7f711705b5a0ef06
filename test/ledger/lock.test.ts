// One process a data folder; the lock goes with the process, however it ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { lockFolder } from "../../src/ledger/lock.ts";
import { ledgerFolder } from "../support/ledger.ts";

const PROGRAM = `
const { lockFolder } = await import(process.argv[1]);
const said = lockFolder(process.argv[2]) === undefined ? "refused" : "locked";
// Nobody here points at the lock any more.
globalThis.gc();
process.stdout.write(said);
setInterval(() => undefined, 1000);`;

async function locker(t: ExecutionContext, folder: string) {
  const file = new URL("../../src/ledger/lock.ts", import.meta.url).href;
  const child = spawn(process.execPath, ["--expose-gc", "--input-type=module", "-e", PROGRAM, file, folder]);
  t.teardown(() => child.kill("SIGKILL"));
  const [said] = await once(child.stdout, "data");
  return { child, said: String(said) };
}

test("a second process is refused", async (t) => {
  const folder = ledgerFolder(t);
  const lock = lockFolder(folder);
  t.truthy(lock);
  t.is((await locker(t, folder)).said, "refused");
  lock?.release();
  t.is((await locker(t, folder)).said, "locked");
});

test("a second lock in the same process is refused as well", (t) => {
  const folder = ledgerFolder(t);
  const lock = lockFolder(folder);
  t.is(lockFolder(folder), undefined);
  lock?.release();
  const next = lockFolder(folder);
  t.truthy(next);
  next?.release();
});

test("the lock is its owner's alone, also one that an earlier version left open to all", (t) => {
  const folder = ledgerFolder(t);
  const modeOf = () => statSync(join(folder, "lock.db")).mode & 0o777;
  lockFolder(folder)?.release();
  t.is(modeOf(), 0o600);
  chmodSync(join(folder, "lock.db"), 0o644);
  lockFolder(folder)?.release();
  t.is(modeOf(), 0o600);
});

test("being refused costs this process nothing of the lock that it has", async (t) => {
  const folder = ledgerFolder(t);
  const lock = lockFolder(folder);
  t.is(lockFolder(folder), undefined);
  t.is((await locker(t, folder)).said, "refused");
  lock?.release();
});

test("a process that is killed leaves no lock behind", async (t) => {
  const folder = ledgerFolder(t);
  const { child, said } = await locker(t, folder);
  t.is(said, "locked");
  t.is(lockFolder(folder), undefined);
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = lockFolder(folder);
  t.truthy(lock);
  lock?.release();
});

test("other folders are not locked by it", (t) => {
  const [one, two] = [lockFolder(ledgerFolder(t)), lockFolder(ledgerFolder(t))];
  t.truthy(one);
  t.truthy(two);
  one?.release();
  two?.release();
});
