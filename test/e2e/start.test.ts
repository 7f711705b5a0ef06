// Starting: what keeps the daemon from it is told in clear lines, one for each thing that is wrong, and leaves
// nothing behind that would keep the next start from working.

import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type DaemonOptions, startDaemon } from "../../src/daemon/main.ts";
import type { Status } from "../../src/sdk/status.ts";
import { freePort } from "../support/free-port.ts";
import { startGateway } from "../support/gateway.ts";
import { type GatewayFolder, makeFolder } from "../support/gateway-folder.ts";
import { runGateway, spawnGateway } from "../support/gateway-process.ts";
import { listen, portOf } from "../support/sockets.ts";

const GOOD = `version: 1
mode: local
upstreams:
  flux-local: { provider: local, url: "http://127.0.0.1:9" }
models:
  flux-dev: { upstreams: [flux-local] }
`;

/** One mistake a line, from the fourth on. */
const TEN_MISTAKES = `version: 1
mode: local
upstreams:
  Flux Local: { provider: local, url: "http://127.0.0.1:8000" }
  flux-a: { provider: nowhere, url: "http://127.0.0.1:8001" }
  flux-b: { provider: local, url: "not an address" }
  flux-c: { provider: local, url: "http://127.0.0.1:8003", color: red }
  flux-d: { provider: local, url: "http://127.0.0.1:8004", concurrency: 0 }
models:
  flux-dev: { upstreams: [flux-e], estimate: soon }
budgets:
  - { id: "Günther's Budget!", limit_usd: 1, period: daily, on_limit: block }
  - { id: b1, limit_usd: one, period: daily, on_limit: block }
  - { id: b2, limit_usd: 1, period: fortnightly, on_limit: block }
`;

function folderWith(t: ExecutionContext, policy: string): GatewayFolder {
  const folder = makeFolder(policy);
  t.teardown(() => folder.remove());
  return folder;
}

/** Starts it in this process and gives the lines of its refusal. */
async function refusal(
  folder: GatewayFolder,
  options: { listen?: string; admin?: string } = {},
): Promise<string[]> {
  try {
    const gateway = await startGateway(undefined, { folder, ...options });
    await gateway.stop();
    return [];
  } catch (error) {
    return error instanceof Error ? error.message.split("\n") : [];
  }
}

test("ten mistakes in the policy are ten lines, each with its line and column", async (t) => {
  const folder = folderWith(t, TEN_MISTAKES);
  const lines = await refusal(folder);
  t.is(lines.length, 10, lines.join("\n"));
  const places = lines.map((line) => /^.*policy\.yaml:(\d+):(\d+) \S/.exec(line)?.slice(1).map(Number));
  t.deepEqual(
    places.map((place) => place?.[0]),
    [4, 5, 6, 7, 8, 10, 10, 12, 13, 14],
  );
  folder.save(GOOD);
  t.deepEqual(await refusal(folder), []);
});

test("a budget id with strange letters is told what an id may be", async (t) => {
  const folder = folderWith(t, GOOD);
  folder.save(`${GOOD}budgets:\n  - { id: "b\\u0000/../x", limit_usd: 1, period: daily, on_limit: block }\n`);
  const [line = "", ...more] = await refusal(folder);
  t.deepEqual(more, []);
  t.regex(line, /policy\.yaml:8:\d+ budgets\[0\]\.id: .*a-z/);
});

test("an upstream that is the gateway itself is refused at start", async (t) => {
  const port = await freePort();
  const folder = folderWith(t, GOOD.replace("127.0.0.1:9", `localhost:${port}`));
  const [line = "", ...more] = await refusal(folder, { listen: `localhost:${port}` });
  t.deepEqual(more, []);
  t.regex(line, /policy\.yaml:4:\d+ upstreams\.flux-local\.url: .*is the gateway itself/);
});

test("no policy file is one line that says how to name another", async (t) => {
  const folder = folderWith(t, GOOD);
  const lines = await refusal({ ...folder, policyPath: join(folder.path, "nowhere.yaml") });
  t.is(lines.length, 1);
  t.regex(lines[0] ?? "", /nowhere\.yaml:1:1: there is no such file.*--policy/);
});

