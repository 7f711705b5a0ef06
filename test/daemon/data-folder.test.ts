// Whose the data folder must be, and who else may look into it.

import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { openDataFolder } from "../../src/daemon/data-folder.ts";
import { passOver } from "../support/real.ts";

function place(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-folder-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "data");
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("a folder that is made is its owner's alone, and so is everything in it", (t) => {
  const path = place(t);
  const opened = openDataFolder(path);
  if (opened.kind === "refused") return t.fail(opened.why);
  t.false(opened.folder.wasOpen);
  t.deepEqual([path, join(path, "lock.db"), join(path, "admin-token")].map(modeOf), [0o700, 0o600, 0o600]);
  opened.folder.lock.release();
});

for (const mode of [0o755, 0o750, 0o701]) {
  test(`a folder of our own with ${mode.toString(8)} is closed to others`, (t) => {
    const path = place(t);
    mkdirSync(path);
    chmodSync(path, mode);
    const opened = openDataFolder(path);
    if (opened.kind === "refused") return t.fail(opened.why);
    t.true(opened.folder.wasOpen);
    t.is(modeOf(path), 0o700);
    opened.folder.lock.release();
  });
}

test("one that a daemon has used is closed to others, one of other things is refused and left as it is", (t) => {
  const path = place(t);
  mkdirSync(path, { mode: 0o755 });
  writeFileSync(join(path, "thesis.tex"), "");
  t.like(openDataFolder(path), { kind: "refused" });
  t.is(modeOf(path), 0o755);
  writeFileSync(join(path, "lock.db"), "");
  const opened = openDataFolder(path);
  if (opened.kind === "refused") return t.fail(opened.why);
  t.is(modeOf(path), 0o700);
  opened.folder.lock.release();
});

for (const mode of [0o777, 0o770, 0o720]) {
  test(`a folder with ${mode.toString(8)} is refused and left as it is`, (t) => {
    const path = place(t);
    mkdirSync(path);
    chmodSync(path, mode);
    t.like(openDataFolder(path), { kind: "refused" });
    t.is(modeOf(path), mode);
  });
}

test("a folder of somebody else is refused, even by one who could write to it", (t) => {
  if (process.getuid?.() !== 0) return passOver(t, "only root can give a folder away");
  const path = place(t);
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, 12_345, 12_345);
  t.deepEqual(openDataFolder(path), {
    kind: "refused",
    why: `the data folder ${path} belongs to another user: name one of your own with --data`,
  });
});
