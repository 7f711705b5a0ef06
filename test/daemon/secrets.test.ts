import { chmodSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { readSecret, Secrets } from "../../src/daemon/secrets.ts";
import type { SecretRef } from "../../src/policy/policy.ts";

const folder = mkdtempSync(join(tmpdir(), "budgetguard-secrets-"));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function check(t: ExecutionContext, ref: SecretRef, expected: string | RegExp): void {
  const secret = readSecret(ref);
  if (typeof expected === "string") t.deepEqual(secret, { kind: "secret", value: expected });
  else t.regex(secret.kind === "missing" ? secret.why : "it was read", expected);
}

test("a file of one's own is read without its line end", (t) => {
  check(t, { kind: "file", path: file("own", "s3cret\n") }, "s3cret");
});

test("a file that others can read, a link, an empty and a missing file are refused with the cure", (t) => {
  const path = file("open", "s3cret", 0o644);
  check(t, { kind: "file", path }, /chmod 600/);
  const link = join(folder, "link");
  symlinkSync(file("target", "s3cret"), link);
  check(t, { kind: "file", path: link }, /cannot be read \(ELOOP\)/);
  check(t, { kind: "file", path: file("empty", "\n") }, /is empty/);
  check(t, { kind: "file", path: join(folder, "none") }, /ENOENT/);
});

test("a variable is read from the environment, and a missing one is named", (t) => {
  process.env.BUDGETGUARD_TEST_SECRET = " s3cret ";
  check(t, { kind: "env", name: "BUDGETGUARD_TEST_SECRET" }, "s3cret");
  check(t, { kind: "env", name: "BUDGETGUARD_TEST_NONE" }, /BUDGETGUARD_TEST_NONE is not set/);
});

test("a credential comes from systemd's folder and cannot leave it", (t) => {
  file("token", "s3cret");
  delete process.env.CREDENTIALS_DIRECTORY;
  check(t, { kind: "credential", name: "token" }, /LoadCredential=token/);
  process.env.CREDENTIALS_DIRECTORY = folder;
  check(t, { kind: "credential", name: "token" }, "s3cret");
  check(t, { kind: "credential", name: "../../etc/hostname" }, /ENOENT/);
});

test("what was read is kept for a moment, and what is missing is told once", (t) => {
  const told: string[] = [];
  const secrets = new Secrets((why) => told.push(why));
  const path = file("kept", "first");
  t.is(secrets.of({ kind: "file", path }), "first");
  writeFileSync(path, "second");
  t.is(secrets.of({ kind: "file", path }), "first");
  t.is(secrets.of({ kind: "env", name: "BUDGETGUARD_TEST_NONE" }), undefined);
  t.is(secrets.of({ kind: "env", name: "BUDGETGUARD_TEST_NONE" }), undefined);
  t.is(told.length, 1);
});