test("a port that is taken is one line for each address that cannot be had, and frees the data folder", async (t) => {
  const taken = createServer();
  await listen(taken);
  t.teardown(() => taken.close());
  const folder = folderWith(t, GOOD);
  const port = portOf(taken);
  const lines = await refusal(folder, { listen: `127.0.0.1:${port}` });
  const sentence = (option: string) =>
    `127.0.0.1:${port} is taken by another program: end it, or choose another with ${option} localhost:PORT`;
  t.deepEqual(lines, [sentence("--listen")]);
  const admin = await refusal(folder, { admin: `127.0.0.1:${port}` });
  t.deepEqual(admin, [sentence("--admin")]);
  t.deepEqual(await refusal(folder), []);
});

test("a model's port that is taken is one line too", async (t) => {
  const taken = createServer();
  await listen(taken);
  t.teardown(() => taken.close());
  const port = portOf(taken);
  const folder = folderWith(t, GOOD.replace("{ upstreams", `{ port: ${port}, upstreams`));
  const lines = await refusal(folder);
  t.is(lines.length, 1, lines.join("\n"));
  t.regex(lines[0] ?? "", new RegExp(`127\\.0\\.0\\.1:${port} is taken .* give flux-dev another port`));
});

test("a data folder that cannot be one is one line that names --data", async (t) => {
  const folder = folderWith(t, GOOD);
  const inTheWay = join(folder.path, "a-file");
  writeFileSync(inTheWay, "");
  for (const dataPath of [inTheWay, join(inTheWay, "below")]) {
    const lines = await refusal({ ...folder, dataPath });
    t.is(lines.length, 1, lines.join("\n"));
    t.regex(lines[0] ?? "", /a-file.*--data$/);
  }
});

test("a data folder that others can write to is one line with its cure", async (t) => {
  const folder = folderWith(t, GOOD);
  mkdirSync(folder.dataPath);
  chmodSync(folder.dataPath, 0o777);
  t.deepEqual(await refusal(folder), [
    `others can write to the data folder ${folder.dataPath}: chmod 700 ${folder.dataPath}`,
  ]);
});

test("a ledger that is none is one line, and is left as it is", async (t) => {
  const folder = folderWith(t, GOOD);
  mkdirSync(folder.dataPath, { mode: 0o700 });
  writeFileSync(
    join(folder.dataPath, "ledger.db"),
    "this is no database, and somebody may want it back".repeat(20),
  );
  const lines = await refusal(folder);
  t.is(lines.length, 1, lines.join("\n"));
  t.regex(lines[0] ?? "", /the ledger in .* cannot be opened: /);
  t.is(statSync(join(folder.dataPath, "ledger.db")).size, 1000);
});

test("a second daemon on the same data folder is refused in one line, and the first serves on", async (t) => {
  const folder = folderWith(t, GOOD);
  const first = await spawnGateway(folder);
  t.teardown(() => first.signal("SIGKILL"));
  const second = await runGateway(folder);
  t.is(second.code, 1);
  t.is(
    second.stderr.trim().split("\n").at(-1),
    `another budgetguard uses the data folder ${folder.dataPath}: stop it, or name another with --data`,
  );
  t.is((await first.client.health()).status, "ok");
});

test("the admin token is made once, for its owner alone", async (t) => {
  const folder = folderWith(t, GOOD);
  const first = await startGateway(undefined, { folder });
  const token = first.daemon.adminToken;
  await first.stop();
  t.is(statSync(join(folder.dataPath, "admin-token")).mode & 0o777, 0o600);
  t.is(statSync(join(folder.dataPath, "ledger.db")).mode & 0o777, 0o600);
  t.is(statSync(folder.dataPath).mode & 0o777, 0o700);
  const second = await startGateway(undefined, { folder });
  t.is(second.daemon.adminToken, token);
  await second.stop();
});

/** Starts the product's own wiring, without a support in between; gives what it refuses with. */
async function exposed(t: ExecutionContext, policy: string, options: Partial<DaemonOptions>) {
  const { policyPath, dataPath } = folderWith(t, policy);
  const local = { listen: "127.0.0.1:0", admin: "127.0.0.1:0", version: "0", logLevel: "silent" };
  const started = await startDaemon({
    policyPath,
    dataPath,
    ...local,
    accessLog: () => undefined,
    ...options,
  });
  if (started.kind === "started") await started.daemon.stop();
  return started.kind === "started" ? [] : started.lines;
}

const TOKENS = `${GOOD}identity: token\n`;

