// `budgetguard check`, over real files.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { cli, spawned, temporaryFolder } from "../support/cli.ts";

const TEN_MISTAKES = `version: 2
timezone: Mars/Base
mode: cheapest
upstreams:
  flux-local: { provider: local, url: "http://127.0.0.1:7070" }
  flux-aws: { provider: aws, url: "http://10.0.0.1:8000", gpu_tier: a10g, timeouts: { connect: 5 } }
models:
  flux-dev: { port: 7100, upstreams: [flux-lokal] }
budgets:
  - { id: Studio Day, limit_usd: 20 }
  - { id: studio-week, limit_usd: 1e3 }
  - { id: x, limit_usd: 5, period: fortnightly }
  - { id: y, limit_usd: 5, colour: red }
`;

const SOUND = `version: 1
mode: lowest_price
upstreams: { flux: { provider: local, url: "http://127.0.0.1:8000", min_billed: 60s } }
models: { flux-dev: { upstreams: [flux] } }
budgets: [{ id: studio-day, limit_usd: 20 }]
comfyui: { url: "http://127.0.0.1:8188" }
`;

async function policy(t: ExecutionContext, text: string): Promise<string> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, "policy.yaml"), text);
  return folder;
}

test("ten mistakes are ten lines, each with its line and column, and the exit is 1", async (t) => {
  const cwd = await policy(t, TEN_MISTAKES);
  const { code, stdout, stderr } = await cli(["check", "policy.yaml"], { cwd });
  t.is(code, 1);
  t.is(stderr, "");
  const lines = stdout.trimEnd().split("\n");
  t.deepEqual(
    lines.map((line) => /^policy\.yaml:(\d+:\d+ \S+): .{10}/.exec(line)?.[1]),
    [
      "1:10 version",
      "2:11 timezone",
      "3:7 mode",
      "5:39 upstreams.flux-local.url",
      "6:96 upstreams.flux-aws.timeouts.connect",
      "8:39 models.flux-dev.upstreams[0]",
      "10:11 budgets[0].id",
      "11:35 budgets[1].limit_usd",
      "12:36 budgets[2].period",
      "13:28 budgets[3].colour",
    ],
  );
});

test("the real command prints the same lines", async (t) => {
  const cwd = await policy(t, TEN_MISTAKES);
  const file = join(cwd, "policy.yaml");
  const [ran, inside] = await Promise.all([spawned(["check", file]), cli(["check", file])]);
  t.deepEqual(ran, inside);
});

test("a sound policy is one line, each note one more, and a ledger that is not there the last", async (t) => {
  const cwd = await policy(t, SOUND);
  const environment = { BUDGETGUARD_DATA: "no-data" };
  const { code, stdout } = await cli(["check", "policy.yaml"], { cwd, environment });
  t.is(code, 0);
  const [summary, ...notes] = stdout.trimEnd().split("\n");
  t.is(
    notes.pop(),
    `balances are not compared: there is no ledger at ${cwd}/no-data/ledger.db: name the daemon's --data folder`,
  );
  t.is(summary, "policy.yaml: ok, 1 model, 1 upstream, 1 budget, mode lowest_price");
  t.true(notes.length > 0);
  for (const note of notes) t.regex(note, /^policy\.yaml:\d+:\d+ \S+: not active yet/);
});

test("without a name it checks what serve would use: here, or the shipped one", async (t) => {
  const cwd = await policy(t, SOUND);
  t.regex((await cli(["check"], { cwd })).stdout, new RegExp(`^${cwd}/policy.yaml: ok`));
  const elsewhere = await temporaryFolder(t);
  t.regex((await cli(["check"], { cwd: elsewhere })).stdout, /\/config\/policy\.yaml: ok/);
  const environment = { BUDGETGUARD_POLICY: join(cwd, "policy.yaml") };
  t.regex((await cli(["check"], { cwd: elsewhere, environment })).stdout, new RegExp(`^${cwd}`));
});

