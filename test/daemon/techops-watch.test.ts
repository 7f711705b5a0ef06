// TechOps' file as it comes, changes and goes, look by look.

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import test, { type ExecutionContext } from "ava";
import { TechopsWatch } from "../../src/daemon/techops-watch.ts";
import type { Techops } from "../../src/policy/settings.ts";
import { assertNoCanary, CANARY } from "../support/canary.ts";
import { TEN } from "../support/policies.ts";
import { backendConfig, soundCredentials } from "../support/techops-files.ts";

function place(t: ExecutionContext, more: Partial<Techops> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-techops-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "ComfyUI", "budgetguard", "budgetguard_backend_config.json");
  const keyFile = join(folder, "gcp.json");
  const logged: string[] = [];
  const policy: { techops: Techops | undefined } = {
    techops: { config: path, studioKey: undefined, ...more },
  };
  const watch = new TechopsWatch({
    settings: () => policy.techops,
    now: () => TEN,
    log: {
      info: (about, text) => void logged.push(`info ${JSON.stringify(about)} ${text}`),
      warn: (text) => void logged.push(`warn ${text}`),
    },
  });
  const save = (text: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const statuses = () =>
    Object.values(watch.state().status)
      .map(({ status }) => status)
      .join(" ");
  const check = async (expected: string) => {
    await watch.look();
    t.is(statuses(), expected);
  };
  return { folder, path, keyFile, watch, save, check, logged, policy, sound: soundCredentials(keyFile) };
}

const ALL_MISSING = "missing missing missing missing";

test("credentials count once TechOps have installed them, though not even their folder was there", async (t) => {
  const { watch, save, check, keyFile, sound, path } = place(t);
  await check(ALL_MISSING);
  t.regex(
    watch.state().status.aws.why ?? "",
    /backend_config\.json is not there: run TechOps' install_credentials/,
  );
  t.is(watch.state().banner.level, "yellow");
  t.is(watch.credentialsOf("aws"), undefined);
  save(backendConfig(sound));
  await check("found found invalid found");
  t.is(watch.state().banner.text, "✓ Server Credentials Found");
  t.like(watch.state(), { path, readAt: TEN });
  t.is(watch.credentialsOf("aws")?.open().accessKeyId, sound.aws["Access Key ID"]);
  writeFileSync(keyFile, "{}");
  await check("found found found found");
  await check("found found found found");
  rmSync(path);
  await check(ALL_MISSING);
  t.is(watch.credentialsOf("aws"), undefined);
});

test("new credentials take the place of the old ones, also where the file is renamed or linked into place", async (t) => {
  const { watch, save, check, sound, path, folder } = place(t);
  save(backendConfig({ nvidia: sound.nvidia }));
  await check("missing missing missing found");
  const beside = join(folder, "next.json");
  writeFileSync(beside, backendConfig({ aws: sound.aws }));
  renameSync(beside, path);
  await check("found missing missing missing");
  t.is(watch.credentialsOf("nvidia"), undefined);
  writeFileSync(beside, backendConfig({ aws: sound.aws, nvidia: sound.nvidia }));
  rmSync(path);
  symlinkSync(beside, path);
  await check("found missing missing found");
});

test("a file that is half written leaves things as they were until the next look", async (t) => {
  const { save, check, sound } = place(t);
  const whole = backendConfig({ aws: sound.aws });
  save(whole);
  await check("found missing missing missing");
  save(whole.slice(0, 300));
  await check("found missing missing missing");
  save(whole);
  await check("found missing missing missing");
  save(whole.slice(0, 300));
  await check("found missing missing missing");
  await check("invalid invalid invalid invalid");
});

test("a studio key that is put right counts without a change of the file", async (t) => {
  const { save, check, sound, folder, policy, watch } = place(t);
  const key = join(folder, "key");
  policy.techops = { config: policy.techops?.config, studioKey: { kind: "file", path: key } };
  save(
    backendConfig(
      { aws: sound.aws },
      { credentials_status: { aws: true, azure: false, gcp: false } },
      "ours",
    ),
  );
  await check("invalid invalid invalid invalid");
  t.regex(
    watch.state().status.aws.why ?? "",
    /^the studio key cannot be had: .*key cannot be read \(ENOENT\)/,
  );
  writeFileSync(key, "theirs", { mode: 0o600 });
  await check("invalid missing missing invalid");
  writeFileSync(key, "ours", { mode: 0o600 });
  await check("found missing missing missing");
});

test("a policy that names another file, or none, is followed", async (t) => {
  const { save, check, sound, policy, watch } = place(t);
  save(backendConfig({ aws: sound.aws }));
  await check("found missing missing missing");
  policy.techops = undefined;
  await check(ALL_MISSING);
  t.like(watch.state(), { path: undefined, readAt: undefined });
  t.regex(watch.state().status.aws.why ?? "", /^the policy has no techops: key/);
  policy.techops = { config: "~/no/such/place.json", studioKey: undefined };
  await check(ALL_MISSING);
  t.false(watch.state().path?.startsWith("~"));
});

test("what changes is logged once, and neither log nor state nor the watch itself shows a secret", async (t) => {
  const { save, check, sound, watch, logged, keyFile } = place(t);
  writeFileSync(keyFile, "{}");
  save(backendConfig(sound));
  await check("found found found found");
  // Google's key file is new to it, so it reads once more: nothing has changed.
  await check("found found found found");
  t.is(logged.filter((line) => line.includes("Server Credentials Found")).length, 1, logged.join("\n"));
  t.regex(logged.join("\n"), /warn TechOps: the credentials open with TechOps' default key/);
  for (const shown of [
    logged.join(),
    JSON.stringify(watch.state()),
    inspect(watch, { depth: 9, showHidden: true }),
  ]) {
    t.notThrows(() => assertNoCanary("what is shown", shown));
  }
  t.true(watch.credentialsOf("azure")?.open().clientSecret === CANARY);
});

test("the file is looked at by itself, until it is closed", async (t) => {
  const { watch, save, sound } = place(t);
  await watch.watch();
  save(backendConfig({ aws: sound.aws }));
  const until = Date.now() + 20_000;
  while (watch.credentialsOf("aws") === undefined && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.not(watch.credentialsOf("aws"), undefined);
  await watch.close();
});