test("off loopback it starts only with TLS or behind a proxy, and with client tokens, and says so in one line", async (t) => {
  for (const where of [{ listen: "0.0.0.0:0" }, { admin: "0.0.0.0:0" }, { listen: "[::]:0" }]) {
    for (const policy of [GOOD, TOKENS]) {
      const lines = await exposed(t, policy, where);
      t.is(lines.length, 1);
      t.regex(
        lines[0] ?? "",
        /needs TLS and client tokens: give --tls-cert.*nginx.*--behind-proxy.*identity: token/,
      );
    }
    const [line = "", ...more] = await exposed(t, GOOD, { ...where, behindProxy: true });
    t.deepEqual(more, []);
    t.regex(line, /policy\.yaml:1:1 identity: must be token while the gateway listens off loopback/);
  }
  t.deepEqual(await exposed(t, TOKENS, { listen: "0.0.0.0:0", admin: "0.0.0.0:0", behindProxy: true }), []);
  t.deepEqual(await exposed(t, GOOD, { listen: "127.9.9.9:0" }), []);
});

test("a policy that needs no tokens is not put in force off loopback", async (t) => {
  const { policyPath, dataPath, save } = folderWith(t, TOKENS);
  const where = { listen: "0.0.0.0:0", admin: "127.0.0.1:0", behindProxy: true };
  const quiet = { version: "0", logLevel: "silent", accessLog: () => undefined };
  const started = await startDaemon({ policyPath, dataPath, ...where, ...quiet });
  if (started.kind === "refused") throw new Error(started.lines.join());
  const { daemon } = started;
  t.teardown(() => daemon.stop());
  save(TOKENS.replace("identity: token", "identity: trusted"));
  await daemon.reload();
  t.is(daemon.policy().identity, "token");
  const anonymous = await fetch(`${daemon.admin}/api/v1/status`);
  t.is(anonymous.status, 401);
  const headers = { authorization: `Bearer ${daemon.adminToken}` };
  const status = (await (await fetch(`${daemon.admin}/api/v1/status`, { headers })).json()) as Status;
  t.like(status.policy, { valid: false, problems: 1 });
});

test("an admin token that is empty, odd or open to others is refused with its cure", async (t) => {
  const folder = folderWith(t, GOOD);
  mkdirSync(folder.dataPath, { mode: 0o700 });
  const path = join(folder.dataPath, "admin-token");
  for (const text of ["", "\n", "bg-", "secret"]) {
    writeFileSync(path, text, { mode: 0o600 });
    t.deepEqual(await refusal(folder), [
      `${path} holds no admin token: delete it, and the next start makes a new one`,
    ]);
  }
  writeFileSync(path, `bg-${"0".repeat(64)}\n`);
  if (process.platform !== "win32") {
    chmodSync(path, 0o640);
    t.deepEqual(await refusal(folder), [
      `others can read or write the admin token ${path}: chmod 600 ${path}`,
    ]);
  }
  chmodSync(path, 0o600);
  t.deepEqual(await refusal(folder), []);
});

test("what a crash left of a token that was being made is no token", async (t) => {
  const folder = folderWith(t, GOOD);
  mkdirSync(folder.dataPath, { mode: 0o700 });
  writeFileSync(join(folder.dataPath, "admin-token.new"), "");
  t.deepEqual(await refusal(folder), []);
  t.deepEqual(
    readdirSync(folder.dataPath).filter((name) => name.startsWith("admin-token")),
    ["admin-token"],
  );
});

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("a folder that takes no folders is refused at once, not tried for ever", async (t) => {
  const folder = folderWith(t, GOOD);
  // A process of its own: what this test is about would hold this one for ever.
  const { code, stderr } = await runGateway({ ...folder, dataPath: "/proc/x" }, { under: ["timeout", "20"] });
  t.is(code, 1);
  t.regex(stderr, /\nthe data folder \/proc\/x cannot be written \(\w+\): name another with --data\n$/);
});

test("one address for both surfaces is refused with what to change", async (t) => {
  const port = await freePort();
  const both = { listen: `localhost:${port}`, admin: `127.0.0.1:${port}` };
  t.deepEqual(await refusal(folderWith(t, GOOD), both), [
    `--listen and --admin are both 127.0.0.1:${port}: give one of them another port`,
  ]);
});