test("a rate that was fetched is known, once the policy names its source", async (t) => {
  const rate = "azure/northeurope/Standard_NC4as_T4_v3";
  const cwd = await policy(
    t,
    `version: 1
prices: { sources: [azure] }
upstreams: { a: { provider: azure, url: "http://h", price: { rate: ${rate} } } }
`,
  );
  t.regex((await cli(["check", "policy.yaml"], { cwd })).stdout, /is not in the rate card/);
  const price = { key: rate, kind: "on_demand", gpus: 1, usd_per_hour: "0.57", source: "Azure" };
  const kept = {
    version: 1,
    answered: {},
    rates: [{ ...price, as_of: "2026-11-28T10:00:00Z" }],
    suspects: [],
  };
  await writeFile(join(cwd, "prices.json"), JSON.stringify(kept));
  const environment = { BUDGETGUARD_DATA: cwd };
  t.regex((await cli(["check", "policy.yaml"], { cwd, environment })).stdout, /^policy\.yaml: ok/);
});

test("--json says the same to a program", async (t) => {
  const bad = await policy(t, TEN_MISTAKES);
  const lines = (await cli(["check", "policy.yaml"], { cwd: bad })).stdout.trimEnd().split("\n");
  const found = JSON.parse((await cli(["check", "policy.yaml", "--json"], { cwd: bad })).stdout);
  t.false(found.valid);
  t.is(found.problems.length, lines.length);
  const good = await policy(t, SOUND);
  const asked = ["check", "policy.yaml", "--json", "--data", good];
  const sound = JSON.parse((await cli(asked, { cwd: good })).stdout);
  t.is(sound.balances, null);
  t.like(sound, { valid: true, problems: [], models: 1, upstreams: 1, budgets: 1, mode: "lowest_price" });
});

test("a file that is not there, is a folder, a device or too large, is a problem and no crash", async (t) => {
  const cwd = await policy(t, `version: 1 # ${"x".repeat(300_000)}\n`);
  for (const [file, text] of [
    ["nowhere.yaml", /^nowhere\.yaml:1:1: there is no such file: name another \(serve: with --policy\)$/m],
    ["policy.yaml/x", /:1:1: there is no such file/],
    [".", /:1:1: is a folder: name the file in it$/m],
    ["/dev/zero", /:1:1: is no regular file: name another$/m],
    ["policy.yaml", /:1:1: is too large: a policy has at most 256 KiB$/m],
  ] as const) {
    const { code, stdout } = await cli(["check", file], { cwd });
    t.is(code, 1, file);
    t.regex(stdout, text);
  }
});

test("check and serve say the same of a file that is no text, and where", async (t) => {
  const cwd = await policy(t, "");
  const path = join(cwd, "policy.yaml");
  await writeFile(path, Buffer.from("version: 1\n# M\u00fcnchen\n", "latin1"));
  const { code, stdout } = await cli(["check", path], { cwd });
  t.is(code, 1);
  t.is(stdout, `${path}:2:4: is not UTF-8: save it as UTF-8\n`);
  const served = await cli(["serve", "--policy", path, "--data", join(cwd, "data")], { cwd });
  t.is(served.code, 1);
  t.true(served.stderr.endsWith(stdout), served.stderr);
});

test("the gateway's own addresses are those that are given", async (t) => {
  const cwd = await policy(t, SOUND);
  const self = ["check", "policy.yaml", "--listen", "localhost:8000"];
  t.regex((await cli(self, { cwd })).stdout, /is the gateway itself/);
  t.is((await cli(["check", "policy.yaml", "--listen", "8000"], { cwd })).code, 2);
});

test("check refuses what serve would refuse off loopback, at the key's place", async (t) => {
  const cwd = await policy(t, SOUND.replace("mode:", "identity: trusted\nmode:"));
  for (const address of ["0.0.0.0:7070", "10.0.0.5:7070", "gateway.lan:7070", "[::]:7070"]) {
    const { code, stdout } = await cli(["check", "policy.yaml", "--listen", address], { cwd });
    t.is(code, 1, address);
    t.regex(stdout, /^policy\.yaml:2:11 identity: must be token while the gateway listens off loopback/);
  }
  for (const address of ["localhost:7070", "127.8.8.8:7070", "[0:0:0:0:0:0:0:1]:7070"]) {
    t.is((await cli(["check", "policy.yaml", "--listen", address], { cwd })).code, 0, address);
  }
});
