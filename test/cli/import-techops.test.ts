// `import techops` over the real tool's files.

import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { parsePolicy } from "../../src/policy/parse.ts";
import { context } from "../policy/reading.ts";
import { assertNoCanary } from "../support/canary.ts";
import { cli, temporaryFolder } from "../support/cli.ts";
import {
  BACKEND,
  backendConfig,
  DEPLOYMENTS,
  rates,
  soundCredentials,
  techopsPath,
} from "../support/techops-files.ts";

const FILE = techopsPath(BACKEND);
const POLICY = `# ours
version: 1
timezone: UTC
upstreams:
  box: { provider: local, url: "http://127.0.0.1:9000" }   # under the desk
models:
  sdxl: { port: 7100, upstreams: [box] }   # Bob's
`;

async function place(t: ExecutionContext, policy = POLICY) {
  const folder = await temporaryFolder(t);
  const path = join(folder, "policy.yaml");
  writeFileSync(path, policy);
  const run = (...args: string[]) => cli(["import", "techops", ...args], { cwd: folder });
  const save = (name: string, text: string, mode = 0o600) => {
    writeFileSync(join(folder, name), text, { mode });
    return join(folder, name);
  };
  return { folder, path, run, save, policy: () => readFileSync(path, "utf8") };
}

const isPolicy = (text: string) => parsePolicy(text, { ...context, rates }).kind;

