// The real command in processes of its own: pipes that close, signals, a gateway from start to stop.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { COMMAND, cli, spawned, startCli, temporaryFolder } from "../support/cli.ts";

/** More than any pipe holds. */
const ENTRIES = 5_000;

async function ledger(t: Parameters<typeof temporaryFolder>[0], entries = ENTRIES): Promise<string> {
  const folder = await temporaryFolder(t);
  const database = openLedger(folder);
  database.exec("BEGIN");
  const insert = database.prepare(
    `INSERT INTO entries (at, wall, kind, request, upstream, amount, elapsed, images, is_last, price, price_source)
     VALUES (1795342500000001, 0, 'settled', ?, 'flux-aws', ?, 12000000, 1, 1, '1.006/h', 'policy')`,
  );
  for (let i = 0; i < entries; i++) insert.run(`r-${i}`, 3_353_333);
  database.exec("COMMIT");
  database.close();
  return folder;
}

test("the ledger is written whole, each entry a line, in either format", async (t) => {
  const data = await ledger(t);
  const [jsonl, csv] = await Promise.all([
    spawned(["ledger", "export", "--data", data]),
    spawned(["ledger", "export", "--format", "csv"], { BUDGETGUARD_DATA: data }),
  ]);
  t.deepEqual([jsonl.code, csv.code], [0, 0]);
  const lines = jsonl.stdout.trimEnd().split("\n");
  t.is(lines.length, ENTRIES);
  t.like(JSON.parse(lines.at(-1) ?? ""), { seq: ENTRIES, request: "r-4999", amount_usd: "0.003353333" });
  t.is(csv.stdout.trimEnd().split("\n").length, ENTRIES + 1);
  t.regex(csv.stdout, /^seq,at,kind,/);
});

test("a reader that has enough ends the export quietly with 0", async (t) => {
  const data = await ledger(t, 50_000);
  const child = spawn(process.execPath, [COMMAND, "ledger", "export", "--data", data]);
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaints += text;
  });
  await once(child.stdout, "data");
  child.stdout.destroy();
  const [code] = await once(child, "exit");
  t.deepEqual([code, complaints], [0, ""]);
});

test("no ledger, and one of a later version, are sentences and 1", async (t) => {
  const empty = await temporaryFolder(t);
  const missing = await cli(["ledger", "export", "--data", empty]);
  t.is(missing.code, 1);
  t.regex(missing.stderr, /there is no ledger at .*ledger\.db: name the daemon's --data folder/);
  const json = await cli(["ledger", "export", "--json", "--data", empty]);
  t.deepEqual(JSON.parse(json.stdout), {
    error: { code: "ledger_unreadable", detail: missing.stderr.trimEnd() },
  });
  await writeFile(join(empty, "ledger.db"), "this is no database, whatever its name may be");
  const broken = await cli(["ledger", "export", "--data", empty]);
  t.is(broken.code, 1);
  t.regex(broken.stderr, /^the ledger cannot be exported: /);
});

test("demo nim runs until Ctrl-C and ends with 0; on a taken port it ends with 1", async (t) => {
  const nim = startCli(t, [
    "demo",
    "nim",
    "--port",
    "0",
    "--scale",
    "0",
    "--model",
    "a",
    "--model",
    "b",
    "--json",
  ]);
  const [, url = "", port = ""] = await nim.said(/"url": "(.+)",\s+"port": (\d+)/);
  const models = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  t.deepEqual(
    models.data.map(({ id }) => id),
    ["a", "b"],
  );
  const taken = await spawned(["demo", "nim", "--port", port]);
  t.is(taken.code, 1);
  t.regex(taken.stderr, /already in use/);
  nim.child.kill("SIGINT");
  t.is(await nim.ended, 0);
});

const POLICY = `version: 1
mode: local
upstreams: { flux: { provider: local, url: "http://127.0.0.1:1" } }
models: { flux-dev: { upstreams: [flux] } }
`;

test("a gateway starts, answers, reads its policy again, and stops with 0", async (t) => {
  const folder = await temporaryFolder(t);
  const policy = join(folder, "policy.yaml");
  await writeFile(policy, POLICY);
  const data = join(folder, "data");
  const args = ["--policy", policy, "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
  const gateway = startCli(t, ["serve", ...args]);
  const [, admin = ""] = await gateway.said(/admin {4}(http:\S+)/);
  const environment = { BUDGETGUARD_ADMIN: admin, BUDGETGUARD_DATA: data };
  t.is((await spawned(["status"], environment)).code, 0);
  t.regex(
    (await spawned(["mode", "set", "manual"], environment)).stdout,
    /^manual, switched .* says local\n/,
  );
  const second = await spawned(["start", ...args]);
  t.is(second.code, 1);
  t.regex(second.stderr, /another budgetguard uses the data folder/);
  await writeFile(policy, "version: 2\n");
  gateway.child.kill("SIGHUP");
  await gateway.said(/the policy file has problems/);
  t.is((await spawned(["status"], environment)).code, 1);
  gateway.child.kill("SIGTERM");
  t.is(await gateway.ended, 0);
});

test("a policy with problems does not start: one line each, and 1", async (t) => {
  const folder = await temporaryFolder(t);
  const policy = join(folder, "policy.yaml");
  await writeFile(policy, "version: 2\nmode: cheapest\n");
  const { code, stderr } = await spawned(["serve", "--policy", policy, "--data", join(folder, "data")]);
  t.is(code, 1);
  t.regex(stderr, /\n\S+policy\.yaml:1:10 version: .*\n\S+policy\.yaml:2:7 mode: .*\n$/);
});