test("A10, A54: it prints a fragment that the parser takes, and notes and statuses on standard error", async (t) => {
  const { run } = await place(t);
  const { code, stdout, stderr } = await run(FILE);
  t.is(code, 0);
  t.is(isPolicy(`version: 1\n${stdout}`), "policy");
  t.regex(stdout, /^# From TechOps: 88 endpoints of budgetguard_backend_config\.json\.\n/);
  t.regex(stdout, /\n {2}sdxl:\n {4}port: 7100\n/, "the port that the policy's own model has");
  t.regex(stderr, /^credentials: aws test, azure test, gcp test, nvidia test\n/);
  t.regex(stderr, /\nnote: the credentials open with TechOps' default key, which everybody knows: /);
  t.regex(stderr, /\nnote: 80 of 88 addresses are placeholders/);
});

test("without a policy in the folder it prints all the same", async (t) => {
  const folder = await temporaryFolder(t);
  const { code, stdout } = await cli(["import", "techops", FILE], { cwd: folder });
  t.is(code, 0);
  t.regex(stdout, /\n {2}flux-dev:\n {4}port: 7100\n/);
  t.is((await cli(["import", "techops", FILE, "--write"], { cwd: folder })).code, 2);
});

test("--json is the same as values", async (t) => {
  const { run } = await place(t);
  const { code, stdout } = await run(FILE, "--json");
  const found = JSON.parse(stdout);
  t.is(code, 0);
  t.is(Object.keys(found.fragment.upstreams).length, 80);
  t.deepEqual(found.fragment.upstreams["flux-dev-local"], {
    provider: "local",
    url: "http://localhost:8000",
  });
  t.is(found.incomplete.length, 8);
  t.is(found.credentials.aws.status, "test");
});

test("--write adds what is not there, keeps every line of the policy, and once more changes nothing", async (t) => {
  const { run, policy } = await place(t);
  const { code, stdout, stderr } = await run(FILE, "--write");
  t.is(code, 1, "sdxl is Bob's");
  t.regex(
    stdout,
    /policy\.yaml: added 0 machines, 80 upstreams, 7 models; 0 were there already, 1 say something/,
  );
  t.regex(
    stderr,
    /\nmodels\.sdxl is in the policy already, and says something else: it stays; .* sdxl: \{ port: 7100, /,
  );
  const merged = policy();
  t.is(isPolicy(merged), "policy");
  let from = 0;
  for (const line of POLICY.split("\n")) {
    from = merged.indexOf(line, from);
    t.true(from >= 0, line);
  }
  t.regex(
    (await run(FILE, "--write")).stdout,
    /added 0 machines, 0 upstreams, 0 models; 87 were there already/,
  );
  t.is(policy(), merged);
});

test("--write of entries that are all new or the same ends with 0, and writes through a link by a rename", async (t) => {
  const { run, folder, path, save, policy } = await place(t);
  const deployments = save("endpoints.json", JSON.stringify([DEPLOYMENTS.aws]));
  const before = statSync(path).ino;
  symlinkSync("policy.yaml", join(folder, "link.yaml"));
  t.is((await run(deployments, "--write", "--policy", "link.yaml")).code, 0);
  t.not(statSync(path).ino, before);
  t.regex(policy(), /\nmachines:\n {2}budgetguard-nim-cluster:\n/);
  t.is((await run(deployments, "--write", "--json")).code, 0);
});

test("a policy that would have problems stays as it is, and they are told", async (t) => {
  const clash = POLICY.replace("box:", "budgetguard-nim-cluster:").replace(
    "[box]",
    "[budgetguard-nim-cluster]",
  );
  const { run, policy, save } = await place(t, clash);
  const { code, stderr } = await run(save("endpoints.json", JSON.stringify([DEPLOYMENTS.aws])), "--write");
  t.is(code, 1);
  t.regex(
    stderr,
    /policy\.yaml is unchanged: with these entries it would have problems; .*\n.*a machine is named/,
  );
  t.is(policy(), clash);
});

test("a policy with problems or one that is read-only is not written", async (t) => {
  const broken = await place(t, "version: 2\n");
  const { code, stderr } = await broken.run(FILE, "--write");
  t.is(code, 1);
  t.regex(stderr, /policy\.yaml:1:10 version: .*is not a version/);
  const sealed = await place(t);
  chmodSync(sealed.path, 0o400);
  const refused = await sealed.run(FILE, "--write");
  t.is(refused.code, 1);
  t.regex(refused.stderr, /is read-only: edit it where it comes from/);
  t.is(sealed.policy(), POLICY);
});

test("a file that cannot be used says what to do next", async (t) => {
  const { run, save, folder } = await place(t);
  for (const [file, wanted] of [
    ["none.json", /^none\.json is not there: run TechOps' install_credentials\.py or export\.py, or name /],
    [folder, / is a folder: /],
    [save("a.json", '{"nim_endpoints": {'), / is not JSON, or only a part of it: /],
    [save("b.json", "{}"), /: there is no endpoint that can be used: deploy with TechOps and export again/],
  ] as const) {
    const { code, stdout, stderr } = await run(file);
    t.deepEqual([code, stdout], [1, ""]);
    t.regex(stderr, wanted);
  }
  t.is(JSON.parse((await run("none.json", "--json")).stdout).error.code, "file_unusable");
  t.is((await run()).code, 2);
});

test("the studio key comes from the option, else from the policy, else it is everybody's", async (t) => {
  const { run, save, path } = await place(t);
  const endpoints = { "FLUX Dev": { local: ["http://127.0.0.1:9001"] } };
  const file = save(
    "c.json",
    backendConfig(soundCredentials("/none"), { nim_endpoints: endpoints }, "our key"),
  );
  t.regex(
    (await run(file)).stderr,
    /^credentials: aws invalid.*\nnote: credentials: the studio key does not open them/,
  );
  const key = save("key", "our key\n");
  const opened = await run(file, "--studio-key-file", "key");
  t.regex(opened.stderr, /^credentials: aws found, azure found, gcp invalid, nvidia found\n/);
  t.notRegex(opened.stderr, /everybody/);
  writeFileSync(path, `${POLICY}techops: { studio_key: { file: "${key}" } }\n`);
  t.regex((await run(file)).stderr, /^credentials: aws found/);
  const missing = await run(file, "--studio-key-file", "nokey");
  t.is(missing.code, 1);
  t.regex(missing.stderr, /^--studio-key-file: .*nokey cannot be read \(ENOENT\)/);
  chmodSync(key, 0o644);
  const open = await run(file);
  t.is(open.code, 0);
  t.regex(open.stderr, /^note: the credentials are not looked at: .* can be read by others: chmod 600 it/);
});

test("nothing that it prints or writes has a secret in it", async (t) => {
  const { run, save, policy } = await place(t);
  const endpoints = { "FLUX Dev": { local: ["http://127.0.0.1:9001"] } };
  const sound = soundCredentials("/none");
  for (const file of [
    save("a.json", backendConfig(sound, { nim_endpoints: endpoints })),
    save(
      "b.json",
      JSON.stringify({ nim_endpoints: endpoints, credentials: { encrypted: false, credentials: sound } }),
    ),
    save("c.json", JSON.stringify(sound)),
    save("d.json", `${JSON.stringify(sound)}}`),
  ]) {
    for (const options of [[], ["--json"], ["--write"]]) {
      const { stdout, stderr } = await run(file, ...options);
      t.notThrows(() => assertNoCanary("what it printed", stdout + stderr));
    }
  }
  t.notThrows(() => assertNoCanary("the policy", policy()));
});
